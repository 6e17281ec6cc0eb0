"""Progress where nothing can be redrawn: a line now and then."""

from __future__ import annotations

import pytest
import typer

from nasgym.cli import show
from nasgym.cli.filling import _note
from nasgym.training.fill import FillProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still; its one element is the time."""
    now = [0.0]
    monkeypatch.setattr("nasgym.cli.show.time.monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_every_half_minute(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with show.counter("filling", total=200.0) as advance:
        for second in range(0, 91, 10):
            clock[0] = second
            advance(second, f"{second} done")
    assert capsys.readouterr().err.splitlines() == [
        "filling: 15%, 30 done, 30 s",
        "filling: 30%, 60 done, 60 s",
        "filling: 45%, 90 done, 90 s",
    ]


def test_without_a_total_there_is_no_share(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with show.counter("reading") as advance:
        clock[0] = 31
        advance(5.0, "5 rows")
    assert capsys.readouterr().err == "reading: 5 rows, 31 s\n"


def test_what_a_filling_says() -> None:
    assert _note(FillProgress(46_875, 1_000, 0, 0, 500.0, 4.0)) == (
        "1,000 of 46,875, 4.00 cells/s (mean 2.00), 3.2 h left"
    )
    said = _note(FillProgress(100, 50, 3, 7, 100.0, 0.25))
    assert said == "50 of 100, 3 failed, 0.25 cells/s (mean 0.50), 3 min left"
    assert _note(FillProgress(100, 90, 0, 0, 90.0, 1.0)).endswith(", 10 s left")
    assert _note(FillProgress(100, 0, 4, 0, 10.0)) == "0 of 100, 4 failed, 0.00 cells/s (mean 0.00)"


def test_an_interrupt_says_what_is_kept_and_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["nasgym", "fill", "--into", "my file"])
    with pytest.raises(typer.Exit) as end, show.stopping(lambda: "7 cells are kept"):
        raise KeyboardInterrupt
    assert end.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted; 7 cells are kept. Go on with: nasgym fill --into 'my file'\n"
