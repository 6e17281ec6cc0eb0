"""Where everything lies in a store: keys and small records as bytes. No lmdb here.

Keys are big-endian, so that a scan gives architectures and seeds in order:

    m                                   the schema of the store, and the highest number of a dropped table, JSON
    t  table u32                        `TableMeta` as JSON
    s  table u32                        `TableState`
    r  table u32  index u64  seed u64   one evaluation, `nasgym.results.encode`
    c  table u32  epoch u32  metric     one dense column, `nasgym.store.columns`
    p  table u32  generation u64        the cells changed by that commit, (index u64, seed u64) each
    l  table u32  index u64  seed u64   a claim
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasgym.errors import InvalidSetting, StoreDamaged, StoreSchemaError
from nasgym.results import Seed

if TYPE_CHECKING:
    from nasgym.store.environment import Transaction

__all__ = ["META_KEY", "SCHEMA", "Cell", "TableState"]

SCHEMA = 1
META_KEY = b"m"
NO_EPOCH = 0xFFFFFFFF
"""The epoch of a column that holds the last value of each evaluation."""
MEAN_SEED = 0xFFFFFFFFFFFFFFFF
"""The seed ``"mean"`` sorts behind all numbers."""
_TABLE = struct.Struct(">cI")
_CELL = struct.Struct(">cIQQ")
_COLUMN = struct.Struct(">cII")
_PENDING = struct.Struct(">cIQ")
_PAIR = np.dtype([("index", ">u8"), ("seed", ">u8")])
_STATE = struct.Struct(">QQQ")
_MAX_METRIC = 400  # LMDB's keys are at most 511 bytes


@dataclass(frozen=True)
class Cell:
    """One architecture, by its index, under one seed."""

    index: int
    seed: Seed


@dataclass(frozen=True)
class TableState:
    """What changes in a table with every commit.

    Attributes:
        generation: Number of commits that changed evaluations, costs or the sharing of results; a table made after
            another was dropped begins with the number of that one.
        rows: Number of evaluations.
        pending: Changed cells that some column does not hold yet.
    """

    generation: int = 0
    rows: int = 0
    pending: int = 0

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return _STATE.pack(self.generation, self.rows, self.pending)

    @classmethod
    def decode(cls, data: bytes | None) -> TableState:
        """Return the record, or the state of a new table."""
        if data is None:
            return cls()
        if len(data) != _STATE.size:
            raise StoreDamaged(f"the state of a table has {len(data)} bytes, not {_STATE.size}.")
        return cls(*_STATE.unpack(data))


def schema_record(schema: int) -> bytes:
    """Return the bytes under `META_KEY`."""
    return json.dumps({"application": "nasgym", "schema": schema}).encode()


def check_schema(data: bytes | None, has_entries: bool, path: Path) -> None:
    """Raise `StoreSchemaError` for a newer store and `StoreDamaged` for an LMDB file that is no store."""
    if data is None and not has_entries:
        return
    try:
        record = json.loads(bytes(data or b""))
        schema = int(record["schema"])
        known = record["application"] == "nasgym"
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise StoreDamaged(f"{path} is an LMDB database but not a store of nasgym: choose another directory.")
    if schema > SCHEMA:
        raise StoreSchemaError(
            f"the store {path} has schema {schema}, this nasgym knows up to {SCHEMA}: upgrade nasgym, "
            "or export the store with the newer version."
        )


def seed_number(seed: Seed) -> int:
    """Return a seed as the number in keys; raises `InvalidSetting` outside ``0..2**64-2``."""
    if seed == "mean":
        return MEAN_SEED
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < MEAN_SEED:
        raise InvalidSetting(f"a seed is an integer in 0..{MEAN_SEED - 1} or 'mean'; got {seed!r}.")
    return int(seed)


def seed_of(number: int) -> Seed:
    """Return the seed that a key's number stands for."""
    return "mean" if number == MEAN_SEED else number


def table_key(kind: bytes, table: int) -> bytes:
    """Return the key of a table's meta data (``b"t"``) or state (``b"s"``), or the prefix of its other keys."""
    return _TABLE.pack(kind, table)


def has_key(index: int) -> bool:
    """Tell whether an index can be part of a key; nothing is stored under any other."""
    return 0 <= index < 1 << 64


def cell_key(kind: bytes, table: int, index: int, seed: Seed) -> bytes:
    """Return the key of an evaluation (``b"r"``) or claim (``b"l"``); indices are not negative."""
    return _CELL.pack(kind, table, index, seed_number(seed))


def cell_of(key: bytes) -> Cell:
    """Return the architecture and seed of an evaluation's or claim's key."""
    if len(key) != _CELL.size:
        raise StoreDamaged(f"a key of an evaluation has {len(key)} bytes, not {_CELL.size}.")
    _, _, index, seed = _CELL.unpack(key)
    return Cell(index, seed_of(seed))


def cells_of(keys: Iterable[bytes]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Return the cells of many keys as an array with the fields ``index`` and ``seed`` (numbers)."""
    dtype = np.dtype([("table", ">u4"), ("index", ">u8"), ("seed", ">u8")])
    body = b"".join(key[1:] for key in keys)
    if len(body) % dtype.itemsize:
        raise StoreDamaged("a key of an evaluation has the wrong length.")
    return np.frombuffer(body, dtype)


def column_key(table: int, metric: str, epoch: int | None) -> bytes:
    """Return the key of a dense column."""
    name = metric.encode()
    if len(name) > _MAX_METRIC or not name:
        raise InvalidSetting(f"a metric's name has 1 to {_MAX_METRIC} bytes; got {len(name)}.")
    return _COLUMN.pack(b"c", table, NO_EPOCH if epoch is None else epoch) + name


def column_of(key: bytes) -> tuple[str, int | None]:
    """Return the metric and epoch of a column's key."""
    try:
        _, _, epoch = _COLUMN.unpack_from(key)
        return bytes(key[_COLUMN.size :]).decode(), None if epoch == NO_EPOCH else epoch
    except (struct.error, UnicodeDecodeError) as error:
        raise StoreDamaged(f"the key of a column cannot be read ({error}).") from error


def pending_key(table: int, generation: int) -> bytes:
    """Return the key of the list of cells that the commit of ``generation`` changed."""
    return _PENDING.pack(b"p", table, generation)


def encode_cells(cells: Iterable[tuple[int, int]]) -> bytes:
    """Return the bytes of a list of (index, seed number)."""
    return np.array(list(cells), dtype=_PAIR).tobytes()


def decode_cells(data: bytes) -> list[tuple[int, int]]:
    """Return the list of (index, seed number)."""
    if len(data) % _PAIR.itemsize:
        raise StoreDamaged("a list of changed cells has the wrong length.")
    return [(int(i), int(s)) for i, s in np.frombuffer(data, _PAIR).tolist()]


def items(txn: Transaction, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over the keys with a prefix and their values, in order, from ``start`` (itself included)."""
    cursor = txn.cursor()
    if not cursor.set_range(start if start is not None else prefix):
        return
    for key, value in cursor:
        if bytes(key[: len(prefix)]) != prefix:
            return
        yield bytes(key), value


def keys(txn: Transaction, prefix: bytes) -> Iterator[bytes]:
    """Iterate over the keys with a prefix, in order, without touching the values."""
    cursor = txn.cursor()
    if not cursor.set_range(prefix):
        return
    for key in cursor.iternext(keys=True, values=False):
        if bytes(key[: len(prefix)]) != prefix:
            return
        yield bytes(key)
