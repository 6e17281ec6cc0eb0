"""The official results in a store, architecture by architecture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nasgym.compat.arch_results import ArchResults
from nasgym.errors import UnknownName
from nasgym.importers.official_names import OFFICIAL_DATASETS, architecture_string, table_of, tables_of
from nasgym.results import Evaluation, TableKey
from nasgym.store import Columns, Store

__all__ = ["OFFICIAL_SEEDS", "StoredResults"]

OFFICIAL_SEEDS = (111, 777, 888, 999)
"""The seeds of the published trainings."""
_R = TypeVar("_R", bound=ArchResults)


class StoredResults:
    """What the official files gave a store. Results from elsewhere in the same tables are passed over.

    Args:
        store: The store.
        space: ``"nb201"`` or ``"nats-sss"``.
    """

    def __init__(self, store: Store, space: str) -> None:
        self.store, self.space = store, space
        self.recipes = tuple(dict.fromkeys(hp for _, hp in tables_of(space).values()))
        self._indexes: frozenset[int] | None = None

    def trials(self, index: int, hp: str, dataset: str) -> list[Evaluation]:
        """Return the trials of one architecture on one data set, seeds ascending; [] where there are none."""
        if hp not in self.recipes or dataset not in OFFICIAL_DATASETS:
            return []
        return list(self._official(table_of(self.space, dataset, hp), index))

    def results(self, kind: type[_R], index: int, hp: str, dataset: str | None = None) -> _R | None:
        """Return all trials of one architecture under one recipe (of one data set), or None where there are none."""
        if hp not in self.recipes:
            return None
        names = OFFICIAL_DATASETS if dataset is None else [dataset] if dataset in OFFICIAL_DATASETS else []
        keys = [(name, table_of(self.space, name, hp)) for name in names]
        found = [(name, key, trial) for name, key in keys for trial in self._official(key, index)]
        if not found:
            return None
        found.sort(key=lambda row: int(row[2].provenance["place"]))
        cleared = all('"clear_net_done":false' not in row[2].provenance.get("official", "") for row in found)
        return kind.of_evaluations(index, architecture_string(self.space, index), found, cleared)

    def recipes_of(self, index: int) -> list[str]:
        """Return the recipes under which an architecture has trials."""
        return [hp for hp in self.recipes if any(True for name in OFFICIAL_DATASETS if self.trials(index, hp, name))]

    def indexes(self) -> frozenset[int]:
        """Return the architectures that have trials; found once."""
        if self._indexes is None:
            found: set[int] = set()
            for key in tables_of(self.space):
                columns = self.columns(key)
                found |= set() if columns is None else set(np.flatnonzero(columns.stored.any(axis=0)).tolist())
            self._indexes = frozenset(found)
        return self._indexes

    def columns(self, key: TableKey, *metrics: str) -> Columns | None:
        """Return metrics of a whole table, rows by published seed, or None where it has none of them."""
        if key not in self.store:
            return None
        try:
            every = self.store.columns(key, metrics)
        except UnknownName:
            return None
        rows = [row for row, seed in enumerate(every.seeds) if seed in OFFICIAL_SEEDS]
        values = {name: array[rows] for name, array in every.values.items()}
        return Columns(tuple(every.seeds[row] for row in rows), values, every.stored[rows], every.generation)

    def counts(self, hp: str, dataset: str) -> NDArray[np.int64] | None:
        """Return the number of trials by architecture, or None where there is no such table."""
        columns = self.columns(table_of(self.space, dataset, hp))
        return None if columns is None else columns.stored.sum(axis=0)

    def _official(self, key: TableKey, index: int) -> Iterator[Evaluation]:
        for seed in self.store.seeds(key, index):
            evaluation = None if seed == "mean" else self.store.get(key, index, seed)
            if evaluation is not None and "place" in evaluation.provenance:
                yield evaluation
