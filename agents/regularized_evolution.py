"""Regularized (aging) evolution: the best of a small sample is mutated, the oldest dies."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from nasgym.agents._proxies import CLOCKS, Ranker, check_proxies, different
from nasgym.agents._workers import Job, keep_busy
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.spaces import Genotypes
from nasgym.task import Task

__all__ = ["RegularizedEvolution"]


@dataclass(frozen=True, kw_only=True)
class RegularizedEvolution(Agent):
    """Keep a population; mutate the best of a random sample of it; the child replaces the oldest member.

    The first members are drawn uniformly, or are the best by zero-cost proxies of a pool that is. The mutation is the
    search space's published one. Several simulated workers do not wait for each other: a child has its parent among
    the results that are in when its worker is free.
    """

    name: ClassVar[str] = "regularized_evolution"
    family: ClassVar[str] = "evolution"
    source: ClassVar[str] = (
        "Real et al., AAAI 2019, algorithm 1; population, sample and mutation as in NAS-Bench-201, ICLR 2020, section 5"
        "; warm start as in Abdelfattah et al., ICLR 2021, section 5"
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "nb201-2020": {"population": 10, "sample": 3},
            "nats": {"population": 10, "sample": 3},
            "nb101": {"population": 50, "sample": 10},
            "real-2019": {"population": 100, "sample": 25},
            "small": {"population": 4, "sample": 2},  # for budgets of ten evaluations or so
            "warm": {"warm_start": "flops", "pool": 1000},
            "warm-synflow": {"warm_start": "synflow", "pool": 1000},
        }
    )

    population: int = setting(10, "Members alive at once (NAS-Bench-201, 2020).", low=1)
    sample: int = setting(3, "Members drawn, with repetition, for a parent (NAS-Bench-201, 2020).", low=1)
    warm_start: str = setting(
        "none",
        "Proxies that choose the first members from a pool (see zero_cost), joined by + where several vote; or 'none'.",
    )
    pool: int = setting(1000, "Architectures drawn for a warm start (a choice; Abdelfattah et al. have 3000).", low=1)
    clock: str = setting(
        "measured",
        "What a warm start is charged: its 'measured' seconds, or its 'operations' at a fixed rate.",
        options=CLOCKS,
    )
    images: int = setting(128, "Images in the one minibatch of a warm start, as of zero_cost.", low=2)
    share: float = setting(
        0.5, "Part of the budget that a warm start may take at most, as of zero_cost.", above=0, high=1
    )
    device: str = setting(
        "auto", "Where networks run for a warm start: 'auto' (where the task trains), 'cpu', 'cuda', 'cuda:1'."
    )

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)
        if self.warm_start != "none":
            check_proxies(self.warm_start)

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        rng = begin(task, seed)
        alive: deque[tuple[float, Genotypes]] = deque(maxlen=self.population)  # a full deque drops its oldest member
        first = iter(self._first(task, rng, seed))

        def ask() -> Job:
            member = next(first, None)
            if member is None:  # without any result yet, on more workers than members: one more drawn uniformly
                (member,) = task.space.mutate(rng, self._parent(rng, alive)) if alive else task.space.sample(rng, 1)
            return Job(member)

        keep_busy(task, ask, lambda job, result: alive.append((result.accuracy, job.genotype[None])))

    def _first(self, task: Task, rng: np.random.Generator, seed: int) -> Genotypes:
        """Return the first members, at most ``population``."""
        if self.warm_start == "none":
            return task.space.sample(rng, self.population)
        ranker = Ranker(
            task, self.warm_start, seed, clock=self.clock, images=self.images, device=self.device, share=self.share
        )
        pool = different(task.space, task.space.sample(rng, self.pool))
        return ranker.ranked(pool)[: self.population]

    def _parent(self, rng: np.random.Generator, alive: deque[tuple[float, Genotypes]]) -> Genotypes:
        """Return the best of a sample, ``int8[1, num_decisions]``; the first drawn wins a tie."""
        drawn = rng.integers(0, len(alive), size=self.sample).tolist()
        return max((alive[i] for i in drawn), key=lambda member: member[0])[1]
