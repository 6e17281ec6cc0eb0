"""Regularized (aging) evolution: the best of a small sample is mutated, the oldest dies."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from nasgym.agents._workers import Job, keep_busy
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.spaces import Genotypes
from nasgym.task import Task

__all__ = ["RegularizedEvolution"]


@dataclass(frozen=True, kw_only=True)
class RegularizedEvolution(Agent):
    """Keep a population; mutate the best of a random sample of it; the child replaces the oldest member.

    The first members are drawn uniformly. The mutation is the search space's published one. Several simulated workers
    do not wait for each other: a child has its parent among the results that are in when its worker is free.
    """

    name: ClassVar[str] = "regularized_evolution"
    family: ClassVar[str] = "evolution"
    source: ClassVar[str] = (
        "Real et al., AAAI 2019, algorithm 1; population, sample and mutation as in NAS-Bench-201, ICLR 2020, section 5"
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "nb201-2020": {"population": 10, "sample": 3},
            "nats": {"population": 10, "sample": 3},
            "real-2019": {"population": 100, "sample": 25},
            "small": {"population": 4, "sample": 2},  # for budgets of ten evaluations or so
        }
    )

    population: int = setting(10, "Members alive at once (NAS-Bench-201, 2020).", low=1)
    sample: int = setting(3, "Members drawn, with repetition, for a parent (NAS-Bench-201, 2020).", low=1)

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        rng = begin(task, seed)
        alive: deque[tuple[float, Genotypes]] = deque(maxlen=self.population)  # a full deque drops its oldest member
        first = iter(task.space.sample(rng, self.population))

        def ask() -> Job:
            member = next(first, None)
            if member is None:  # without any result yet, on more workers than members: one more drawn uniformly
                (member,) = task.space.mutate(rng, self._parent(rng, alive)) if alive else task.space.sample(rng, 1)
            return Job(member)

        keep_busy(task, ask, lambda job, result: alive.append((result.accuracy, job.genotype[None])))

    def _parent(self, rng: np.random.Generator, alive: deque[tuple[float, Genotypes]]) -> Genotypes:
        """Return the best of a sample, ``int8[1, num_decisions]``; the first drawn wins a tie."""
        drawn = rng.integers(0, len(alive), size=self.sample).tolist()
        return max((alive[i] for i in drawn), key=lambda member: member[0])[1]
