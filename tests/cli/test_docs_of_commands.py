"""docs/cli.md names every command and every option."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from nasgym.agents import get_agent
from nasgym.cli import app
from nasgym.recipes import check_dataset, default_recipe, get_recipe
from nasgym.spaces import get_space
from nasgym.store import TableKey
from nasgym.task import get_protocol
from nasgym.task.making import DEFAULT_TASK
from tests.cli.test_lists import commands

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "cli.md"


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_a_heading_an_example_and_its_options(words: tuple[str, ...]) -> None:
    name = " ".join(words)
    sections = PAGE.read_text().split("\n## ")
    (section,) = [s for s in sections if s.startswith(f"`nasgym {name}`\n")]
    assert f"$ nasgym {name}" in section, "no example"
    for option in command(words).params:
        if option.param_type_name == "option" and option.name != "help":
            assert f"`{option.opts[0]}" in section, f"{option.opts[0]} is not explained"


def examples() -> list[str]:
    """Return the examples of every help text and of the page, without the `nasgym` before them."""
    texts = [(command(words).help or "") for words in [(), *commands()]] + [PAGE.read_text()]
    joined = "\n".join(texts).replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    return sorted({line.removeprefix("nasgym ") for line in lines if line.startswith("nasgym ")})


def command(words: tuple[str, ...]) -> Any:
    found: Any = typer.main.get_command(app)
    for word in words:
        found = found.commands[word]
    return found


def parsed(line: str) -> dict[str, Any]:
    """Return the options of an example as the program reads them; raises where it would refuse them."""
    found, words = command(()), shlex.split(line, comments=True)
    while hasattr(found, "commands"):
        found = found.commands[words.pop(0)]
    return dict(found.make_context(line, words).params)


def test_examples_are_found() -> None:
    assert len(examples()) > 25 and any("--agents" in line and "--runs 500" in line for line in examples())


@pytest.mark.parametrize("line", [line.partition("  ")[0] for line in examples()])
def test_an_example_has_options_and_names_that_exist(line: str) -> None:
    options = parsed(line)
    recipe, dataset = options.get("recipe"), options.get("dataset")
    for task in several(options.get("task")) or [DEFAULT_TASK]:
        space, _, searched = task.partition("/")
        get_space(space)
        found = check_dataset(dataset if isinstance(dataset, str) else searched)
        if isinstance(recipe, str):
            assert (recipe == default_recipe("cluttered-digits")) == (found == "cluttered-digits"), "no such table"
    for name in several(recipe):
        get_recipe(name.rpartition("=")[2])
    for key in map(TableKey.parse, several(options.get("table"))):
        assert get_recipe(key.recipe) and check_dataset(key.dataset) and get_space(key.space)
    get_protocol(options.get("protocol") or "plain")
    for agent in [*(options.get("agents") or "").split(","), *several(options.get("agent"))]:
        assert not agent or ".py" in agent or get_agent(agent)


def several(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []
