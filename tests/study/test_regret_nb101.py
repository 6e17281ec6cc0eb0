"""Regret under the protocol of NAS-Bench-101: mean test accuracies, against the best that the table knows."""

from pathlib import Path

import pytest

from nasgym.results import Evaluation, Series
from nasgym.spaces import get_space
from nasgym.store import Store, TableKey
from nasgym.study import StudyDesign, TaskSpec, analyse, run_study
from nasgym.study.reporting import task_facts

BEST = 0.943175752957662  # the published optimum, the mean of three trainings
AGENT = """
class Few:
    def search(self, task, seed):
        task.evaluate(task.space.from_index([7, 8]))
"""


def trained(index: int, seed: int, valid: float, test: float) -> Evaluation:
    shown = {"valid_accuracy": valid, "test_accuracy": test}
    series = {name: Series.of([value], [108], "fraction") for name, value in shown.items()}
    return Evaluation(index, seed, 108, {**series, "train_seconds": Series.of([1000.0], [108], "seconds")})


def test_it_is_the_distance_of_mean_test_accuracies_from_the_best(tmp_path: Path) -> None:
    """The incumbent is 8 by what was seen; 9, which is best, is never evaluated."""
    store, key = Store(tmp_path / "store"), TableKey("nb101", "cifar10", "nb101-108")
    store.ensure_table(key, get_space("nb101").size)
    off = (-0.001, 0.0, 0.001)
    cells = {7: (0.90, 0.935), 8: (0.95, 0.93), 9: (0.92, BEST)}
    store.put(key, [trained(i, s, v + off[s], t + off[s]) for i, (v, t) in cells.items() for s in range(3)])
    (tmp_path / "few.py").write_text(AGENT)
    spec = TaskSpec("nb101/cifar10", protocol="nb101", on_missing="error", store=str(tmp_path / "store"))
    task = analyse(run_study(StudyDesign((spec,), (f"{tmp_path / 'few.py'}:Few",), 2), tmp_path / "out")).tasks[0]
    assert task.tables[0].score.metric == "test_accuracy"
    assert task.finals[0].indices.tolist() == [8, 8]
    assert task.finals[0].regret == pytest.approx([BEST - 0.93] * 2)
    assert "best known: test 94.32 (of 3 of 423,624 architectures)" in "\n".join(task_facts(task))
