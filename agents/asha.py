"""ASHA: successive halving that never waits for a rung to fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from nasgym.agents._fidelity import rungs
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

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        run = _Run(task, begin(task, seed), self.eta, rungs(task, self.eta, self.min_epochs))
        keep_busy(task, run.ask, run.tell)


@dataclass(frozen=True, eq=False)
class RungJob(Job):
    """A job and the rung that it climbs to."""

    rung: int = field(kw_only=True)


@dataclass(eq=False)
class _Member:
    job: RungJob
    result: Result
    promoted: bool = False


class _Run:
    """The rungs of one search."""

    def __init__(self, task: Task, rng: np.random.Generator, eta: int, epochs: list[int]) -> None:
        self._task, self._rng, self._eta, self._epochs = task, rng, eta, epochs
        self._rungs: list[list[_Member]] = [[] for _ in epochs]  # each with its best first

    def ask(self) -> RungJob:
        for rung in range(len(self._epochs) - 2, -1, -1):
            members = self._rungs[rung]
            for member in members[: len(members) // self._eta]:
                if not member.promoted:
                    member.promoted = True
                    epochs = self._epochs[rung + 1]
                    return RungJob(member.job.genotype, epochs, member.result, rung=rung + 1)
        return RungJob(self._task.space.sample(self._rng, 1)[0], self._epochs[0], rung=0)

    def tell(self, job: RungJob, result: Result) -> None:
        members = self._rungs[job.rung]
        members.append(_Member(job, result))
        members.sort(key=lambda member: -member.result.accuracy)
