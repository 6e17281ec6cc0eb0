"""Agents by name, by preset, from a file, from installed packages; and what a wrong spec gets."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from nasgym.agents import agent_class, agent_names, get_agent, registry
from nasgym.errors import InvalidAgent, InvalidSetting, UnknownName

MY_AGENT = """
from __future__ import annotations
from dataclasses import dataclass
import helper_beside_the_file

@dataclass(frozen=True)
class MyAgent:
    presets = {"wide": {"width": 9}}
    width: int = 3

    def search(self, task, seed):
        pass

class NoAgent:
    pass

class WrongSearch:
    def search(self):
        pass

class NeedsAnArgument:
    def __init__(self, width):
        pass
    def search(self, task, seed):
        pass
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "helper_beside_the_file.py").write_text("")
    path = tmp_path / "my_agent.py"
    path.write_text(MY_AGENT)
    return path


def test_a_name_a_preset_and_overrides():
    assert get_agent("reinforce").learning_rate == 0.01
    assert get_agent("reinforce:old-scripts").learning_rate == 0.5
    assert get_agent("reinforce:old-scripts", learning_rate=0.1).learning_rate == 0.1


@pytest.mark.parametrize(
    ("spec", "settings", "says"),
    [
        ("regularised_evolution", {}, "unknown agent 'regularised_evolution'. Did you mean 'regularized_evolution'"),
        ("", {}, "unknown agent ''.*Known:.*path/to/file.py:ClassName"),
        ("reinforce:nat", {}, "unknown preset of reinforce 'nat'. Did you mean 'nats'"),
        ("reinforce", {"learningrate": 1.0}, "unknown hyper-parameter of Reinforce 'learningrate'.*'learning_rate'"),
    ],
)
def test_an_unknown_name_gets_near_names(spec, settings, says):
    with pytest.raises(UnknownName, match=says):
        get_agent(spec, **settings)


def test_an_agent_from_a_file(file):
    agent = get_agent(f"{file}:MyAgent", width=5)
    assert type(agent).__name__ == "MyAgent" and agent.width == 5
    assert get_agent(f"{file}:MyAgent:wide").width == 9
    assert agent_class(f"{file}:MyAgent") is type(agent)
    assert str(file.parent) not in sys.path


def test_an_edited_file_is_read_again(file):
    before = agent_class(f"{file}:MyAgent")
    file.write_text(MY_AGENT.replace("width: int = 3", "width: int = 4"))
    assert get_agent(f"{file}:MyAgent").width == 4
    assert before().width == 3


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        (":MyAgnet", UnknownName, "unknown agent class in .*my_agent.py 'MyAgnet'. Did you mean 'MyAgent'"),
        (
            "",
            InvalidAgent,
            "needs the name of a class .*: .*my_agent.py:MyAgent. It has MyAgent, NeedsAnArgument",
        ),
        (":NoAgent", InvalidAgent, r"NoAgent is not an agent: a class with a method search\(self, task, seed\)"),
        (":WrongSearch", InvalidAgent, "WrongSearch is not an agent"),
        (":dataclass", InvalidAgent, "dataclass is not an agent"),
        (":NeedsAnArgument", InvalidAgent, "cannot be made with no arguments.*needs a default"),
        (":MyAgent:narrow", UnknownName, "unknown preset of MyAgent 'narrow'.*Known: wide"),
    ],
)
def test_a_wrong_class_is_named(file, name, error, says):
    with pytest.raises(error, match=says):
        get_agent(f"{file}{name}")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidAgent, match=r"there is no file .*nothing\.py"):
        get_agent(f"{tmp_path / 'nothing.py'}:MyAgent")


@pytest.mark.parametrize(("source", "says"), [("import no_such_module", "no_such_module"), ("1 +", "SyntaxError")])
def test_a_broken_file_is_named_with_its_fault(tmp_path, source, says):
    path = tmp_path / "broken.py"
    path.write_text(source)
    for _ in range(2):  # nothing half-imported stays behind
        with pytest.raises(InvalidAgent, match=f"broken.py cannot be imported: .*{says}"):
            get_agent(f"{path}:MyAgent")


def test_an_installed_package_adds_agents_but_takes_no_built_in_name(monkeypatch):
    points = [
        EntryPoint("theirs", "nasgym.agents.random_search:RandomSearch", registry.ENTRY_POINT_GROUP),
        EntryPoint("reinforce", "nasgym.agents.random_search:RandomSearch", registry.ENTRY_POINT_GROUP),
        EntryPoint("gone", "no_such_package:Agent", registry.ENTRY_POINT_GROUP),
        EntryPoint("wrong", "math:pi", registry.ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "nasgym.agents" else [])
    assert agent_names()[-3:] == ("theirs", "gone", "wrong")
    assert type(get_agent("theirs", block=3)).__name__ == "RandomSearch"
    assert type(get_agent("reinforce")).__name__ == "Reinforce"
    with pytest.raises(InvalidAgent, match="'gone' of an installed package .*no_such_package:Agent"):
        get_agent("gone")
    with pytest.raises(InvalidAgent, match="math:pi is not an agent"):
        get_agent("wrong")


def test_a_bound_reaches_the_user_through_the_registry():
    with pytest.raises(InvalidSetting, match="population"):
        get_agent("regularized_evolution", population=-1)


def test_no_agent_imports_torch_before_it_searches():
    code = (
        "import sys; from nasgym.agents import agent_names, get_agent\n"
        "for name in agent_names(): get_agent(name)\n"
        "assert not {'torch', 'stable_baselines3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
