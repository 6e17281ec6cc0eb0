"""Forgetting results inside transactions. No lmdb here.

A number that a table had is never given to another, and a table that is made again goes on counting generations: what
other processes remember of a dropped table then fits none. The schema's record keeps both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from nasgym.errors import StoreError
from nasgym.results import Seed
from nasgym.store import layout
from nasgym.store.environment import Transaction
from nasgym.store.layout import META_KEY, TableState, seed_number

__all__ = ["drop_evaluations", "drop_table", "last_dropped"]

_DROPPED = "dropped"


def drop_table(txn: Transaction, number: int) -> int:
    """Forget a table with everything in it; return how many evaluations it had."""
    state_key = layout.table_key(b"s", number)
    state = TableState.decode(txn.get(state_key))
    rows = sum(1 for _ in layout.keys(txn, layout.table_key(b"r", number)))
    for kind in (b"r", b"c", b"p", b"l", b"t", b"s"):
        _delete_all(txn, list(layout.keys(txn, layout.table_key(kind, number))))
    last, generation = last_dropped(txn)
    record = json.loads(bytes(txn.get(META_KEY)))
    record[_DROPPED] = [max(number, last), max(state.generation + 1, generation)]
    txn.put(META_KEY, json.dumps(record).encode())
    return rows


def drop_evaluations(
    txn: Transaction, number: int, architectures: Iterable[int] | None, seeds: Iterable[Seed] | None
) -> int:
    """Forget the evaluations of some architectures and seeds (None: all), with claims on them; return how many."""
    chosen = None if architectures is None else set(architectures)
    numbers = None if seeds is None else {seed_number(seed) for seed in seeds}

    def found(kind: bytes) -> list[bytes]:
        keys = list(layout.keys(txn, layout.table_key(kind, number)))
        return [
            key
            for key, (_, index, seed) in zip(keys, layout.cells_of(keys).tolist(), strict=True)
            if (chosen is None or index in chosen) and (numbers is None or seed in numbers)
        ]

    rows = found(b"r")
    if rows:
        _delete_all(txn, [*rows, *found(b"l")])
        for kind in (b"c", b"p"):  # columns show what is gone: they are built anew
            _delete_all(txn, list(layout.keys(txn, layout.table_key(kind, number))))
        state_key = layout.table_key(b"s", number)
        state = TableState.decode(txn.get(state_key))
        after = replace(state, generation=state.generation + 1, rows=state.rows - len(rows), pending=0)
        txn.put(state_key, after.encode())
    return len(rows)


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


def _delete_all(txn: Transaction, keys: Iterable[bytes]) -> None:
    for key in keys:
        txn.delete(key)
