"""How the command line shows things: handsome in a terminal, plain in a pipe."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from textwrap import fill
from typing import Any

import typer

__all__ = ["counter", "entries", "fact", "status", "stopping", "study_progress", "table"]

_GAP, _FOLDED = 3, 24  # characters between columns, and that a column of words needs at least
_PIPE_WIDTH = 100  # of words where there is no terminal
_LINE_SECONDS = 30.0  # between two lines of progress where nothing can be redrawn


def entries(heads: list[str], rows: list[list[str]]) -> None:
    """Print rows of many words on stdout: a table where a terminal is wide enough for one, else a list for each row."""
    if sys.stdout.isatty():
        table(heads, rows)
    else:
        _lists(heads, rows, _PIPE_WIDTH)


def table(heads: list[str], rows: list[list[str]], *, title: str = "") -> None:
    """Print a table on stdout; what looks like a number stands to the right.

    Where a terminal is too narrow for it, each row becomes a list of its own.
    """
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(heads))]
    if not sys.stdout.isatty():
        _plain(heads, rows, right, title)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if title:
        console.print(Text(title, style="bold"))
    firm = [True, *right[1:]]  # names and numbers stay whole, other words may be folded
    widths = [_width(heads, rows, i) for i in range(len(heads))]
    if sum(_GAP + (w if f else min(w, _FOLDED)) for w, f in zip(widths, firm, strict=True)) > console.width:
        _lists(heads, rows, console.width)
        return
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head, to_right, whole in zip(heads, right, firm, strict=True):
        drawn.add_column(Text(head), justify="right" if to_right else "left", no_wrap=whole)
    for row in rows:
        drawn.add_row(*map(Text, row))
    console.print(drawn)


def fact(name: str, value: object) -> None:
    """Print one named fact on stdout."""
    typer.echo(f"{typer.style(name, bold=True)}: {value}")


def status(text: str) -> None:
    """Say on stderr what is going on."""
    typer.secho(text, err=True, dim=True)


@contextmanager
def stopping(kept: Callable[[], str]) -> Iterator[None]:
    """End an interrupted command with exit code 130: say what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        words = shlex.join(["nasgym", *sys.argv[1:]])
        typer.secho(f"interrupted; {kept()}. Go on with: {words}", fg="yellow", err=True)
        raise typer.Exit(130) from None


@contextmanager
def study_progress(what: str) -> Iterator[Callable[[Any], None]]:
    """Show how far a study is, on stderr; yields what `nasgym.study.run_study` calls with its `Progress`."""
    with counter(what, total=1.0) as advance:
        yield lambda progress: advance(progress.share, _note(progress))


@contextmanager
def counter(what: str, total: float | None = None) -> Iterator[Callable[[float, str], None]]:
    """Show how far a long work is, on stderr; yields ``show(done, note)``. In logs and pipes a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines(what, total)
        return
    with _bars() as bars:
        task = bars.add_task(what, total=total, note="")
        yield lambda done, note: bars.update(task, completed=done, note=note)


_drawn: list[Any] = []  # a work inside another one has its bar below that one's


@contextmanager
def _bars() -> Iterator[Any]:
    """Give what draws bars: that which draws already, else a new one."""
    if _drawn:
        yield _drawn[-1]
        return
    with _new_bars("{task.description}", "{task.fields[note]}") as bars:
        _drawn.append(bars)
        try:
            yield bars
        finally:
            _drawn.pop()


def _new_bars(first: str, last: str) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn(first), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(), TextColumn(last, style="dim"), console=Console(stderr=True),
    )  # fmt: skip


class _Lines:
    """Progress as lines, one now and then: for logs and pipes."""

    def __init__(self, what: str, total: float | None) -> None:
        self._what, self._total = what, total
        self._started = self._last = time.monotonic()

    def __call__(self, done: float, note: str) -> None:
        now = time.monotonic()
        if now - self._last >= _LINE_SECONDS:
            self._last = now
            share = f"{done / self._total:.0%}, " if self._total else ""
            typer.echo(f"{self._what}: {share}{note}, {now - self._started:.0f} s", err=True)


def _note(progress: Any) -> str:
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{progress.done} of {progress.total} runs{failed}, {progress.evaluations:,} evaluations"


def _plain(heads: list[str], rows: list[list[str]], right: list[bool], title: str) -> None:
    widths = [_width(heads, rows, i) for i in range(len(heads))]
    if title:
        typer.echo(title)
    for line in (heads, *rows):
        cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)]
        typer.echo("  ".join(cells).rstrip())


def _lists(heads: list[str], rows: list[list[str]], width: int) -> None:
    for row in rows:
        typer.secho(row[0], bold=True)
        for head, cell in zip(heads[1:], row[1:], strict=True):
            text = fill(f"{head}: {cell}", width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
            typer.echo(text)


def _width(heads: list[str], rows: list[list[str]], column: int) -> int:
    return max(len(line[column]) for line in (heads, *rows))


def _is_number(text: str) -> bool:
    return text in ("", "—") or text.lstrip("+-").replace(",", "")[:1].isdigit()
