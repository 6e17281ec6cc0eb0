"""Keeping dense columns in step with evaluations, inside transactions. No lmdb here.

A stored column shows the table at some generation. Commits after that are listed cell by cell under ``p`` keys, so a
reader takes the column and looks up those few evaluations. Columns and lists are rewritten together.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

import numpy as np

from nasgym.errors import StoreDamaged, UnknownName
from nasgym.results import METRICS, Evaluation, TableKey, decode
from nasgym.results_file import TableMeta
from nasgym.store import layout
from nasgym.store.columns import STORED, Column, Columns, blank, fill, gather, gather_records, public
from nasgym.store.environment import Transaction
from nasgym.store.layout import TableState

__all__ = [
    "REFRESH_AFTER",
    "STORE_FROM",
    "Wanted",
    "build",
    "read",
    "read_stored",
    "rebuilt",
    "refresh",
    "stored_columns",
]

Wanted: TypeAlias = tuple[str, int | None]
"""A metric and an epoch (None: the last of each evaluation)."""
REFRESH_AFTER = 512
"""Columns are rewritten when more evaluations than this have changed since."""
STORE_FROM = 256
"""Smaller tables get no stored columns: reading their evaluations is as quick."""
_BLOCK = 8192  # evaluations that are in memory at once


def state_of(txn: Transaction, number: int) -> TableState:
    """Return what changes in a table with every commit."""
    return TableState.decode(txn.get(layout.table_key(b"s", number)))


def read(txn: Transaction, number: int, meta: TableMeta, wanted: Sequence[Wanted]) -> Columns:
    """Return columns at the present state, from stored ones where there are, else from the evaluations."""
    state = state_of(txn, number)
    loaded, absent = _loaded(txn, number, meta, state, wanted)
    loaded |= rebuilt(txn, number, meta, absent, state) if absent else {}
    return _public(loaded, wanted, state)


def read_stored(txn: Transaction, number: int, meta: TableMeta, wanted: Sequence[Wanted]) -> Columns | None:
    """Return columns as `read` does, or None where some should be stored first, because the table is large."""
    state = state_of(txn, number)
    if state.rows < STORE_FROM:
        return read(txn, number, meta, wanted)
    loaded, absent = _loaded(txn, number, meta, state, wanted)
    return None if absent else _public(loaded, wanted, state)


def build(txn: Transaction, number: int, meta: TableMeta, wanted: Sequence[Wanted]) -> None:
    """Store columns that are not stored yet, and bring the others up to date."""
    state = state_of(txn, number)
    absent = [w for w in wanted if _load(txn, number, meta.size, w) is None]
    for (metric, epoch), column in (rebuilt(txn, number, meta, absent, state) if absent else {}).items():
        txn.put(layout.column_key(number, metric, epoch), column.encode())
    refresh(txn, number, meta)


def refresh(txn: Transaction, number: int, meta: TableMeta) -> None:
    """Write the changes since into all stored columns and forget the list of changes."""
    state = state_of(txn, number)
    loaded: dict[Wanted, Column] = {}
    for wanted in stored_columns(txn, number):
        column = _load(txn, number, meta.size, wanted)
        if column is None:
            txn.delete(layout.column_key(number, *wanted))
        elif column.generation != state.generation:
            loaded[wanted] = column
    _patch(txn, number, state, loaded)
    for wanted, column in loaded.items():
        txn.put(layout.column_key(number, *wanted), column.encode())
    for key in list(layout.keys(txn, layout.table_key(b"p", number))):
        txn.delete(key)
    txn.put(layout.table_key(b"s", number), TableState(state.generation, state.rows, 0).encode())


def rebuilt(
    txn: Transaction, number: int, meta: TableMeta, wanted: Sequence[Wanted], state: TableState
) -> dict[Wanted, Column]:
    """Return columns made from all evaluations; raises `UnknownName` for a metric that none of them has."""
    columns = {metric: replace(blank(meta.size), generation=state.generation) for metric in wanted}
    names: set[str] = set()
    records = (data for _, data in layout.items(txn, layout.table_key(b"r", number)))
    while block := [bytes(data) for data in islice(records, _BLOCK)]:
        indices, seeds, values, found = gather_records(block, wanted)
        names |= found
        for metric, column in columns.items():
            fill(column, indices, seeds, values[metric])
    for name, _ in wanted:
        if name not in METRICS and name not in names and name != STORED:
            raise UnknownName("metric", name, {*METRICS, *names})
    return columns


def stored_columns(txn: Transaction, number: int) -> list[Wanted]:
    """Return the metrics and epochs that have a stored column."""
    return [layout.column_of(key) for key in layout.keys(txn, layout.table_key(b"c", number))]


def standard() -> list[Wanted]:
    """Return the columns that every larger table keeps: the last value of each known metric."""
    return [*((metric, None) for metric in METRICS), (STORED, None)]


def _loaded(
    txn: Transaction, number: int, meta: TableMeta, state: TableState, wanted: Sequence[Wanted]
) -> tuple[dict[Wanted, Column], list[Wanted]]:
    """Return the stored columns among ``wanted``, brought to the present state, and those that are not stored."""
    every = dict.fromkeys([*wanted, (STORED, None)])
    loaded = {w: column for w in every if (column := _load(txn, number, meta.size, w)) is not None}
    _patch(txn, number, state, loaded)
    return loaded, [w for w in every if w not in loaded]


def _public(loaded: dict[Wanted, Column], wanted: Sequence[Wanted], state: TableState) -> Columns:
    every = dict.fromkeys([*wanted, (STORED, None)])
    return public({metric: loaded[metric, epoch] for metric, epoch in every}, state.generation)


def _load(txn: Transaction, number: int, size: int, wanted: Wanted) -> Column | None:
    """Return a stored column, or None where there is none or a damaged one: it can always be built anew."""
    data = txn.get(layout.column_key(number, *wanted))
    if data is not None:
        with suppress(StoreDamaged):
            return Column.decode(data, size)
    return None


def _patch(txn: Transaction, number: int, state: TableState, columns: dict[Wanted, Column]) -> None:
    """Bring columns to the present state, from the lists of changed cells."""
    oldest = min((column.generation for column in columns.values()), default=state.generation)
    if oldest == state.generation:
        return
    cells: dict[tuple[int, int], None] = {}
    start = layout.pending_key(number, oldest + 1)
    for _, data in layout.items(txn, layout.table_key(b"p", number), start):
        cells |= dict.fromkeys(layout.decode_cells(data))
    found = [_evaluation(txn, number, *cell) for cell in cells]
    indices, seeds, values, _ = gather(found, list(columns))
    for wanted, column in columns.items():
        fill(column, indices, seeds, values[wanted])
        column.generation = state.generation


def _evaluation(txn: Transaction, number: int, index: int, seed: int) -> Evaluation:
    data = txn.get(layout.cell_key(b"r", number, index, layout.seed_of(seed)))
    if data is None:
        raise StoreDamaged(f"architecture {index} is listed as changed but has no evaluation.")
    return decode(bytes(data))


def disagreements(txn: Transaction, number: int, meta: TableMeta) -> list[str]:
    """Return a sentence for every stored column that is damaged or differs from the evaluations in any bit."""
    state = state_of(txn, number)
    problems, loaded = [], {}
    for wanted in stored_columns(txn, number):
        column = _load(txn, number, meta.size, wanted)
        if column is None:
            problems.append(f"{_name(meta.key, wanted)} is damaged; it is built anew when it is used.")
        else:
            loaded[wanted] = column
    _patch(txn, number, state, loaded)
    for wanted, fresh in rebuilt(txn, number, meta, list(loaded), state).items():
        column = loaded[wanted]
        if column.seeds != fresh.seeds or not np.array_equal(_bits(column), _bits(fresh)):
            problems.append(f"{_name(meta.key, wanted)} does not agree with the evaluations.")
    return problems


def _name(key: TableKey, wanted: Wanted) -> str:
    metric, epoch = wanted
    return f"the column {metric.strip(chr(0))}{'' if epoch is None else f' at epoch {epoch}'} of {key}"


def _bits(column: Column) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    return column.values.view(np.uint64)
