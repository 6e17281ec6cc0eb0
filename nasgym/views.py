"""One table at one epoch as arrays: which training answers for an architecture, and what it says."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidSetting
from nasgym.spaces import Indices
from nasgym.store import Columns

__all__ = ["AGGREGATE", "SeedPolicy", "TableView", "check_seed_policy", "shared"]

SeedPolicy: TypeAlias = int | Literal["mean", "random"]
"""Which stored training answers: one seed, the mean over seeds, or one drawn by the caller."""

AGGREGATE = -1
"""How arrays of seeds write the seed ``"mean"``."""


def check_seed_policy(policy: SeedPolicy) -> None:
    """Raise `InvalidSetting` unless ``policy`` is ``"mean"``, ``"random"`` or a seed of zero or more."""
    if isinstance(policy, (int, np.integer)) and not isinstance(policy, bool) and policy >= 0:
        return
    if policy in ("mean", "random"):
        return
    raise InvalidSetting(f'a seed is "mean", "random" or an integer of 0 or more; got {policy!r}.')


class TableView:
    """One table at one epoch, in memory and ready for gathers.

    Attributes:
        seeds: ``int64[S + 1]``, the seed of each row; the last row is the mean over seeds (`AGGREGATE`).
        counts: ``int64[N]``, how many trainings can be drawn for each architecture.
        drawn_rows: Where every architecture has the same trainings, their number: the first rows are theirs, and the
            remainder of a draw is the row. Else 0.
    """

    def __init__(self, columns: Columns, metric: str) -> None:
        """Lay out the columns; an architecture is known where ``metric`` is.

        Args:
            columns: The table.
            metric: The metric that decides.
        """
        numbered = [i for i, seed in enumerate(columns.seeds) if seed != "mean"]
        aggregate = [i for i, seed in enumerate(columns.seeds) if seed == "mean"]
        seeds = [int(columns.seeds[i]) for i in numbered] + [AGGREGATE]
        self.seeds: NDArray[np.int64] = np.array(seeds, dtype=np.int64)
        self._metric = metric
        self._values = {name: _with_mean(v, numbered, aggregate) for name, v in columns.values.items()}
        known = ~np.isnan(self._values[metric])
        known[-1] &= ~known[:-1].any(axis=0)  # a row that is itself a mean is drawn only where it stands alone
        self.counts: NDArray[np.int64] = known.sum(axis=0)
        self._known = known
        self._row_of = {seed: row for row, seed in enumerate(self.seeds.tolist()[:-1])}
        first = int(self.counts[0]) if self.counts.size else 0
        same = first > 0 and bool((self.counts == first).all())
        self.drawn_rows = first if same and bool(known[:first].all()) else 0
        self._totals: dict[tuple[str, ...], tuple[NDArray[np.float64], bool]] = {}

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """Row k holds the slot of the k-th known training of each architecture, ``int64[S + 1, N]``."""
        return np.argsort(~self._known, axis=0, kind="stable")

    def slots(self, indices: Indices, policy: SeedPolicy, draws: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return ``int64[n]``: the row that answers each index; what it holds is NaN where nothing is known.

        Args:
            indices: ``int64[n]``.
            policy: See `SeedPolicy`.
            draws: ``uint64[n]``, uniform integers; read only under ``"random"``.
        """
        if policy == "mean":
            return np.full(len(indices), len(self.seeds) - 1)
        if policy != "random":
            return np.full(len(indices), self._row_of.get(policy, -2))
        if self.drawn_rows:
            return (draws % np.uint64(self.drawn_rows)).astype(np.int64)
        kth = draws % np.maximum(self.counts[indices], 1).astype(np.uint64)
        return self._order[kth.astype(np.int64), indices]

    def slot(self, index: int, policy: SeedPolicy, draw: int) -> int:
        """Return the row that answers one index; the scalar form of `slots`."""
        if policy == "mean":
            return len(self.seeds) - 1
        if policy != "random":
            return self._row_of.get(policy, -2)
        if self.drawn_rows:
            return draw % self.drawn_rows
        return int(self._order.item(draw % max(self.counts.item(index), 1), index))

    def values(self, metric: str, slots: NDArray[np.int64], indices: Indices) -> NDArray[np.float64]:
        """Gather ``float64[n]`` in the unit of the API, NaN where unknown; a slot of -2 is a seed nobody trained."""
        return self._gather(slots, indices, self._values[metric], self._values[metric])[0]

    def value(self, metric: str, slot: int, index: int) -> float:
        """Read one value; the scalar form of `values`."""
        return math.nan if slot == -2 else self._values[metric].item(slot, index)

    def values_and_total(
        self, metric: str, costs: tuple[str, ...], slots: NDArray[np.int64], indices: Indices
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gather a metric and the sum of some others, ``float64[n]`` each; in the sum the unknown counts nothing."""
        return self._gather(slots, indices, self._values[metric], self._total(costs)[0])

    def means(self, metric: str) -> NDArray[np.float64]:
        """Return the mean over seeds of every architecture, ``float64[N]``, NaN where unknown. Read-only."""
        row: NDArray[np.float64] = self._values[metric][-1].view()
        row.flags.writeable = False
        return row

    def total_one(self, metrics: tuple[str, ...], slot: int, index: int) -> float:
        """Read the sum of some metrics; what is unknown counts nothing."""
        return self._total(metrics)[0].item(slot, index)

    def greatest_total(self, metrics: tuple[str, ...]) -> float:
        """Return the greatest sum of some metrics in the table; 0 where nothing is known."""
        return float(self._total(metrics)[0].max(initial=0.0))

    def has_all(self, metrics: tuple[str, ...]) -> bool:
        """Tell whether the first of some metrics is known wherever an architecture is."""
        return self._total(metrics)[1]

    def is_complete(self, policy: SeedPolicy) -> bool:
        """Tell whether every architecture is known under ``policy``; False where that takes a look at the values."""
        return self.drawn_rows > 0 and policy in ("mean", "random")

    def _total(self, metrics: tuple[str, ...]) -> tuple[NDArray[np.float64], bool]:
        if metrics not in self._totals:
            rows = [self._values[name] for name in metrics]
            known = ~np.isnan(self._values[self._metric])
            total = np.sum([np.nan_to_num(row) for row in rows], axis=0)
            self._totals[metrics] = total, not bool((known & np.isnan(rows[0])).any())
        return self._totals[metrics]

    @staticmethod
    def _gather(
        slots: NDArray[np.int64], indices: Indices, one: NDArray[np.float64], two: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if len(slots) and slots[0] == -2:  # one seed answers for all, and nobody trained it
            return np.full(len(slots), np.nan), np.zeros(len(slots))
        at = slots * one.shape[1]
        at += indices
        return one.reshape(-1).take(at), two.reshape(-1).take(at)  # from flat tables: faster than by pairs


def shared(columns: Columns, metric: str, classes: Indices) -> Columns:
    """Return columns in which architectures that have no ``metric`` answer with the results of an equal one.

    Args:
        columns: The table.
        metric: The metric that decides.
        classes: ``int64[N]``: the class of equal networks of each architecture.
    """
    known: NDArray[np.bool_] = np.any(~np.isnan(columns.values[metric]), axis=0)
    answering = _answering(known, classes)
    values = {name: array[:, answering] for name, array in columns.values.items()}
    return replace(columns, values=values, stored=columns.stored[:, answering])


def _answering(known: NDArray[np.bool_], classes: Indices) -> Indices:
    """Return for each architecture itself where it is ``known``, else the first known one of its class, else itself."""
    itself = np.arange(len(known))
    first = np.full(len(known), -1)
    with_results = np.flatnonzero(known)[::-1]
    first[classes[with_results]] = with_results  # written from the back, so that the lowest index stays
    return np.where(known | (first[classes] < 0), itself, first[classes])


def _with_mean(values: NDArray[np.float64], numbered: list[int], aggregate: list[int]) -> NDArray[np.float64]:
    """Return ``float64[S + 1, N]``: the numbered seeds, then their mean (where none is known, the aggregate row)."""
    found = np.empty((len(numbered) + 1, values.shape[1]))
    rows, average = found[:-1], found[-1]
    rows[:] = values if numbered == list(range(len(values))) else values[numbered]
    unknown = np.isnan(rows)
    if numbered and not unknown.any():  # the same numbers as below, in a third of the time
        np.divide(rows.sum(axis=0), len(numbered), out=average)
        return found
    count = (~unknown).sum(axis=0)
    total = np.where(unknown, 0.0, rows).sum(axis=0)
    otherwise = values[aggregate[0]] if aggregate else np.full(values.shape[1], np.nan)
    average[:] = np.where(count > 0, total / np.maximum(count, 1), otherwise)
    return found
