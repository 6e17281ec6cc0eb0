"""SMAC drives SMAC3 by ask and tell: it minimises one minus the accuracy, and looks at the best again."""

import numpy as np
import pytest

from nasgym.agents import get_agent
from nasgym.testing import synthetic_task

pytest.importorskip("smac")


def test_what_looks_best_is_evaluated_again_and_the_first_are_the_initial_design():
    task = synthetic_task(budget=250.0, accuracy=lambda g: 0.3 + 0.1 * (g == 2).sum(axis=1))
    get_agent("smac", initial=8, challengers=50, repeats=2).search(task, 0)
    trail = task.trajectory.arrays()
    assert len(trail.indices) == 25
    times = np.bincount(trail.indices)
    assert times.max() == 2, "at most `repeats` evaluations"
    assert times[task.incumbent.index] == 2, "the best is one of those"
    assert len(set(trail.indices.tolist())) > 10
