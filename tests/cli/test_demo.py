"""`nasgym demo`: what a newcomer sees first."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasgym.cli import demonstrating
from nasgym.store import Store
from nasgym.testing import fill_synthetic
from tests.cli.conftest import Run


def test_it_prints_a_table_and_the_path_of_a_plot(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    fill_synthetic(Store(store), seeds=(0,))
    said = run("demo", "--store", store, "--jobs", 1).stdout
    for agent in demonstrating.AGENTS:
        assert any(line.startswith(agent) and " ± " in line for line in said.splitlines())
    (plot,) = [line.removeprefix("plot: ") for line in said.splitlines() if line.startswith("plot: ")]
    assert Path(plot).stat().st_size > 10_000
    assert f"{demonstrating.MAX_EVALUATIONS} evaluations" in said


@pytest.mark.slow
def test_what_is_missing_is_trained_and_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstrating, "AGENTS", ("random_search", "local_search"))
    monkeypatch.setattr(demonstrating, "MAX_EVALUATIONS", 2)
    monkeypatch.setattr(demonstrating, "BUDGET", 10_000.0)
    monkeypatch.setattr(demonstrating, "RUNS", 1)
    words = ("demo", "--store", tmp_path / "store", "--jobs")
    first = run(*words, 2, "--out", "first")
    (table,) = Store(tmp_path / "store").tables()
    assert 2 <= table.rows <= 4
    monkeypatch.setattr("nasgym.training.Trainer.__call__", lambda *_: pytest.fail("trained again"))
    again = run(*words, 1, "--out", "again")
    assert first.stdout.replace("first", "again") == again.stdout
    assert Store(tmp_path / "store").tables()[0].rows == table.rows
