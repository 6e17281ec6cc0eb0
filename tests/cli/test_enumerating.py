"""What the command line shows of the enumeration of a space."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nasgym.cli import show
from nasgym.cli.enumerating import showing_enumeration
from nasgym.spaces.nb101 import hashing, table
from tests.cli.conftest import Run

LOG = logging.getLogger("nasgym.spaces.nb101.table")


@pytest.fixture
def no_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user who never opened the space; its cells of up to 5 vertices count as many."""
    monkeypatch.setenv("NASGYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(table, "_SLOW", 5)
    monkeypatch.setattr(hashing, "_CHUNK", 1000)
    table.open_table.cache_clear()
    yield
    table.open_table.cache_clear()


@pytest.mark.usefixtures("no_cells")
def test_progress_is_shown_from_the_first_cell_to_the_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[object] = []

    @contextmanager
    def counter(what: str, total: float | None = None) -> Iterator[Callable[[float, str], None]]:
        shown.append((what, total))
        yield lambda done, note: shown.append((done, note))
        shown.append("closed")

    monkeypatch.setattr(show, "counter", counter)
    monkeypatch.setattr(show, "status", shown.append)
    with showing_enumeration():
        table.open_table(5)
    said, begun, *steps, last, end = shown
    assert said == f"enumerating the 2,532 cells of NAS-Bench-101, once, about half a minute: {table.cache_file(5)}"
    assert (begun, last, end) == (("enumerating", 1.0), (1.0, "2,532 of 2,532 cells"), "closed")
    shares = [share for share, _ in steps]  # type: ignore[misc]
    assert len(shares) >= 3 and shares == sorted(shares) and 0 < shares[0] < shares[-1] < 1
    assert not LOG.handlers and LOG.level == logging.NOTSET
    table.open_table.cache_clear()
    with showing_enumeration():
        table.open_table(5)
    assert shown[-1] is end, "the second time the cells are read from their file"


@pytest.mark.usefixtures("no_cells")
def test_a_pipe_gets_a_line(run: Run) -> None:
    said = run("query", "01/00", "--task", "nb101-5/cifar10", code=1).stderr
    assert said.count("enumerating the 2,532 cells of NAS-Bench-101, once") == 1
    assert "enumerating" not in run("query", "01/00", "--task", "nb101-5/cifar10", code=1).stderr


def test_a_work_inside_another_one_is_drawn_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with show.counter("outer", 1.0) as outer:
        (bars,) = show._drawn
        outer(0.5, "half")
        with show.counter("inner", 1.0) as inner:
            inner(0.25, "a quarter")
        assert show._drawn == [bars]
        assert [(task.description, task.completed) for task in bars.tasks] == [("outer", 0.5), ("inner", 0.25)]
    assert show._drawn == []
