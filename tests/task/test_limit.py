"""A limit on the number of evaluations ends a search like the budget does."""

import math
from dataclasses import replace

import numpy as np
import pytest

from nasgym.errors import InvalidBudget
from nasgym.task import PROTOCOLS, make_task
from nasgym.testing import synthetic_task


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch", [1, 2, 7, 100])
def test_exactly_so_many_evaluations_run(batch, workers):
    task = synthetic_task(budget=None, max_evaluations=10, workers=workers)
    while not task.exhausted:
        outcome = task.evaluate(task.space.from_index(np.arange(batch)))
    assert task.evaluations == len(task.trajectory) == 10
    assert np.isnan(outcome.accuracies).sum() == (~outcome.counted).sum() == -10 % batch
    assert not task.evaluate(task.space.from_index([5])).counted.any()
    task.restart()
    assert not task.exhausted and task.evaluate(task.space.from_index([5])).counted.all()


def test_submitted_jobs_count_when_they_start_and_still_come_back():
    task = synthetic_task(budget=None, max_evaluations=3, workers=2)
    accepted = [task.submit(task.space.from_index([i])[0]) for i in range(5)]
    assert accepted == [True, True, True, False, False]
    assert task.exhausted and task.running == 3
    assert [task.next().index for _ in range(3)] == [0, 1, 2]
    assert task.next() is None and task.evaluations == 3


@pytest.mark.parametrize(("budget", "evaluations"), [(35.0, 3), (1_000.0, 8)])
def test_budget_and_limit_hold_together(budget, evaluations):
    task = synthetic_task(budget=budget, max_evaluations=8, seconds=10.0)
    task.evaluate(task.space.from_index(np.arange(20)))
    assert task.evaluations == evaluations and task.exhausted


def test_a_task_knows_whether_every_search_on_it_ends():
    free_repeats = replace(PROTOCOLS["plain"], charge_repeats=False)
    assert synthetic_task(budget=100.0).bounded
    assert not synthetic_task(budget=None).bounded
    assert not synthetic_task(budget=math.inf).bounded
    assert not synthetic_task(budget=100.0, protocol=free_repeats).bounded  # the same cell again and again, at no cost
    assert synthetic_task(budget=100.0, protocol=free_repeats, max_evaluations=1).bounded


@pytest.mark.parametrize("limit", [0, -1, 2.5, True, "3"])
def test_a_limit_is_a_whole_number_above_zero(limit, tmp_path):
    with pytest.raises(InvalidBudget, match="whole number above 0"):
        make_task(store=tmp_path, max_evaluations=limit)
