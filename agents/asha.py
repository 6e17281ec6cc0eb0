"""ASHA: successive halving that never waits for a rung to fill."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from nasgym.agents._fidelity import check_rungs, rungs
from nasgym.agents._workers import Job, keep_busy
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.task import Result, Task

__all__ = ["ASHA"]


@dataclass(frozen=True, kw_only=True)
class ASHA(Agent):
    """When a worker is free, train on what is among the best of its rung so far, else something new.

    The highest rung that has an architecture in its best ``1/eta`` which is not yet promoted gives the job.
    """

    name: ClassVar[str] = "asha"
    family: ClassVar[str] = "multi-fidelity"
    source: ClassVar[str] = "Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, algorithm 2"

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"li-2020": {"eta": 4, "min_epochs": 1}, "nats": {"eta": 3, "min_epochs": 1}}
    )

    eta: int = setting(
        3, "Ratio of epochs from rung to rung (Li et al., 2018; their experiments of 2020 have 4).", low=2
    )
    min_epochs: int = setting(1, "Least epochs of the lowest rung (the budgets of NATS-Bench's BOHB).", low=1)

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def check_task(self, task: Task) -> None:
        """Raise where every search would fail, see the base."""
        super().check_task(task)
        check_rungs(task, rungs(task, self.eta, self.min_epochs))

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        run = _Run(task, begin(task, seed), self.eta, rungs(task, self.eta, self.min_epochs))
        keep_busy(task, run.ask, run.tell)


@dataclass(frozen=True, eq=False)
class RungJob(Job):
    """A job and the rung that it climbs to."""

    rung: int = field(kw_only=True)


class _Rung:
    """Results of one rung; each arrival takes a logarithm of their number, so that long searches stay linear."""

    def __init__(self) -> None:
        self._ranks: list[tuple[float, int]] = []  # all, best first, equal ones as they arrived
        self._waiting: list[tuple[float, int, RungJob, Result]] = []  # a heap of those not promoted, the best on top

    def add(self, job: RungJob, result: Result) -> None:
        rank = (-result.accuracy, len(self._ranks))
        insort(self._ranks, rank)
        heappush(self._waiting, (*rank, job, result))

    def promotable(self, eta: int) -> tuple[RungJob, Result] | None:
        """Take out the best that is not promoted yet; None where it is not among the best ``1/eta``."""
        if not self._waiting or bisect_left(self._ranks, self._waiting[0][:2]) >= len(self._ranks) // eta:
            return None
        return heappop(self._waiting)[2:]


class _Run:
    """The rungs of one search."""

    def __init__(self, task: Task, rng: np.random.Generator, eta: int, epochs: list[int]) -> None:
        self._task, self._rng, self._eta, self._epochs = task, rng, eta, epochs
        self._rungs = [_Rung() for _ in epochs]

    def ask(self) -> RungJob:
        for rung in range(len(self._epochs) - 2, -1, -1):
            if (best := self._rungs[rung].promotable(self._eta)) is not None:
                job, result = best
                return RungJob(job.genotype, self._epochs[rung + 1], result, rung=rung + 1)
        return RungJob(self._task.space.sample(self._rng, 1)[0], self._epochs[0], rung=0)

    def tell(self, job: RungJob, result: Result) -> None:
        self._rungs[job.rung].add(job, result)
