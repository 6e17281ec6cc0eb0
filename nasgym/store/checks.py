"""The check of a whole store, inside one transaction. No lmdb here."""

from __future__ import annotations

from nasgym.errors import NasgymError
from nasgym.results import decode
from nasgym.results_file import TableMeta
from nasgym.store import dense, layout, tables
from nasgym.store.environment import Transaction
from nasgym.store.layout import Cell

__all__ = ["problems_of"]

_KINDS = {b"t", b"s", b"r", b"c", b"p", b"l"}
_AT_MOST = 20


def problems_of(txn: Transaction) -> list[str]:
    """Return a sentence for each thing in a store that is not as it should be, up to 20 per table."""
    try:
        numbered = tables.table_numbers(txn)
    except NasgymError as error:
        return [f"the list of tables cannot be read: {error}"]
    problems = [f"{count} keys belong to no table." for count in [_strangers(txn, set(numbered))] if count]
    for number, meta in numbered.items():
        problems += _table_problems(txn, number, meta)
    return problems


def _strangers(txn: Transaction, numbers: set[int]) -> int:
    """Count keys of an unknown kind or of a table that does not exist."""
    return sum(
        (key[:1] not in _KINDS or int.from_bytes(key[1:5], "big") not in numbers) and key != layout.META_KEY
        for key in layout.keys(txn, b"")
    )


def _table_problems(txn: Transaction, number: int, meta: TableMeta) -> list[str]:
    problems, rows = [], 0
    for key, data in layout.items(txn, layout.table_key(b"r", number)):
        rows += 1
        try:
            cell, found = layout.cell_of(key), decode(bytes(data))
            if Cell(found.index, found.seed) != cell or found.index >= meta.size:
                problems.append(f"{meta.key}: {cell} holds architecture {found.index}, seed {found.seed}.")
        except NasgymError as error:
            problems.append(f"{meta.key}: the evaluation {key[5:].hex()} cannot be read: {error}")
    try:
        counted = dense.state_of(txn, number).rows
        if counted != rows:
            problems.append(f"{meta.key}: {rows} evaluations, but {counted} were counted.")
        if not problems:
            problems += dense.disagreements(txn, number, meta)
    except NasgymError as error:
        problems.append(f"{meta.key}: {error}")
    return problems[:_AT_MOST]
