"""Random search: architectures drawn uniformly, with repetition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nasgym.agents.base import Agent, begin, check_settings, setting
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
        drawn = task.space.sample(rng, _DRAWN)
        at = 0
        while not task.exhausted:
            if at == _DRAWN:
                drawn, at = task.space.sample(rng, _DRAWN), 0
            task.evaluate(drawn[at : at + self.block])
            at += len(drawn[at : at + self.block])


_DRAWN = 1024  # drawn at once whatever the block, so that the block does not change the sequence
