"""Local search: walk to better neighbours, start again at a local optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.spaces import Genotypes
from nasgym.task import Task

__all__ = ["LocalSearch"]


@dataclass(frozen=True, kw_only=True)
class LocalSearch(Agent):
    """From a random architecture, evaluate neighbours in random order and move to a better one until there is none.

    Neighbours differ in one decision. At a local optimum the search starts again from a fresh draw. What was evaluated
    in the run is remembered and not paid for twice, only a start is always evaluated. Several simulated workers take
    one neighbour each, and the search moves to the best of those if it is better.
    """

    name: ClassVar[str] = "local_search"
    family: ClassVar[str] = "local search"
    source: ClassVar[str] = (
        "White, Nolen and Savani, Exploring the Loss Landscape in Neural Architecture Search, UAI 2021, algorithm 1; "
        "den Ottelander et al., EMO 2021, for moving at once"
    )

    move: str = setting(
        "first",
        "'first' moves to the first neighbour that is better (den Ottelander et al., 2021; query until lower of White "
        "et al., 2021), 'best' evaluates all neighbours and moves to the best (White et al., 2021, algorithm 1).",
        options=("first", "best"),
    )

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        rng = begin(task, seed)
        seen: dict[int, float] = {}
        while not task.exhausted:
            here = task.space.sample(rng, 1)
            accuracy = _evaluate(task, here, seen)
            while not task.exhausted:
                around = rng.permutation(task.space.neighbours(here)[0])
                move = self._better(task, around, accuracy, seen)
                if move is None:
                    break
                here, accuracy = move

    def _better(
        self, task: Task, around: Genotypes, accuracy: float, seen: dict[int, float]
    ) -> tuple[Genotypes, float] | None:
        """Return the neighbour ``int8[1, num_decisions]`` to move to and its accuracy; None at a local optimum."""
        at_once = len(around) if self.move == "best" else task.workers
        for first in range(0, len(around), at_once):
            group = around[first : first + at_once]
            keys = task.space.index(group).tolist()
            new = [i for i, key in enumerate(keys) if key not in seen]
            if new:
                _evaluate(task, group[new], seen)
            top = max(range(len(keys)), key=lambda i: seen.get(keys[i], -np.inf))
            if seen.get(keys[top], -np.inf) > accuracy:
                return group[top : top + 1], seen[keys[top]]
        return None


def _evaluate(task: Task, genotypes: Genotypes, seen: dict[int, float]) -> float:
    """Evaluate and remember what the budget did not refuse; return the accuracy of the first."""
    outcome = task.evaluate(genotypes)
    n = int(outcome.counted.sum())  # a refusal ends the budget, so what counted comes first
    seen.update(zip(outcome.indices[:n].tolist(), outcome.accuracies[:n].tolist(), strict=True))
    return float(outcome.accuracies[0])
