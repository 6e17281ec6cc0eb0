"""A filled store for the environments, and a small space whose choices forbid each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture
from nasgym.spaces import CellGraph, Genotypes, Indices, Macro
from nasgym.store import Store
from nasgym.task import Task
from nasgym.testing import fill_synthetic, synthetic_task


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose store holds made-up results of all NAS-Bench-201 cells on the default data set, two seeds each."""
    path = tmp_path_factory.mktemp("filled-home")
    fill_synthetic(Store(path / "store"), seeds=(0, 1))
    return path


@pytest.fixture
def filled(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the filled store the user's."""
    monkeypatch.setenv("NASGYM_HOME", str(home))
    return home


class ToySpace:
    """Three decisions with 2, 3 and 2 options; 1 in the first forbids 2 in the second: 10 of 12 combinations."""

    name = "toy"
    size = 10
    num_decisions = 3

    def __init__(self) -> None:
        cells = np.stack(np.unravel_index(np.arange(12), (2, 3, 2)), axis=1).astype(np.int8)
        self._cells = cells[~((cells[:, 0] == 1) & (cells[:, 1] == 2))]

    @property
    def choices(self) -> NDArray[np.int64]:
        return np.array([2, 3, 2])

    def decision_labels(self) -> tuple[str, ...]:
        return ("a", "b", "c")

    def choice_labels(self, decision: int) -> tuple[str, ...]:
        return tuple(f"{decision}{k}" for k in range(self.choices[decision]))

    def action_mask(self, partial: NDArray[np.integer], step: int) -> NDArray[np.bool_]:
        mask = np.zeros((len(partial), 3), dtype=np.bool_)
        mask[:, : self.choices[step]] = True
        if step == 1:
            mask[:, 2] = partial[:, 0] == 0
        return mask

    def is_valid(self, genotypes: NDArray[np.integer]) -> NDArray[np.bool_]:
        rows = np.asarray(genotypes)
        inside = ((rows >= 0) & (rows < self.choices)).all(axis=1)
        return np.asarray(inside & ~((rows[:, 0] == 1) & (rows[:, 1] == 2)))

    def index(self, genotypes: NDArray[np.integer]) -> Indices:
        order = {tuple(cell): i for i, cell in enumerate(self._cells.tolist())}
        return np.array([order[tuple(row)] for row in np.asarray(genotypes).tolist()], dtype=np.int64)

    def from_index(self, indices: NDArray[np.integer] | Sequence[int]) -> Genotypes:
        return self._cells[np.asarray(indices)]

    def to_str(self, genotypes: NDArray[np.integer]) -> list[str]:
        if not self.is_valid(genotypes).all():
            raise InvalidArchitecture(f"not a toy: {np.asarray(genotypes).tolist()}")
        return ["".join(map(str, row)) for row in np.asarray(genotypes).tolist()]

    def from_str(self, strings: Sequence[str]) -> Genotypes:
        return np.array([[int(c) for c in s] for s in strings], dtype=np.int8)

    def canonical(self, genotypes: NDArray[np.integer]) -> Indices:
        return self.index(genotypes)

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        return self._cells[rng.integers(0, self.size, n)]

    def mutate(self, rng: np.random.Generator, genotypes: NDArray[np.integer]) -> Genotypes:
        return self.from_index((self.index(genotypes) + 1) % self.size)

    def neighbours(self, genotypes: NDArray[np.integer]) -> list[Genotypes]:
        return [self._cells[(self._cells != row).sum(axis=1) == 1] for row in np.asarray(genotypes)]

    def parameters(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        return np.ones(len(genotypes), dtype=np.int64)

    def flops(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        return np.ones(len(genotypes), dtype=np.int64)

    def operation_names(self) -> tuple[str, ...]:
        return ("choice",)

    def computed_operations(self, genotypes: NDArray[np.integer]) -> NDArray[np.int64]:
        return np.asarray(genotypes).sum(axis=1, keepdims=True, dtype=np.int64)

    def graph(self, genotype: NDArray[np.integer]) -> CellGraph:
        ops = ["?" if op < 0 else str(op) for op in np.asarray(genotype).tolist()]
        return CellGraph(("in", *ops, "out"), tuple((i, i + 1, "") for i in range(4)))


@pytest.fixture
def toy() -> Task:
    """A task without a budget on the toy space."""
    return synthetic_task(ToySpace(), budget=None)
