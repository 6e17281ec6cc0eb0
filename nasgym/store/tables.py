"""Tables inside transactions: finding, making and describing them, and putting evaluations in. No lmdb here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from nasgym.errors import InvalidArchitecture, InvalidSetting, ResultConflict, StoreError, TableMismatch
from nasgym.results import Evaluation, Seed, TableKey, decode, encode
from nasgym.results_file import TableMeta
from nasgym.store import layout
from nasgym.store.dropping import last_dropped
from nasgym.store.environment import Transaction
from nasgym.store.layout import TableState

__all__ = [
    "Encoded",
    "OnConflict",
    "TableInfo",
    "check_on_conflict",
    "describe",
    "encoded",
    "ensure",
    "find",
    "info_of",
    "put_rows",
    "table_numbers",
]

OnConflict: TypeAlias = Literal["error", "keep", "replace"]
"""What happens to a result that contradicts the stored one: it is refused, dropped, or takes its place."""
DROP_AFTER = 4096
"""Columns are dropped, to be built anew, by a commit that changes more evaluations than this."""
_SAMPLE = 100
_MANY = 512  # rows of one commit for which it pays to look after the pages
_BEHIND = 64
_PROSE = ("source",)  # fields of a recipe that describe it and determine nothing


@dataclass(frozen=True)
class TableInfo:
    """What a table is and how full.

    Attributes:
        key: Its name.
        size: Architectures in the search space.
        rows: Evaluations stored.
        seeds: The seeds that occur, numbers ascending, then ``"mean"``.
        architectures: Architectures with at least one evaluation.
        fingerprint: sha256 of the data set, where known.
        recipe: The recipe's definition, where known.
        created: When the table was made, ISO 8601.
        costs: The seconds that its clock charges, where known: see `TableMeta`.
        shares_equal: Whether one training stands for all architectures of its class of equal networks.
        provenance: Field -> the values that occur in a sample of up to 100 evaluations.
    """

    key: TableKey
    size: int
    rows: int
    seeds: tuple[Seed, ...]
    architectures: int
    fingerprint: str | None
    recipe: Mapping[str, Any] | None
    created: str
    costs: Mapping[str, Any] | None
    shares_equal: bool
    provenance: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """An evaluation on its way into the store."""

    index: int
    seed: Seed
    data: bytes


def check_on_conflict(on_conflict: str) -> None:
    """Raise `InvalidSetting` unless ``on_conflict`` is one of `OnConflict`."""
    if on_conflict not in get_args(OnConflict):
        raise InvalidSetting(f"on_conflict is 'error', 'keep' or 'replace'; got {on_conflict!r}.")


def encoded(evaluations: Iterable[Evaluation]) -> list[Encoded]:
    """Return evaluations as bytes, so that a transaction can be repeated; raises `InvalidSetting` for a bad seed."""
    rows = []
    for evaluation in evaluations:
        layout.seed_number(evaluation.seed)
        rows.append(Encoded(evaluation.index, evaluation.seed, encode(evaluation)))
    return rows


def table_numbers(txn: Transaction) -> dict[int, TableMeta]:
    """Return every table by its number."""
    prefix = b"t"
    return {int.from_bytes(key[1:], "big"): TableMeta.decode(value) for key, value in layout.items(txn, prefix)}


def find(txn: Transaction, key: TableKey) -> tuple[int, TableMeta] | None:
    """Return the number and description of a table, or None."""
    for number, meta in table_numbers(txn).items():
        if meta.key == key:
            return number, meta
    return None


def ensure(txn: Transaction, wanted: TableMeta) -> int:
    """Return the number of a table, made where it does not exist; raises `TableMismatch`."""
    numbers = table_numbers(txn)
    for number, stored in numbers.items():
        if stored.key == wanted.key:
            check_same(stored, wanted)
            fuller = replace(
                stored,
                recipe=wanted.recipe if stored.recipe is None else stored.recipe,
                fingerprint=wanted.fingerprint if stored.fingerprint is None else stored.fingerprint,
                costs=wanted.costs if stored.costs is None else stored.costs,
                shares_equal=wanted.shares_equal or stored.shares_equal,
            )
            describe(txn, number, stored, fuller)
            return number
    last, generation = last_dropped(txn)
    number = max([last, *numbers]) + 1
    made = wanted if wanted.created else replace(wanted, created=datetime.now(UTC).isoformat(timespec="seconds"))
    txn.put(layout.table_key(b"t", number), made.encode())
    txn.put(layout.table_key(b"s", number), TableState(generation).encode())
    return number


def describe(txn: Transaction, number: int, stored: TableMeta, wanted: TableMeta) -> None:
    """Write a table's description where it differs; a change of what its results mean counts as one of the table."""
    if _plain(vars(wanted)) == _plain(vars(stored)):
        return
    txn.put(layout.table_key(b"t", number), wanted.encode())
    if (_plain(wanted.costs), wanted.shares_equal) != (_plain(stored.costs), stored.shares_equal):
        state = TableState.decode(txn.get(layout.table_key(b"s", number)))
        txn.put(layout.table_key(b"s", number), replace(state, generation=state.generation + 1).encode())


