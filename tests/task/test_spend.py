"""Seconds that are no evaluation: the clock moves, and nothing else does."""

import math

import numpy as np
import pytest

from nasgym.errors import InvalidSetting
from nasgym.testing import synthetic_task

CELL = np.zeros((1, 6), dtype=np.int8)


def test_the_clock_moves_and_the_trajectory_does_not():
    task = synthetic_task(budget=100.0, seconds=10.0)
    task.evaluate(CELL)
    task.spend(25.5)
    assert (task.seconds, task.remaining, task.evaluations, len(task.trajectory)) == (35.5, 64.5, 1, 1)
    assert task.evaluate(CELL).finished.tolist() == [45.5]


def test_an_evaluation_that_no_longer_fits_is_refused():
    task = synthetic_task(budget=100.0, seconds=10.0)
    task.spend(90.5)
    assert not task.exhausted
    assert not task.evaluate(CELL).counted[0] and task.exhausted


@pytest.mark.parametrize("seconds", [100.0, 107.0])
def test_what_was_measured_is_charged_even_past_the_budget_and_ends_the_task(seconds):
    task = synthetic_task(budget=100.0)
    task.spend(seconds)
    assert task.seconds == seconds and task.exhausted and task.remaining == 0.0
    assert not task.submit(CELL[0]) and task.incumbent is None


def test_all_workers_are_busy_meanwhile():
    task = synthetic_task(budget=100.0, seconds=10.0, workers=3)
    task.evaluate(CELL)  # one worker; the others wait for it
    task.spend(20.0)
    assert all(task.submit(CELL[0]) for _ in range(3))
    assert [task.next().finished for _ in range(3)] == [40.0, 40.0, 40.0]


def test_it_is_no_job():
    task = synthetic_task(budget=None, max_evaluations=1)
    task.spend(1e9)
    assert not task.exhausted and task.evaluate(CELL).counted[0]


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_seconds_are_finite_and_not_negative(seconds):
    with pytest.raises(InvalidSetting, match="seconds to spend"):
        synthetic_task().spend(seconds)


def test_not_while_jobs_are_running():
    task = synthetic_task(workers=2)
    task.submit(CELL[0])
    with pytest.raises(InvalidSetting, match="1 submitted jobs are running"):
        task.spend(1.0)


def test_the_dearest_evaluation_of_a_table_is_known_beforehand():
    assert synthetic_task(seconds=12.5).dearest == 12.5
