"""Designs: what is checked at the door, and what makes two of them the same."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nasgym.errors import (
    InvalidBudget,
    InvalidSetting,
    MissingResult,
    NasgymError,
    UnknownName,
    UnsuitableTask,
)
from nasgym.store import Store
from nasgym.study import StudyDesign, TaskSpec, parse_settings
from nasgym.study.design import differences
from nasgym.task import PROTOCOLS
from tests.study.samples import KEY, TASK, write_agent


def spec(store: Path, **settings: object) -> TaskSpec:
    return TaskSpec(TASK, **{"budget": 100.0, "on_missing": "error", "store": str(store), **settings})  # type: ignore[arg-type]


def design(store: Path, **settings: object) -> StudyDesign:
    return StudyDesign((spec(store, **settings),), ("random_search",), 3)


def test_a_label_says_the_protocol_unless_it_is_plain() -> None:
    assert TaskSpec(TASK).label == TASK
    assert TaskSpec(TASK, protocol="nats-tss").label == f"{TASK}@nats-tss"
    assert TaskSpec(TASK, protocol=replace(PROTOCOLS["plain"], name="mine")).label == f"{TASK}@mine"


def test_the_task_is_made_as_specified(filled: Path) -> None:
    task = spec(filled, protocol="nats-tss", workers=3, seeds="mean", max_evaluations=9, budget=None).make()
    assert (task.name, task.workers, task.budget, task.max_evaluations) == (TASK, 3, 20_000.0, 9)
    assert task.protocol.seeds == "mean" and task.protocol.overshoot


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"runs": 0}, InvalidSetting, "1 run or more.*got 0"),
        ({"runs": -3}, InvalidSetting, "got -3"),
        ({"first_seed": -1}, InvalidSetting, "got -1"),
        ({"runs_of": {"random_search": 0}}, InvalidSetting, "1 run or more.*got 0 for random_search"),
        ({"settings": {"random_serch": {"block": 2}}}, UnknownName, "agent of this study 'random_serch'. Did you mean"),
        ({"runs_of": {"random_serch": 2}}, UnknownName, "agent of this study 'random_serch'. Did you mean"),
        ({"agents": ()}, InvalidSetting, "at least one agent"),
        ({"tasks": ()}, InvalidSetting, "at least one task"),
        ({"agents": ("random_search", "random_search")}, InvalidSetting, "'random_search' is named twice"),
        ({"tasks": (TaskSpec(TASK), TaskSpec(TASK, budget=5.0))}, InvalidSetting, "'nb201/cifar10' is named twice"),
    ],
)
def test_a_design_is_checked_at_once(changes: dict[str, object], error: type[NasgymError], words: str) -> None:
    settings = {"tasks": (TaskSpec(TASK),), "agents": ("random_search",), "runs": 1, **changes}
    with pytest.raises(error, match=words):
        StudyDesign(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"name": "nb201/cifar11"}, UnknownName, "Did you mean 'cifar10'"),
        ({"name": "cifar10"}, UnknownName, "SPACE/DATASET|space/dataset"),
        ({"protocol": "nats"}, UnknownName, "nats-tss"),
        ({"recipe": "nb201-13"}, UnknownName, "nb201-12"),
        ({"budget": 0.0}, InvalidBudget, "above 0.*got 0"),
        ({"budget": -1.0}, InvalidBudget, "got -1"),
        ({"workers": 0}, InvalidSetting, "workers.*got 0"),
        ({"on_missing": "invent"}, UnknownName, "'invent'"),
        ({"seeds": "median"}, InvalidSetting, "'median'"),
        ({"budget": None}, InvalidBudget, "never end"),
        ({"recipe": "cluttered-digits-10", "name": "nb201/cifar100"}, NasgymError, "cifar100"),
    ],
)
def test_a_task_that_cannot_be_is_named(
    filled: Path, changes: dict[str, object], error: type[NasgymError], words: str
) -> None:
    wrong = replace(spec(filled), **changes)  # type: ignore[arg-type]
    with pytest.raises(error, match=words):
        StudyDesign((wrong,), ("random_search",), 1).check()


def test_an_unknown_agent_is_named(filled: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'random_search'"):
        replace(design(filled), agents=("random_serch",)).check()


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingResult, match=r"no table nb201/cifar10/nb201-12.*nasgym import csv"):
        design(tmp_path / "empty").check()


def test_a_table_without_results_is_none(tmp_path: Path) -> None:
    Store(tmp_path / "store").ensure_table(KEY, 15625)
    with pytest.raises(MissingResult, match=r"no table nb201/cifar10/nb201-12"):
        design(tmp_path / "store").check()


def test_the_same_words_are_the_same_design(filled: Path) -> None:
    assert design(filled).fingerprint == design(filled).fingerprint
    spelled_out = design(filled, protocol="plain", recipe="nb201-12", seeds="random", charge_repeats=True)
    assert spelled_out.fingerprint == design(filled).fingerprint


@pytest.mark.parametrize(
    "changes", [{"budget": 101.0}, {"seeds": "mean"}, {"workers": 2}, {"protocol": "nats-tss"}, {"max_evaluations": 4}]
)
def test_whatever_changes_results_changes_the_design(filled: Path, changes: dict[str, object]) -> None:
    assert design(filled, **changes).fingerprint != design(filled).fingerprint


def test_an_edited_agent_is_another_agent(filled: Path, tmp_path: Path) -> None:
    mine = write_agent(tmp_path)
    before = replace(design(filled), agents=(mine,)).fingerprint
    assert write_agent(tmp_path, "assert task") == mine
    assert replace(design(filled), agents=(mine,)).fingerprint != before


def test_differences_are_told_in_words(filled: Path) -> None:
    before, after = design(filled).to_json(), replace(design(filled, budget=7.0), runs=9).to_json()
    assert differences(before, after) == ["tasks.nb201/cifar10.budget: 100.0, now 7.0", "runs: 3, now 9"]
    assert differences(before, before) == []
    assert differences({"a": None}, {"b": 1}) == ["b: nothing, now 1"]


def test_an_agent_that_cannot_search_a_space_stops_the_study_before_it_starts():
    task = TaskSpec("nb101-5/cluttered-digits", budget=10.0)
    with pytest.raises(UnsuitableTask, match="nb101-5"):
        StudyDesign((task,), ("random_search", "gdas"), 1).check()


def test_settings_of_agents_are_part_of_the_design(filled: Path) -> None:
    before = replace(design(filled), agents=("regularized_evolution",))
    after = replace(before, settings={"regularized_evolution": {"population": 5}})
    assert differences(before.to_json(), after.to_json()) == [
        "agents.regularized_evolution.settings.population: 10, now 5"
    ]
    assert after.settings_words == ["regularized_evolution.population=5"]
    as_the_default = replace(before, settings={"regularized_evolution": {"population": 10}})
    assert as_the_default.fingerprint == before.fingerprint
    with pytest.raises(UnknownName, match="Did you mean 'population'"):
        replace(before, settings={"regularized_evolution": {"populaton": 5}}).check()
    with pytest.raises(InvalidSetting, match="population of RegularizedEvolution must be at least"):
        replace(before, settings={"regularized_evolution": {"population": 0}}).check()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["gdas.epochs=10", "gdas.learning_rate=1e-2"], {"gdas": {"epochs": 10, "learning_rate": 0.01}}),
        (["gdas.epochs=10", "gdas.epochs=3"], {"gdas": {"epochs": 3}}),
        (
            ["gdas:nats.affine=true", "gdas.clock=operations"],
            {"gdas:nats": {"affine": True}, "gdas": {"clock": "operations"}},
        ),
        (["gdas.checkpoints=10", "gdas.epochs=ten"], {"gdas": {"checkpoints": "10", "epochs": "ten"}}),
    ],
)
def test_settings_in_words_are_of_the_type_of_their_defaults(words: list[str], found: dict[str, object]) -> None:
    assert parse_settings(words, ("gdas", "gdas:nats")) == found


@pytest.mark.parametrize("word", ["gdas", "epochs=10", "gdas.epochs", ".epochs=10", "gdas.=10"])
def test_settings_of_another_form_are_refused(word: str) -> None:
    with pytest.raises(InvalidSetting, match="such as gdas.epochs=10; got"):
        parse_settings([word], ("gdas",))


def test_agents_whose_every_run_would_fail_stop_the_study_and_all_are_named(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table knows the last epoch alone; a package is not installed; trainings have 12 epochs and not 20."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    agents = ("random_search", "hyperband", "bohb", "bohb:nb201-2020", "asha", "tpe", write_agent(tmp_path))
    settings = {"asha": {"min_epochs": 20}}
    with pytest.raises(UnsuitableTask) as caught:
        replace(design(filled), agents=agents, settings=settings).check()
    said = str(caught.value)
    assert [name for name in agents if f"{name} cannot search {TASK}: " in said] == ["hyperband", "bohb", "asha", "tpe"]
    assert f"the table {KEY} knows no training of 1 epochs" in said and "under nasbench201-2020-lengths" in said
    assert "min_epochs must be at most 12" in said and "pip install 'nasgym[optuna]'" in said


def test_whole_trainings_and_joined_tables_serve_agents_of_many_lengths(filled: Path, tmp_path: Path) -> None:
    agents = ("hyperband", "bohb", "successive_halving", "asha")
    whole = replace(design(filled), agents=agents, settings={agent: {"min_epochs": 12} for agent in agents})
    whole.check()
    joined = replace(design(filled, protocol="nasbench201-2020-lengths"), agents=agents)
    joined.check()
    empty = design(tmp_path / "empty", protocol="nasbench201-2020-lengths", on_missing="train")
    replace(empty, agents=agents).check()  # all that is asked for is trained
