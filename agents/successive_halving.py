"""Successive halving: many short trainings, and longer ones for the best of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from nasgym.agents._fidelity import Bracket, check_rungs, climb, rungs
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.task import Task

__all__ = ["SuccessiveHalving"]


@dataclass(frozen=True, kw_only=True)
class SuccessiveHalving(Agent):
    """Train many architectures for a few epochs, go on with the best of them, and again; then start anew.

    Of each rung the best ``1/eta`` (at least one) train on, ``eta`` times as long in all.
    """

    name: ClassVar[str] = "successive_halving"
    family: ClassVar[str] = "multi-fidelity"
    source: ClassVar[str] = "Jamieson and Talwalkar, AISTATS 2016; as a bracket of Li et al., JMLR 2018"

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"nats": {"eta": 3, "min_epochs": 1}, "nb101": {"eta": 3, "min_epochs": 4}}
    )

    eta: int = setting(3, "Ratio of epochs, and of architectures, from rung to rung (Li et al., 2018).", low=2)
    min_epochs: int = setting(1, "Least epochs of the lowest rung (the budgets of NATS-Bench's BOHB).", low=1)
    size: int = setting(
        27, "Architectures at the lowest rung; a choice: with four rungs, one of them is trained to the end.", low=1
    )

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
        sizes = [max(1, self.size // self.eta**i) for i in range(len(epochs))]

        def brackets() -> Iterator[Bracket]:
            while True:
                yield Bracket(sizes, epochs, lambda: task.space.sample(rng, 1)[0])

        climb(task, brackets(), lambda job, result: None)
