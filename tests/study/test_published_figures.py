"""The published tables, reproduced on the real results; skipped where these are not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasgym.executors import Processes
from nasgym.importers import import_csv
from nasgym.spaces import get_space
from nasgym.store import Store
from nasgym.study import StudyDesign, TaskReport, TaskSpec, analyse, run_study

AGENTS = ("random_search", "regularized_evolution", "reinforce")
RUNS = 500

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def real_results(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("real") / "store"
    names = {"12": "nb201-12", "200": "nb201-200"}
    table = shared_data / "nb201-results.csv.gz"
    import_csv(Store(path), table, space=get_space("nb201"), unit="percent", recipes=names)
    return path


def study(store: Path, protocol: str, out: Path) -> TaskReport:
    spec = TaskSpec("nb201/cifar10", protocol=protocol, on_missing="error", store=str(store))
    done = run_study(StudyDesign((spec,), AGENTS, RUNS), out, executor=Processes(2))
    assert not done.failures
    return analyse(done).tasks[0]


def means(report: TaskReport, score: str) -> list[float]:
    return [100 * summary.quantities[score].mean for summary in report.summaries]


def test_the_2020_protocol(real_results: Path, tmp_path: Path) -> None:
    report = study(real_results, "nasbench201-2020", tmp_path / "out")
    assert means(report, "cifar10 valid") == pytest.approx([90.93, 91.19, 91.09], abs=0.1)
    assert means(report, "cifar100 valid") == pytest.approx([70.93, 71.81, 71.61], abs=0.4)


def test_the_nats_protocol(real_results: Path, tmp_path: Path) -> None:
    report = study(real_results, "nats-tss", tmp_path / "out")
    assert means(report, "valid") == pytest.approx([91.07, 91.25, 91.12], abs=0.15)
