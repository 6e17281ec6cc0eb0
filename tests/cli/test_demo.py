"""`nasgym demo`: what a newcomer sees first."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from nasgym.cli import demonstrating
from nasgym.store import Store
from nasgym.testing import fill_synthetic
from tests.cli.conftest import Run


def check(said: str) -> None:
    """Look for a row per agent and the picture."""
    for agent in demonstrating.AGENTS:
        assert any(line.startswith(agent) and " ± " in line for line in said.splitlines())
    (plot,) = [line.removeprefix("plot: ") for line in said.splitlines() if line.startswith("plot: ")]
    assert Path(plot).stat().st_size > 10_000


def test_it_prints_a_table_and_the_path_of_a_plot(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstrating, "RUNS", 3)
    fill_synthetic(Store(tmp_path / "store"), seeds=(0,))
    check(run("demo", "--store", tmp_path / "store", "--jobs", 1).stdout)


def test_it_needs_neither_a_network_nor_a_training(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASGYM_EMBEDDED", "1")
    monkeypatch.setattr("nasgym.task.making._LazyTrainer.__call__", lambda *_: pytest.fail("something was trained"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("something was fetched"))
    check(run("demo", "--jobs", 1).stdout)
    assert not (tmp_path / "nasgym-home" / "store").exists(), "what is only read makes no store"
