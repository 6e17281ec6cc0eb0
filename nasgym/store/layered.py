"""The user's store laid over the embedded tables: what the user has trained answers first, then what was shipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import StoreError
from nasgym.results import Evaluation, Seed, TableKey
from nasgym.results_file import TableMeta
from nasgym.store.columns import Columns
from nasgym.store.layout import Cell, seed_number, seed_of
from nasgym.store.store import Store
from nasgym.store.tables import Encoded, OnConflict, TableInfo, check_same
from nasgym.store.transfer import Content
from nasgym.tables import PackedTable, embedded_keys, embedded_table

__all__ = ["LayeredStore", "open_store"]


def open_store(path: Path | str | None = None, *, readonly: bool = False) -> Store:
    """Return a store with the embedded tables under it; None: the user's store (`default_path`)."""
    return LayeredStore(path, readonly=readonly)


class LayeredStore(Store):
    """A `Store` with the embedded tables under it.

    An evaluation of the store hides the embedded one of the same architecture and seed. Writes go into the store; the
    embedded tables never change. A table of the store must have been made with the recipe and the data set of the
    embedded table of its name (`TableMismatch`).
    """

    def ensure_table(
        self,
        key: TableKey,
        size: int,
        *,
        recipe: Mapping[str, Any] | None = None,
        fingerprint: str | None = None,
        costs: Mapping[str, Any] | None = None,
        shares_equal: bool = False,
    ) -> None:
        """Make a table where it does not exist; see `Store.ensure_table`."""
        base = embedded_table(key)
        if base is not None:
            check_same(base.meta, TableMeta(key, size, recipe, fingerprint))
            recipe, fingerprint = recipe or base.meta.recipe, fingerprint or base.meta.fingerprint
        super().ensure_table(key, size, recipe=recipe, fingerprint=fingerprint, costs=costs, shares_equal=shares_equal)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a table of that name, here or embedded."""
        return isinstance(key, TableKey) and (embedded_table(key) is not None or super().__contains__(key))

    def keys(self) -> list[TableKey]:
        """Return the names of all tables, sorted, embedded ones too."""
        return sorted({*super().keys(), *embedded_keys()})

    def info(self, key: TableKey) -> TableInfo:
        """Return what a table is and how full, both layers together."""
        base = embedded_table(key)
        if base is None:
            return super().info(key)
        meta, columns = self.meta(key), self.columns(key, ())
        made = {name: (value,) for name, value in base.made.items()}
        return TableInfo(
            key=key,
            size=meta.size,
            rows=int(columns.stored.sum()),
            seeds=columns.seeds,
            architectures=int(columns.stored.any(axis=0).sum()),
            fingerprint=meta.fingerprint,
            recipe=meta.recipe,
            created=meta.created,
            costs=meta.costs,
            shares_equal=meta.shares_equal,
            provenance=_together(made, super().info(key).provenance) if self._holds(key) else made,
        )

    def meta(self, key: TableKey) -> TableMeta:
        """Return what a table was made with; its cost model is the store's own where it has one."""
        base = embedded_table(key)
        if base is None:
            return super().meta(key)
        if not self._holds(key):
            return base.meta
        own = super().meta(key)
        check_same(base.meta, own)
        return replace(
            base.meta, costs=own.costs or base.meta.costs, shares_equal=own.shares_equal or base.meta.shares_equal
        )

    def generation(self, key: TableKey) -> int:
        """Return how many commits have changed a table; one more where it is embedded."""
        return super().generation(key) + (embedded_table(key) is not None)

    def get(self, key: TableKey, index: int, seed: Seed) -> Evaluation | None:
        """Return one evaluation, or None."""
        found, base = super().get(key, index, seed), embedded_table(key)
        return found if found is not None or base is None else base.get(index, seed)

    def seeds(self, key: TableKey, index: int) -> list[Seed]:
        """Return the seeds stored for an architecture, numbers ascending, then ``"mean"``."""
        base = embedded_table(key)
        own = super().seeds(key, index)
        return own if base is None else sorted({*own, *base.seeds_of(index)}, key=seed_number)

    def cells(self, key: TableKey) -> list[Cell]:
        """Return what a table holds, by index and seed, both layers together."""
        base = embedded_table(key)
        own = super().cells(key) if self._holds(key) or base is None else []
        if base is None:
            return own
        rows, indices = np.nonzero(base.stored())
        under = (Cell(index, base.seeds[row]) for row, index in zip(rows.tolist(), indices.tolist(), strict=True))
        return sorted({*own, *under}, key=lambda cell: (cell.index, seed_number(cell.seed)))

    def scan(self, key: TableKey) -> Iterator[Evaluation]:
        """Iterate over a table by index and seed."""
        base = embedded_table(key)
        own = super().scan(key) if self._holds(key) or base is None else iter(())
        if base is None:
            yield from own
            return
        last: tuple[int, int] | None = None
        for evaluation in merge(own, base.scan(), key=_place):  # of equals the store's own comes first
            if _place(evaluation) != last:
                yield evaluation
            last = _place(evaluation)

    def columns(self, key: TableKey, metrics: Sequence[str], epoch: int | None = None) -> Columns:
        """Return metrics of a whole table as arrays; see `Store.columns`."""
        base = embedded_table(key)
        if base is None:
            return super().columns(key, metrics, epoch)
        under = _columns_of(base, metrics, epoch)
        if not self._holds(key):
            return under
        self.meta(key)  # raises where the layers do not fit
        return _laid_over(super().columns(key, metrics, epoch), under)

    def claim_all(self, key: TableKey, cells: Iterable[Cell], seconds: float) -> list[Cell]:
        """Claim many cells in one commit and return those that were free: neither claimed nor stored."""
        base = embedded_table(key)
        self._lay_over(key)
        wanted = [cell for cell in cells if base is None or not base.has(cell.index, cell.seed)]
        return super().claim_all(key, wanted, seconds)

    def drop(
        self, key: TableKey, *, architectures: Iterable[int] | None = None, seeds: Iterable[Seed] | None = None
    ) -> int:
        """Forget evaluations of the store itself; what is embedded stays, and answers again where it was hidden."""
        if embedded_table(key) is not None and not self._holds(key):
            raise StoreError(
                f"{key} is embedded in nasgym and cannot be dropped; the store has nothing of its own in it."
            )
        return super().drop(key, architectures=architectures, seeds=seeds)

    def verify(self) -> list[str]:
        """Read everything and return a sentence for each thing that is not as it was written."""
        bases = [base for base in map(embedded_table, embedded_keys()) if base is not None]
        return [*super().verify(), *(problem for base in bases for problem in base.problems())]

    def export(self, path: Path | str, keys: Iterable[TableKey] | None = None) -> int:
        """Write tables into one portable file; None: those in which the store has something of its own."""
        return super().export(path, Store.keys(self) if keys is None else keys)

    def __repr__(self) -> str:
        """Return the path and the mode."""
        return f"open_store({str(self.path)!r}{', readonly=True' if self.readonly else ''})"

    def _describe(self, key: TableKey, **changes: Any) -> None:
        """Change the description of a table; an embedded one gets a table over it that says so."""
        self._lay_over(key)
        super()._describe(key, **changes)

    def _commit(self, content: Sequence[Content], on_conflict: OnConflict, refresh: bool = True) -> dict[TableKey, int]:
        """Put evaluations into tables; what does not fit the embedded table of its name is refused.

        Where results that are there are to be kept, embedded ones are, too.
        """
        for target, _ in content:
            base = embedded_table(target.key if isinstance(target, TableMeta) else target)
            if base is not None and isinstance(target, TableMeta):
                check_same(base.meta, target)
            elif base is not None:
                self._lay_over(base.meta.key)
        content = [_without_embedded(*c) if on_conflict == "keep" else c for c in content]
        return super()._commit(content, on_conflict, refresh)

    def _lay_over(self, key: TableKey) -> None:
        """Make the table that takes what is written to an embedded one, where there is none yet."""
        base = embedded_table(key)
        if base is not None and not self._holds(key):
            self.ensure_table(key, base.meta.size)

    def _holds(self, key: TableKey) -> bool:
        """Tell whether the store itself has a table of that name."""
        return super().__contains__(key)


