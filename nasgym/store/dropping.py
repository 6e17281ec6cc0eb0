"""Forgetting results inside transactions. No lmdb here.

A number that a table had is never given to another, and a table that is made again goes on counting generations: what
other processes remember of a dropped table then fits none. The schema's record keeps both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from operator import index as as_integer

import numpy as np

from nasgym.errors import InvalidSetting, StoreError
from nasgym.results import Seed
from nasgym.store import layout
from nasgym.store.environment import Transaction
from nasgym.store.layout import META_KEY, TableState, seed_number

__all__ = ["drop_evaluations", "drop_table", "last_dropped", "whole_index"]

_DROPPED = "dropped"


def drop_table(txn: Transaction, number: int) -> int:
    """Forget a table with everything in it; return how many evaluations it had."""
    state = TableState.decode(txn.get(layout.table_key(b"s", number)))
    rows = _delete_all(txn, layout.table_key(b"r", number))
    for kind in (b"c", b"p", b"l", b"t", b"s"):
        _delete_all(txn, layout.table_key(kind, number))
    last, generation = last_dropped(txn)
    record = json.loads(bytes(txn.get(META_KEY)))
    record[_DROPPED] = [max(number, last), max(state.generation + 1, generation)]
    txn.put(META_KEY, json.dumps(record).encode())
    return rows


def drop_evaluations(
    txn: Transaction, number: int, architectures: Iterable[int] | None, seeds: Iterable[Seed] | None
) -> int:
    """Forget the evaluations of some architectures and seeds (None: all); return how many.

    Claims stay: what is stored has none, so they are of trainings that are under way.
    """
    chosen = None if architectures is None else list(filter(layout.has_key, architectures))
    numbers = None if seeds is None else [seed_number(seed) for seed in seeds]

    keys = list(layout.keys(txn, layout.table_key(b"r", number)))
    cells = layout.cells_of(keys)
    among = np.ones(len(keys), dtype=np.bool_)
    for field, wanted in (("index", chosen), ("seed", numbers)):
        if wanted is not None:
            among &= np.isin(cells[field], np.array(wanted, dtype=np.uint64))
    rows = int(among.sum())
    for at in np.flatnonzero(among).tolist():
        txn.delete(keys[at])
    if rows:
        for kind in (b"c", b"p"):  # columns show what is gone: they are built anew
            _delete_all(txn, layout.table_key(kind, number))
        state_key = layout.table_key(b"s", number)
        state = TableState.decode(txn.get(state_key))
        after = replace(state, generation=state.generation + 1, rows=state.rows - rows, pending=0)
        txn.put(state_key, after.encode())
    return rows


def whole_index(index: object) -> int:
    """Return an index; raises `InvalidSetting` for what is none: 1.5 is not taken for 1, nor a mask for 0 and 1."""
    try:
        if not isinstance(index, bool):
            return as_integer(index)  # type: ignore[arg-type]
    except TypeError:
        pass
    raise InvalidSetting(f"an architecture to drop is named by its index, a whole number; got {index!r}.")


def last_dropped(txn: Transaction) -> tuple[int, int]:
    """Return the highest number and generation that a dropped table had; zeros where none was dropped."""
    record = json.loads(bytes(txn.get(META_KEY) or b"{}"))
    try:
        number, generation = record.get(_DROPPED, (0, 0))
        return int(number), int(generation)
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the record of dropped tables cannot be read ({error}). Run `nasgym store verify`."
        ) from error


def _delete_all(txn: Transaction, prefix: bytes) -> int:
    """Delete all keys with a prefix, one after the other: there may be millions. Return how many there were."""
    cursor, count = txn.cursor(), 0
    found = cursor.set_range(prefix)
    while found and bytes(cursor.key()[: len(prefix)]) == prefix:
        found = cursor.delete()  # and moves to the next
        count += 1
    return count
