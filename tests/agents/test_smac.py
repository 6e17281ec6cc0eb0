"""SMAC drives SMAC3 by ask and tell: it minimises one minus the accuracy, and looks at the best again."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nasgym.agents import get_agent
from nasgym.agents.smac import _ordered
from nasgym.testing import synthetic_task

pytest.importorskip("smac")


def test_the_library_is_told_one_minus_each_accuracy_of_what_it_asked_for(monkeypatch):
    from smac import HyperparameterOptimizationFacade as Facade

    told, tell = [], Facade.tell

    def kept(self, info, value, save=True):
        told.append((info, value))
        tell(self, info, value, save)

    monkeypatch.setattr(Facade, "tell", kept)
    seconds = np.linspace(5.0, 15.0, 15_625)
    task = synthetic_task(seconds=seconds, budget=200.0, workers=2)
    get_agent("smac", initial=5, challengers=50).search(task, 0)
    trail = task.trajectory.arrays()
    rows = np.array([[info.config[f"{i}"] for i in range(6)] for info, _ in told], dtype=np.int8)
    assert len(rows) > 15 and task.space.index(rows).tolist() == trail.indices.tolist()
    assert [value.cost for _, value in told] == pytest.approx(1.0 - trail.accuracies)
    assert [value.time for _, value in told] == trail.seconds.tolist()


def test_starts_of_the_local_search_are_in_one_order_whatever_the_library_returns():
    for order in ([3, 1, 2], [2, 3, 1]):
        values = [SimpleNamespace(get_array=lambda n=n: np.array([n, 0])) for n in order]
        local = SimpleNamespace(_get_init_points_from_previous_configs=lambda *_, given=values: list(given))
        _ordered(SimpleNamespace(_local_search=local))
        assert [v.get_array()[0] for v in local._get_init_points_from_previous_configs(1, 2)] == [1, 2, 3]


@pytest.mark.slow
def test_equal_seeds_give_equal_searches_in_processes_that_salt_hashes_differently():
    code = (
        "from nasgym.agents import get_agent; from nasgym.testing import synthetic_task\n"
        "task = synthetic_task(budget=300.0)\n"
        "get_agent('smac', initial=5, challengers=50).search(task, 0)\n"
        "print(task.trajectory.arrays().indices.tolist())"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": salt}, check=True, capture_output=True
        ).stdout
        for salt in ("0", "1")
    ]
    assert found[0] == found[1]


def test_what_looks_best_is_evaluated_again_and_the_first_are_the_initial_design():
    task = synthetic_task(budget=250.0, accuracy=lambda g: 0.3 + 0.1 * (g == 2).sum(axis=1))
    get_agent("smac", initial=8, challengers=50, repeats=2).search(task, 0)
    trail = task.trajectory.arrays()
    assert len(trail.indices) == 25
    times = np.bincount(trail.indices)
    assert times.max() == 2, "at most `repeats` evaluations"
    assert times[task.incumbent.index] == 2, "the best is one of those"
    assert len(set(trail.indices.tolist())) > 10
