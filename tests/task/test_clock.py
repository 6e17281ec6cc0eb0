"""The simulated clock: budgets, workers and the edge."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.errors import InvalidBudget, InvalidSetting
from nasgym.task.clock import SimulatedClock

jobs = st.lists(st.floats(0.0, 50.0, allow_nan=False), max_size=30)


@pytest.mark.parametrize("budget", [0, -1, -0.0, float("nan"), "100", True])
def test_a_budget_must_be_above_zero(budget):
    with pytest.raises(InvalidBudget, match="above 0"):
        SimulatedClock(budget)


@pytest.mark.parametrize("workers", [0, -2, 1.5])
def test_workers_must_be_a_whole_number(workers):
    with pytest.raises(InvalidSetting, match="workers"):
        SimulatedClock(workers=workers)


def test_a_budget_may_be_any_real_number():
    assert SimulatedClock(np.int64(5)).budget == 5.0
    assert SimulatedClock(np.float32(2.5)).budget == 2.5


def test_without_overshoot_a_job_that_would_end_late_is_refused_and_ends_the_clock():
    clock = SimulatedClock(10.0)
    assert clock.charge(6.0) == 6.0
    assert clock.charge(5.0) is None
    assert clock.now == 6.0
    assert clock.exhausted
    assert clock.charge(1.0) is None, "shorter jobs are not squeezed in after a refusal"


def test_a_job_that_ends_exactly_at_the_budget_runs():
    clock = SimulatedClock(10.0)
    assert clock.charge(10.0) == 10.0
    assert clock.exhausted
    assert clock.remaining == 0.0


def test_with_overshoot_the_last_job_may_end_late():
    clock = SimulatedClock(10.0, overshoot=True)
    assert clock.charge(6.0) == 6.0
    assert not clock.exhausted
    assert clock.charge(7.0) == 13.0
    assert clock.exhausted
    assert clock.charge(0.1) is None


def test_two_workers_run_side_by_side():
    clock = SimulatedClock(100.0, workers=2)
    assert [clock.start(s) for s in (5.0, 3.0, 4.0)] == [5.0, 3.0, 7.0]
    clock.advance(7.0)
    assert clock.start(1.0) == 8.0, "a worker idle since 5 cannot start in the past"


def test_joining_workers_waits_for_the_last_job():
    clock = SimulatedClock(workers=2)
    assert [clock.start(s) for s in (5.0, 3.0, 4.0)] == [5.0, 3.0, 7.0]
    clock.join()
    assert clock.now == 7.0
    assert clock.start(1.0) == 8.0


def test_no_budget_never_ends():
    clock = SimulatedClock()
    assert math.isinf(clock.remaining)
    assert len(clock.charge_all(np.full(1000, 1e9))) == 1000
    assert not clock.exhausted


@given(jobs, st.floats(1.0, 200.0), st.booleans())
def test_a_batch_is_charged_like_its_jobs_one_by_one(seconds, budget, overshoot):
    one, batch = (SimulatedClock(budget, overshoot=overshoot) for _ in range(2))
    singles = [end for s in seconds if (end := one.charge(s)) is not None]
    assert batch.charge_all(np.array(seconds, dtype=float)).tolist() == singles
    assert (batch.now, batch.exhausted) == (one.now, one.exhausted)
