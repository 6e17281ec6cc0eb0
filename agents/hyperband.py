"""Hyperband: successive halving with every trade between many short and few long trainings in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from types import MappingProxyType
from typing import Any, ClassVar

from nasgym.agents._fidelity import Bracket, check_rungs, climb, hyperband_sizes, rungs
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.task import Task

__all__ = ["Hyperband"]


@dataclass(frozen=True, kw_only=True)
class Hyperband(Agent):
    """Successive halving in brackets, from many architectures with few epochs to few ones trained to the end.

    The brackets follow each other, the one with most rungs first, and begin anew after the last.
    """

    name: ClassVar[str] = "hyperband"
    family: ClassVar[str] = "multi-fidelity"
    source: ClassVar[str] = "Li et al., Hyperband, JMLR 2018, algorithm 1"

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "nats": {"eta": 3, "min_epochs": 1},
            "nb101": {"eta": 3, "min_epochs": 4},
            "nb201-2020": {"eta": 16, "min_epochs": 12},  # 12 and 200 epochs, the budgets of that BOHB
        }
    )

    eta: int = setting(3, "Ratio of epochs, and of architectures, from rung to rung (Li et al., 2018).", low=2)
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
        rng = begin(task, seed)
        epochs = rungs(task, self.eta, self.min_epochs)
        top = len(epochs) - 1

        def brackets() -> Iterator[Bracket]:
            for s in cycle(range(top, -1, -1)):
                sizes = hyperband_sizes(top, s, self.eta)
                yield Bracket(sizes, epochs[top - s :], lambda: task.space.sample(rng, 1)[0])

        climb(task, brackets(), lambda job, result: None)
