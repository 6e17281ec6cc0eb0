"""What trainings gave, by module, epochs and repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, Protocol, TypeAlias

from nasgym.compat.nasbench.modules import Modules, UnknownHash
from nasgym.spaces import Indices

__all__ = ["NAMES", "Results", "Run", "Statistics", "has_results", "no_results", "statistics_of"]

NAMES = tuple(
    f"{stage}_{name}"
    for stage in ("halfway", "final")
    for name in ("training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
)
"""What is known of a training: seconds and accuracies (fractions), halfway and at its end."""
Run: TypeAlias = tuple[float, ...]
"""One training: a number for each of `NAMES`."""


class Results(Protocol):
    """Trainings of the modules of NAS-Bench-101, by the index of the module in the space ``nb101``."""

    @property
    def epochs(self) -> tuple[int, ...]:
        """Lengths of the trainings that there are, ascending."""
        ...

    def indices(self) -> Indices:
        """Return the modules that have trainings, ascending."""
        ...

    def run(self, index: int, epochs: int, repeat: int) -> Run | None:
        """Return one training of a module, or None where there is none; without repeat 0 there are no others."""
        ...

    def parameters(self, index: int) -> int:
        """Return the trainable parameters of a module that has trainings, as the first of them tells."""
        ...


def statistics_of(results: Results, index: int) -> dict[int, list[dict[str, float]]]:
    """Return all trainings of a module in the original's form: epochs -> repeats -> numbers by name."""
    found = {epochs: list(_runs(results, index, epochs)) for epochs in results.epochs}
    return {epochs: [dict(zip(NAMES, run, strict=True)) for run in runs] for epochs, runs in found.items() if runs}


def has_results(results: Results, index: int) -> bool:
    """Tell whether a module has trainings of any length."""
    return any(results.run(index, epochs, 0) is not None for epochs in results.epochs)


def _runs(results: Results, index: int, epochs: int) -> Iterator[Run]:
    for repeat in count():
        run = results.run(index, epochs, repeat)
        if run is None:
            return
        yield run


def no_results(digits: str) -> UnknownHash:
    """Return the error of a module that is in the space but not in the data."""
    return UnknownHash(
        f"there are no official results of the module {digits} here: open, or import, a file that has it "
        "(`nasgym import nasbench101 PATH`)."
    )


class Statistics(Mapping[str, dict[Any, Any]]):
    """Statistics by hash, read when they are asked for: each answer is the caller's to change.

    Args:
        modules: The modules.
        results: Their trainings.
        make: Index -> statistics; None where there are none.
    """

    def __init__(self, modules: Modules, results: Results, make: Callable[[int], dict[Any, Any] | None]) -> None:
        self._modules, self._results, self._make = modules, results, make

    def __getitem__(self, module_hash: str) -> dict[Any, Any]:
        """Return the statistics of a module; raises `UnknownHash`, a KeyError, where there are none."""
        found = self._make(self._modules.index_of_hash(module_hash))
        if found is None:
            raise no_results(module_hash)
        return found

    def __contains__(self, module_hash: object) -> bool:
        """Tell whether a module has results."""
        try:
            index = self._modules.index_of_hash(module_hash)
        except UnknownHash:
            return False
        return has_results(self._results, index)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the hashes, ascending."""
        return self._modules.hashes(self._results.indices())

    def __len__(self) -> int:
        """Return how many modules have results."""
        return len(self._results.indices())

    def __repr__(self) -> str:
        """Return how many there are, not all of them."""
        return f"<statistics of {len(self):,} modules>"
