"""`nasgym query` and `nasgym train`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasgym.results import Evaluation, Series, TableKey
from nasgym.spaces import get_space
from nasgym.store import Store
from tests.cli.conftest import Run
from tests.study.samples import TASK

CONVS = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def test_query_shows_every_stored_training(run: Run, filled: Path) -> None:
    said = run("query", "7", "--task", TASK, "--store", filled).stdout
    space = get_space("nb201")
    assert f"architecture: {space.to_str(space.from_index([7]))[0]}" in said
    assert "parameters: " in said and "FLOPs: " in said and "class of equal cells: " in said
    rows = [line.split()[:3] for line in said.splitlines() if line.startswith("nb201-")]
    assert rows == [
        ["nb201-12", "0", "12"],
        ["nb201-12", "7", "12"],
        ["nb201-12", "mean", "12"],
        ["nb201-200", "0", "200"],
    ]


def test_query_by_string_is_query_by_index(run: Run, filled: Path) -> None:
    index = int(get_space("nb201").index(get_space("nb201").from_str([CONVS]))[0])
    by_string = run("query", CONVS, "--dataset", "cifar10", "--store", filled).stdout
    assert by_string == run("query", str(index), "--task", TASK, "--store", filled).stdout
    assert "parameters: 1,531,546\n" in by_string  # the official figure for this cell


def test_query_shows_percent(run: Run, filled: Path) -> None:
    said = run("query", "7", "--task", TASK, "--recipe", "nb201-12", "--seed", "7", "--store", filled).stdout
    stored = Store(filled).get(TableKey("nb201", "cifar10", "nb201-12"), 7, 7)
    assert stored is not None and stored.valid_accuracy is not None
    row = said.splitlines()[-1].split()
    assert row[:4] == ["nb201-12", "7", "12", "—"] and row[4] == f"{100 * stored.valid_accuracy:.2f}"


def test_query_at_an_epoch(run: Run, tmp_path: Path) -> None:
    store, key = Store(tmp_path / "store"), TableKey("nb201", "cifar10", "nb201-12")
    store.ensure_table(key, 15625)
    curve = Series.of(np.linspace(0.1, 0.12, 12), range(1, 13), "fraction")
    store.put(key, [Evaluation(3, 0, 12, {"valid_accuracy": curve})])
    said = run("query", "3", "--task", TASK, "--epoch", "6", "--store", tmp_path / "store").stdout
    assert said.splitlines()[-1].split()[:5] == ["nb201-12", "0", "6", "—", f"{100 * curve.values[5]:.2f}"]


def rows(said: str) -> list[list[str]]:
    return [line.split()[:2] for line in said.splitlines() if line.startswith("nb201-")]


def test_a_recipe_without_the_seed_is_left_out(run: Run, tmp_path: Path) -> None:
    """As in the published table: after 12 epochs only a mean, after 200 the seeds."""
    store = Store(tmp_path / "store")
    for recipe, epochs, seed in (("nb201-12", 12, "mean"), ("nb201-200", 200, 0)):
        key = TableKey("nb201", "cifar10", recipe)
        store.ensure_table(key, 15625)
        store.put(key, [Evaluation(3, seed, epochs, {"valid_accuracy": Series.of(0.5, epochs, "fraction")})])  # type: ignore[arg-type]
    words = ("query", "3", "--task", TASK, "--store", tmp_path / "store", "--seed")
    assert rows(run(*words, 0).stdout) == [["nb201-200", "0"]]
    assert rows(run(*words, "mean").stdout) == [["nb201-12", "mean"], ["nb201-200", "mean"]]
    assert "seed 5" in run(*words, 5, code=1).stderr


def test_an_equal_network_answers(run: Run, tmp_path: Path) -> None:
    space, store = get_space("nb201"), Store(tmp_path / "store")
    classes = space.canonical(space.from_index(np.arange(space.size)))
    other = int(np.flatnonzero(classes != np.arange(space.size))[0])
    key = TableKey("nb201", "cifar10", "nb201-12")
    store.ensure_table(key, space.size)
    store.put(key, [Evaluation(int(classes[other]), 4, 12, {"valid_accuracy": Series.of(0.5, 12, "fraction")})])
    words = ("query", other, "--task", TASK, "--store", tmp_path / "store")
    assert "is not in the table" in run(*words, code=1).stderr
    assert rows(run(*words, "--share-equal").stdout) == [["nb201-12", "4"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("|none~0|+",), "nodes"),
        (("|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|",), "nor_conv_5x5"),
        (("15625",), "15625"),
        (("-1",), "-1"),
        (("7", "--seed", "best"), "'best'"),
        (("7", "--seed", "random"), "random"),
        (("7", "--seed", "99"), "seed 99"),
        (("7", "--recipe", "nb201-20"), "nb201-200"),
        (("7", "--task", "nb201/cifar"), "cifar10"),
        (("7", "--dataset", "cifar-10"), "cifar10"),
        (("7", "--dataset", "cifar100"), "not in the table"),
    ],
)
def test_a_wrong_question_is_one_line(run: Run, filled: Path, words: tuple[str, ...], said: str) -> None:
    options = ("--store", filled) if "--task" in words else ("--store", filled, "--task", TASK)
    words = ("--", *words) if words == ("-1",) else words
    result = run("query", *options, *words, code=1)
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ") and said in line and "Traceback" not in line


@pytest.mark.slow
def test_train_trains_once_and_keeps_it(run: Run, tmp_path: Path) -> None:
    words = ("train", CONVS.replace("nor_conv_3x3", "skip_connect"), "--seed", "3", "--store", tmp_path / "store")
    first = run(*words)
    (table,) = Store(tmp_path / "store").tables()
    epochs = [line.split()[0] for line in first.stdout.splitlines() if line.split()[0].isdigit()]
    assert epochs == [str(e) for e in range(1, len(epochs) + 1)] and len(epochs) >= 5
    assert table.rows == 1 and table.seeds == (3,)
    again = run(*words)
    assert "already stored; nothing was trained" in again.stderr and again.stdout == first.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("|none~0|+",), "nodes"),
        (("7", "--device", "tpu"), "tpu"),
        (("7", "--dataset", "cifar10"), "cifar10"),
        (("7", "--dataset", "imagefolder:/nowhere/at/all"), "/nowhere/at/all"),
        (("7", "--dataset", "imagenet16-120", "--download"), "imagenet16-120"),
        (("7", "--seed", "-1"), "got -1"),
    ],
)
def test_what_cannot_be_trained_is_said(run: Run, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    result = run("train", *words, "--store", tmp_path / "store", code=1)
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert said.lower() in result.stderr.lower() and "Traceback" not in result.stderr
