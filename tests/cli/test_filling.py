"""`nasgym fill` on the real data set, a few cells of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from nasgym.errors import DatasetUnavailable
from nasgym.results import TableKey
from nasgym.spaces import get_space
from nasgym.store import Store
from nasgym.training.fill import cells_of
from tests.cli.conftest import Spawn

Run = Callable[..., Result]
DIGITS = "nb201/cluttered-digits/cluttered-digits-10"


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


@pytest.mark.slow
def test_an_interrupt_keeps_what_was_trained_and_says_how_to_go_on(spawn: Spawn, tmp_path: Path) -> None:
    words = ("fill", "--limit", "400", "--workers", "2", "--members", "1", "--device", "cpu", "--store", "store")
    run, store, key = spawn(*words), Store(tmp_path / "store"), TableKey.parse(DIGITS)
    try:
        while run.poll() is None and not (key in store and store.cells(key)):
            time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=240)
    finally:
        run.kill()
    assert run.returncode == 130, errors
    last = errors.splitlines()[-1]
    assert last.startswith("interrupted; results of ") and "cells are kept" in last
    assert "Traceback" not in errors
    kept = store.cells(key)
    assert f"results of {len(kept)} of 400 cells" in last and store.verify() == []
    left = [cell for cell in cells_of(get_space("nb201"), [0], limit=400) if cell not in kept]
    assert store.claim_all(key, left, 60) == left, "claims were not given up"


def test_the_data_set_is_fetched_where_that_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(name: str) -> None:
        raise DatasetUnavailable(f"fetching {name} failed.")

    monkeypatch.setattr("nasgym.training.download", unavailable)
    words = ("fill", "--task", "nb201/cifar10", "--limit", "1", "--into", "part.nasgym")
    assert "fetching cifar10 failed." in run(*words, "--download", code=1).stderr
    error = run(*words, code=1).stderr
    assert "nasgym fill" in error and "--download" in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "nb201"), "space/dataset"),
        (("--task", "nb201/cifar11"), "cifar10"),
        (("--recipe", "nb201-13"), "nb201-12"),
        (("--store", "here", "--into", "there"), "not both"),
        (("--device", "gpu"), "'auto' or 'cpu'"),
        (("--executor", "dask"), "'local' and 'ray'"),
        (("--ray-address", "10.0.0.1:6379"), "needs the executor 'ray'"),
    ],
)
def test_wrong_words_are_named(run: Run, words: tuple[str, ...], said: str) -> None:
    assert said in run("fill", *words, code=1).stderr