def _without_embedded(target: TableKey | TableMeta, rows: Sequence[Encoded]) -> Content:
    base = embedded_table(target.key if isinstance(target, TableMeta) else target)
    return target, rows if base is None else [row for row in rows if not base.has(row.index, row.seed)]


def _place(evaluation: Evaluation) -> tuple[int, int]:
    return evaluation.index, seed_number(evaluation.seed)


def _together(*parts: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return field -> all values that occur in any part."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: tuple(dict.fromkeys(v for part in parts for v in part.get(name, ()))) for name in names}


def _columns_of(base: PackedTable, metrics: Sequence[str], epoch: int | None) -> Columns:
    values = {metric: base.values(metric, epoch) for metric in metrics}
    for array in values.values():
        array.flags.writeable = False
    return Columns(base.seeds, values, base.stored(), generation=1)


def _laid_over(own: Columns, under: Columns) -> Columns:
    """Return the columns of two layers as one; a cell that the upper one has is the upper one's as a whole."""
    seeds = tuple(seed_of(n) for n in sorted({seed_number(seed) for seed in (*own.seeds, *under.seeds)}))
    stored = _rows(own.stored, own.seeds, seeds, False)
    values: dict[str, NDArray[np.float64]] = {}
    for metric, upper in own.values.items():
        lower = _rows(under.values[metric], under.seeds, seeds, np.nan)
        values[metric] = np.where(stored, _rows(upper, own.seeds, seeds, np.nan), lower)
        values[metric].flags.writeable = False
    either = stored | _rows(under.stored, under.seeds, seeds, False)
    return Columns(seeds, values, either, own.generation + under.generation)


def _rows(array: NDArray[Any], seeds: Sequence[Seed], wanted: Sequence[Seed], blank: float) -> NDArray[Any]:
    """Return the rows of ``array`` under the seeds ``wanted``, blank ones where it has none."""
    found = np.full((len(wanted), array.shape[1]), blank, dtype=array.dtype)
    for row, seed in zip(array, seeds, strict=True):
        found[wanted.index(seed)] = row
    return found
