"""`nasgym fill` on the real data set, a few cells of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from nasgym.store import Store

Run = Callable[..., Result]


@pytest.mark.slow
def test_cells_are_trained_once_and_merge(run: Run, tmp_path: Path) -> None:
    first = run("fill", "--limit", "2", "--workers", "1", "--into", "part.nasgym")
    assert "trained now: 2" in first.stdout
    run("store", "merge", "part.nasgym", "--store", tmp_path / "store")
    second = run("fill", "--limit", "2", "--seeds", "2", "--workers", "1", "--store", tmp_path / "store")
    assert "there already: 2" in second.stdout
    assert "trained now: 2" in second.stdout
    (table,) = Store(tmp_path / "store").tables()
    assert table.rows == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "nb201"), "space/dataset"),
        (("--task", "nb201/cifar11"), "cifar10"),
        (("--recipe", "nb201-13"), "nb201-12"),
        (("--store", "here", "--into", "there"), "not both"),
        (("--device", "gpu"), "'auto' or 'cpu'"),
    ],
)
def test_wrong_words_are_named(run: Run, words: tuple[str, ...], said: str) -> None:
    assert said in run("fill", *words, code=1).stderr
