"""A made-up task in memory: nothing is read, written or trained."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.benchmark import Benchmark
from nasgym.errors import MissingResult
from nasgym.recipes import DEFAULT_DATASET, default_recipe, get_recipe
from nasgym.results import Evaluation, Seed, Series
from nasgym.spaces import Genotypes, Indices, Space, get_space
from nasgym.store import Columns, Store, TableKey, TableMeta
from nasgym.task import Outcome, Protocol, Result, Task, get_protocol

__all__ = ["FailingTask", "made_up_accuracies", "synthetic_task"]


def made_up_accuracies(space: Space, genotypes: Genotypes) -> NDArray[np.float64]:
    """Return ``float64[n]``, fractions between 0.2 and 0.8: a sum of one random worth per choice, always the same."""
    worth = np.random.default_rng(0).normal(size=(space.num_decisions, int(space.choices.max())))
    total = worth[np.arange(space.num_decisions), genotypes].sum(axis=1)
    return np.asarray(0.5 + 0.3 * np.tanh(total / np.sqrt(space.num_decisions) / 2), dtype=np.float64)


def synthetic_task(
    space: str | Space = "nb201",
    *,
    accuracy: Callable[[Genotypes], NDArray[np.float64]] | float | None = None,
    seconds: float = 10.0,
    budget: float | None = 1_000.0,
    max_evaluations: int | None = None,
    protocol: str | Protocol = "plain",
    workers: int = 1,
    seed: int = 0,
) -> Task:
    """Return a task on made-up results of a whole space.

    Args:
        space: The search space.
        accuracy: Maps ``int8[n, num_decisions]`` to fractions ``float64[n]``; a number: all have it; None:
            `made_up_accuracies`.
        seconds: What each evaluation costs; one of fewer epochs its part of that.
        budget: Simulated seconds; None: no budget.
        max_evaluations: How many evaluations may run; None: no limit.
        protocol: The rules.
        workers: Simulated workers.
        seed: The task's seed.
    """
    found = get_space(space) if isinstance(space, str) else space
    if isinstance(accuracy, float):
        accuracies = np.full(found.size, accuracy)
    elif accuracy is None and isinstance(space, str):
        accuracies = _of_all(space)
    else:
        genotypes = found.from_index(np.arange(found.size))
        accuracies = made_up_accuracies(found, genotypes) if accuracy is None else accuracy(genotypes)
    key = TableKey(found.name, DEFAULT_DATASET, default_recipe(DEFAULT_DATASET, found.name))
    return Task(
        Benchmark(found, key, _InMemory(key, np.asarray(accuracies, dtype=np.float64), seconds)),
        get_protocol(protocol),
        budget=budget,
        max_evaluations=max_evaluations,
        workers=workers,
        seed=seed,
    )


@lru_cache(maxsize=8)
def _of_all(space: str) -> NDArray[np.float64]:
    """Return made-up accuracies of a whole space by index; drawing them for 423,624 cells takes a while."""
    found = get_space(space)
    accuracies = made_up_accuracies(found, found.from_index(np.arange(found.size)))
    accuracies.flags.writeable = False
    return accuracies


class FailingTask(Task):
    """The same as another task, from its beginning, with evaluations that raise `MissingResult`.

    Args:
        task: The other task.
        failing: Which calls that evaluate fail: their numbers from 0, failures counted.

    Attributes:
        asked: How many calls there were.
        fails: While it is True every call fails.
    """

    def __init__(self, task: Task, failing: Collection[int] = ()) -> None:
        super().__init__(task.benchmark, task.protocol, budget=task.budget)
        self._failing, self.asked, self.fails = failing, 0, False

    def evaluate_index(self, index: int) -> Result:
        """Evaluate one architecture, or fail."""
        self._ask()
        return super().evaluate_index(index)

    def evaluate_indices(self, indices: Indices) -> Outcome:
        """Evaluate architectures, or fail."""
        self._ask()
        return super().evaluate_indices(indices)

    def _ask(self) -> None:
        self.asked += 1
        if self.fails or self.asked - 1 in self._failing:
            raise MissingResult(f"call {self.asked - 1} was made to fail, by a check")


class _InMemory(Store):
    """A store of one table with one training per architecture, on no disk."""

    def __init__(self, key: TableKey, accuracies: NDArray[np.float64], seconds: float) -> None:
        super().__init__(Path("in memory"))
        self._key, self._accuracies, self._seconds = key, accuracies, seconds
        self._epochs = get_recipe(key.recipe).epochs

    def __contains__(self, key: object) -> bool:
        return key == self._key

    def meta(self, key: TableKey) -> TableMeta:
        return TableMeta(key, len(self._accuracies))

    def seeds(self, key: TableKey, index: int) -> list[Seed]:
        return [0]

    def get(self, key: TableKey, index: int, seed: Seed) -> Evaluation | None:
        if seed != 0:
            return None
        every = range(1, self._epochs + 1)
        accuracy = Series.of([float(self._accuracies[index] * self._rise(e)) for e in every], every, "fraction")
        seconds = Series.of([self._seconds * e / self._epochs for e in every], every, "seconds")
        return Evaluation(
            index, 0, self._epochs, {"valid_accuracy": accuracy, "test_accuracy": accuracy, "train_seconds": seconds}
        )

    def columns(self, key: TableKey, metrics: Sequence[str], epoch: int | None = None) -> Columns:
        reached = self._epochs if epoch is None else epoch
        known = {
            "valid_accuracy": self._accuracies * self._rise(reached),
            "test_accuracy": self._accuracies * self._rise(reached),
            "train_seconds": np.full(len(self._accuracies), self._seconds * reached / self._epochs),
        }
        unknown = np.full(len(self._accuracies), np.nan)
        rows = {metric: known.get(metric, unknown)[None] for metric in metrics}
        return Columns((0,), rows, np.ones((1, len(self._accuracies)), dtype=np.bool_), generation=0)

    def _rise(self, epoch: int) -> float:
        """Return the part of the final accuracy that is reached after some epochs: 0.6 at first, then linear."""
        return 1.0 if epoch == self._epochs else 0.6 + 0.4 * (epoch - 1) / (self._epochs - 1)

    def __reduce__(self) -> tuple[Callable[..., _InMemory], tuple[Any, ...]]:
        return type(self), (self._key, self._accuracies, self._seconds)