def put_rows(
    txn: Transaction, number: int, meta: TableMeta, rows: Sequence[Encoded], on_conflict: OnConflict
) -> tuple[int, TableState]:
    """Put evaluations into a table; return how many changed it and its state afterwards."""
    state = TableState.decode(txn.get(layout.table_key(b"s", number)))
    for row in rows:
        if not 0 <= row.index < meta.size:
            raise InvalidArchitecture(f"index {row.index} is outside 0..{meta.size - 1} of the table {meta.key}.")
    behind = _taken_out(txn, number, rows) if len(rows) > _MANY else []
    claimed = next(layout.keys(txn, layout.table_key(b"l", number)), None) is not None
    changed: list[tuple[int, int]] = []
    new = 0
    for row in rows:
        key = layout.cell_key(b"r", number, row.index, row.seed)
        old = txn.get(key)
        if old is not None and not _takes_its_place(meta.key, old, row, on_conflict):
            continue
        new += old is None
        txn.put(key, row.data)
        if claimed:
            txn.delete(layout.cell_key(b"l", number, row.index, row.seed))
        changed.append((row.index, layout.seed_number(row.seed)))
    for key, data in behind:
        txn.put(key, data)
    if changed:
        state = _note_changes(txn, number, state, changed, new)
        txn.put(layout.table_key(b"s", number), state.encode())
    return len(changed), state


def info_of(txn: Transaction, number: int, meta: TableMeta) -> TableInfo:
    """Return what a table is and how full."""
    keys = list(layout.keys(txn, layout.table_key(b"r", number)))
    cells = layout.cells_of(keys)
    return TableInfo(
        key=meta.key,
        size=meta.size,
        rows=len(keys),
        seeds=tuple(layout.seed_of(int(seed)) for seed in np.unique(cells["seed"])),
        architectures=len(np.unique(cells["index"])),
        fingerprint=meta.fingerprint,
        recipe=meta.recipe,
        created=meta.created,
        costs=meta.costs,
        shares_equal=meta.shares_equal,
        provenance=_provenance(decode(txn.get(key)) for key in keys[:: len(keys) // _SAMPLE + 1]),
    )


def _taken_out(txn: Transaction, number: int, rows: Sequence[Encoded]) -> list[tuple[bytes, bytes]]:
    """Take out what comes behind the last of many rows, about a page of it; the caller puts it back.

    LMDB fills its pages where keys are added at the end of one, and leaves them half empty where something follows.
    """
    last = max(layout.cell_key(b"r", number, row.index, row.seed) for row in rows)
    behind = list(islice(layout.items(txn, b"", last + b"\0"), _BEHIND))
    for key, _ in behind:
        txn.delete(key)
    return behind


def _takes_its_place(key: TableKey, old: bytes, row: Encoded, on_conflict: OnConflict) -> bool:
    """Tell whether a row is to be written over a stored one; raises `ResultConflict`."""
    if old == row.data or on_conflict == "keep":
        return False
    stored, given = decode(old), decode(row.data)
    if on_conflict == "replace":
        return stored != given
    if (stored.series, stored.epochs, stored.diverged) == (given.series, given.epochs, given.diverged):
        return False  # the same numbers, found out again: the first provenance stays
    raise ResultConflict(
        f"{key} already holds another result for architecture {row.index}, seed {row.seed}: "
        f"stored {_brief(stored)}, given {_brief(given)}. Use on_conflict='replace' or 'keep'."
    )


def _brief(evaluation: Evaluation) -> str:
    last = ", ".join(f"{name} {series.values[-1]:.10g} ({series.unit})" for name, series in evaluation.series.items())
    return f"[{evaluation.epochs} epochs: {last}]"


def _note_changes(
    txn: Transaction, number: int, state: TableState, changed: list[tuple[int, int]], new: int
) -> TableState:
    """Record which cells the columns do not hold yet, where there are columns, and return the state."""
    generation = state.generation + 1
    columns = list(layout.keys(txn, layout.table_key(b"c", number)))
    pending = state.pending + len(changed) if columns else 0
    if columns and len(changed) > DROP_AFTER:
        for key in [*columns, *layout.keys(txn, layout.table_key(b"p", number))]:
            txn.delete(key)
        pending = 0
    elif columns:
        txn.put(layout.pending_key(number, generation), layout.encode_cells(changed))
    return TableState(generation, state.rows + new, pending)


def check_same(stored: TableMeta, wanted: TableMeta) -> None:
    """Compare what both know; a field that only one version of nasgym has is not compared."""
    pairs: list[tuple[str, object, object]] = [("size", stored.size, wanted.size)]
    if stored.fingerprint is not None and wanted.fingerprint is not None:
        pairs.append(("data set (sha256)", stored.fingerprint, wanted.fingerprint))
    old, new = dict(stored.recipe or {}), dict(wanted.recipe or {})
    pairs += [(f"recipe ({name})", old[name], new[name]) for name in old if name in new and name not in _PROSE]
    for what, before, now in pairs:
        if _plain(before) != _plain(now):
            raise TableMismatch(
                f"the table {stored.key} was made with another {what}: stored {before!r}, given {now!r}. "
                "Use another name for the recipe or data set, or another store."
            )


def _plain(value: object) -> object:
    """Return a value as it would come back from JSON (tuples are lists there)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _provenance(evaluations: Iterable[Evaluation]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for evaluation in evaluations:
        for name, value in evaluation.provenance.items():
            found.setdefault(name, {})[value] = None
    return {name: tuple(values) for name, values in found.items()}


def existing(txn: Transaction, key: TableKey) -> tuple[int, TableMeta]:
    """Return the number and description of a table; raises `StoreError` naming the tables there are."""
    found = find(txn, key)
    if found is None:
        listing = ", ".join(sorted(str(meta.key) for meta in table_numbers(txn).values())) or "none yet"
        raise StoreError(f"the store has no table {key} (tables: {listing}). Make it with ensure_table or an import.")
    return found
