"""The conformance check of agents. It raises `AssertionError` and needs no test framework."""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nasgym.agents import Agent, get_agent
from nasgym.results import Seed
from nasgym.spaces import Space
from nasgym.store import Columns, Store, TableKey
from nasgym.task import PROTOCOLS, SimulatedClock, Task
from nasgym.testing.tasks import synthetic_task

__all__ = ["check_agent"]

_SECONDS = 10.0
_OVERSHOOTING = replace(PROTOCOLS["plain"], overshoot=True)
_GUESSING = 0.1  # the accuracy that a diverged training has, of ten classes
_PATIENCE = 2_000  # questions after the end before the check gives up: a batch of environments asks many times


def check_agent(agent: Agent | str, *, space: str | Space = "nb201", evaluations: int = 40, seed: int = 0) -> None:
    """Check that an agent keeps the rules, on a made-up task in memory.

    It spends the whole budget and stops there, no more than one evaluation late, stops at ``max_evaluations`` where
    there is no budget, copes with a refused evaluation and with trainings that all diverged, reads no test metric, and
    leaves the global random generators as they were. Its seed determines the trajectory, with all seconds: an agent
    that charges measured ones is checked on a clock that counts (``clock="operations"``). All that on one simulated
    worker; on three, under a protocol that lets evaluations end after the budget, no more than one of each worker does.
    An agent that ends with its answer (``settles``) need not spend the budget, but must evaluate something.

    Args:
        agent: The agent, or its spec as for `nasgym.agents.get_agent`.
        space: The search space of the task.
        evaluations: How many evaluations the task allows.
        seed: The seed of the searches.

    Raises:
        AssertionError: A rule is broken; the message says which.
    """
    tested = get_agent(agent) if isinstance(agent, str) else agent
    budget = evaluations * _SECONDS
    first = _run(tested, synthetic_task(space, seconds=_SECONDS, budget=budget), seed)
    _check_spent(tested, first, "the budget allows more")
    _check_seeded(tested, space, first, seed, budget)
    tight = _run(tested, synthetic_task(space, seconds=_SECONDS, budget=budget - 1.0), seed)
    _check_spent(tested, tight, "a refused evaluation at the budget's edge: evaluations were lost")
    _check_diverged(tested, space, seed, budget)
    late = synthetic_task(space, seconds=_SECONDS, budget=budget - 1.0, workers=3, protocol=_OVERSHOOTING)
    _check_edge(_run(tested, late, seed))
    limited = _run(tested, synthetic_task(space, budget=None, max_evaluations=evaluations), seed)
    if _settles(tested):
        assert 1 <= limited.evaluations <= evaluations, f"max_evaluations={evaluations}: {limited.evaluations}"
        return
    assert limited.evaluations == evaluations, f"max_evaluations={evaluations}: {limited.evaluations} evaluations"


def _settles(agent: Agent) -> bool:
    return getattr(agent, "settles", False)


def _check_spent(agent: Agent, task: Task, says: str) -> None:
    """Raise unless what is left is less than one evaluation; evaluations of fewer epochs cost less."""
    assert task.evaluations, "the agent ended without an evaluation"
    if not _settles(agent):
        left = task.budget - task.seconds
        assert left < _SECONDS, f"{task.evaluations} evaluations left {left} of {task.budget} s: {says}"


def _check_edge(task: Task) -> None:
    """Raise where more than the last evaluation of a worker ends after the budget."""
    late = int((task.trajectory.arrays().finished > task.budget).sum())
    assert late <= task.workers, f"{late} evaluations of {task.workers} workers ended after the budget"


class _WatchedClock(SimulatedClock):
    """Stops an agent that goes on after the end: every way to evaluate asks the clock first."""

    _asked = 0
    _over = False

    @property
    def exhausted(self) -> bool:
        if self._over:
            self._asked += 1
            assert self._asked <= _PATIENCE, "the agent goes on after task.exhausted"
        return self._over

    @exhausted.setter
    def exhausted(self, over: bool) -> None:
        self._over, self._asked = over, 0


def _run(agent: Agent, task: Task, seed: int) -> Task:
    """Search, and check what is left behind."""
    task.clock = _WatchedClock(
        task.budget, workers=task.workers, overshoot=task.protocol.overshoot, max_jobs=task.max_evaluations
    )
    _hide_test_metrics(task.benchmark.store)
    before = _global_generators()
    agent.search(task, seed)
    for name, state in _global_generators().items():
        changed = name in before and before[name] != state
        assert not changed, f"the global generator of {name} was changed: draw from a generator of your own"
    assert task.exhausted or _settles(agent), f"the search ended with {task.remaining} simulated seconds left"
    late = task.seconds - task.budget
    assert late <= _SECONDS, f"the search ended {late} simulated seconds after the budget, longer than an evaluation"
    assert task.running == 0, f"{task.running} submitted evaluations were never collected with next()"
    return task


def _hide_test_metrics(store: Store) -> None:
    """Make the store complain of whoever asks for a test metric, or for a whole record with one in it."""
    columns = store.columns

    def watched(key: TableKey, metrics: Sequence[str], epoch: int | None = None) -> Columns:
        asked = [metric for metric in metrics if metric.startswith("test")]
        assert not asked, f"the agent reads {', '.join(asked)}: test metrics are for the study, after the run"
        return columns(key, metrics, epoch)

    def refused(key: TableKey, index: int, seed: Seed) -> None:
        raise AssertionError("the agent reads a record with a test metric: evaluate through the task")

    store.columns, store.get = watched, refused  # type: ignore[method-assign]


def _check_seeded(agent: Agent, space: str | Space, first: Task, seed: int, budget: float) -> None:
    again, other = (_run(agent, synthetic_task(space, seconds=_SECONDS, budget=budget), s) for s in (seed, seed + 1))
    drawn, repeated = first.trajectory.arrays(), again.trajectory.arrays()
    for name, column, same in zip(drawn._fields, drawn, repeated, strict=True):
        assert np.array_equal(column, same), f"equal seeds gave different searches: other {name}"
    assert first.seconds == again.seconds, "equal seeds gave different searches: other seconds were spent"
    assert not np.array_equal(drawn.indices, other.trajectory.arrays().indices), "different seeds gave the same search"


def _check_diverged(agent: Agent, space: str | Space, seed: int, budget: float) -> None:
    """Raise unless the agent goes on where every training diverged: all have the accuracy of guessing."""
    task = synthetic_task(space, seconds=_SECONDS, budget=budget, accuracy=_GUESSING)
    try:
        _run(agent, task, seed)
    except Exception as error:
        raise AssertionError(f"where all trainings diverged and their accuracies are equal: {error!r}") from error
    _check_spent(agent, task, "where all trainings diverged, evaluations were lost")


def _global_generators() -> dict[str, bytes]:
    states = {"Python": pickle.dumps(random.getstate()), "numpy": pickle.dumps(np.random.get_state())}
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return states
