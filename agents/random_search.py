"""Random search: architectures drawn uniformly, with repetition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nasgym.agents._workers import Job, keep_busy
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.spaces import Genotypes
from nasgym.task import Task

__all__ = ["RandomSearch"]


@dataclass(frozen=True, kw_only=True)
class RandomSearch(Agent):
    """Evaluate architectures drawn uniformly, with repetition, until the budget is spent."""

    name: ClassVar[str] = "random_search"
    family: ClassVar[str] = "random"
    source: ClassVar[str] = "Bergstra and Bengio, JMLR 2012; with repetition as in NAS-Bench-201, ICLR 2020, section 5"

    block: int = setting(64, "Architectures evaluated per call, for speed; the sequence is the same for all.", low=1)

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        rng = begin(task, seed)
        if task.workers > 1:
            rows = (row for block in _blocks(task, rng, _DRAWN) for row in block)
            keep_busy(task, lambda: Job(next(rows)), lambda job, result: None)
            return
        for block in _blocks(task, rng, self.block):
            if task.exhausted:
                return
            task.evaluate(block)


_DRAWN = 1024  # drawn at once whatever the block, so that the block does not change the sequence


def _blocks(task: Task, rng: np.random.Generator, size: int) -> Iterator[Genotypes]:
    """Draw without end, in blocks of at most ``size``."""
    while True:
        drawn = task.space.sample(rng, _DRAWN)
        for first in range(0, _DRAWN, size):
            yield drawn[first : first + size]
