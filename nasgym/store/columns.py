"""Dense columns: one metric of a whole table as an array, and its bytes.

A column's bytes are ``magic "NC" | version u8 | crc32 u32 | body``; the body is ``generation u64 | architectures u64 |
seeds u32``, then per seed ``seed u64 | coding u8 | distinct u32``, then the values of each seed. Columns are derived
from the evaluations: one that is missing or damaged is built anew.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym import compact
from nasgym.errors import StoreDamaged, StoreError
from nasgym.results import Evaluation, Seed, decode
from nasgym.store.layout import seed_number, seed_of

__all__ = ["STORED", "Column", "Columns", "align", "blank", "fill", "gather", "gather_records"]

Whole: TypeAlias = Sequence[int] | NDArray[np.int64]
STORED = "\0stored"
"""The internal column that holds 1 where there is an evaluation and NaN elsewhere."""
LARGEST_COLUMN = 1 << 29
"""Values of one column: 4.3 GB."""
COLUMN_VERSION = 1
_MAGIC = b"NC"
_HEAD = struct.Struct("<2sBI")
_BODY = struct.Struct("<QQI")
_SEED = struct.Struct("<QBI")
_DENSE, _CODES_8, _CODES_16 = 0, 1, 2
_CODES: Mapping[int, np.dtype[np.unsignedinteger]] = {_CODES_8: np.dtype("<u1"), _CODES_16: np.dtype("<u2")}


@dataclass(frozen=True)
class Columns:
    """Some metrics of a whole table, for batched look-ups.

    Attributes:
        seeds: The table's seeds, ``S`` of them: numbers ascending, then ``"mean"``.
        values: Metric name -> ``float64[S, N]`` in the unit of the API (accuracies are fractions), read-only;
            NaN is unknown. Seeds in the order of ``seeds``, architectures by index.
        stored: ``bool[S, N]``, read-only: where there is an evaluation, known metrics or not.
        generation: The number of commits that the table had seen, see `Store.generation`.
    """

    seeds: tuple[Seed, ...]
    values: Mapping[str, NDArray[np.float64]]
    stored: NDArray[np.bool_]
    generation: int


@dataclass
class Column:
    """One dense column.

    Attributes:
        generation: The table's generation that the column shows.
        seeds: Seed numbers, ascending.
        values: ``float64[S, N]``.
    """

    generation: int
    seeds: list[int]
    values: NDArray[np.float64]

    def encode(self) -> bytes:
        """Return the column's bytes; values keep their bits."""
        coded = [_encode_values(row) for row in self.values]
        heads = [_SEED.pack(seed, *head) for seed, (head, _) in zip(self.seeds, coded, strict=True)]
        body = b"".join(
            [
                _BODY.pack(self.generation, self.values.shape[1], len(self.seeds)),
                *heads,
                *(data for _, data in coded),
            ]
        )
        return _HEAD.pack(_MAGIC, COLUMN_VERSION, zlib.crc32(body)) + body

    @classmethod
    def decode(cls, data: bytes | memoryview, size: int) -> Column:
        """Return the column of a table of ``size`` architectures, its values copied out; raises `StoreDamaged`."""
        if len(data) < _HEAD.size + _BODY.size:
            raise StoreDamaged(f"a column has {len(data)} bytes, at least {_HEAD.size + _BODY.size} are needed.")
        magic, version, checksum = _HEAD.unpack_from(data)
        body = memoryview(data)[_HEAD.size :]
        if magic != _MAGIC or version != COLUMN_VERSION or zlib.crc32(body) != checksum:
            raise StoreDamaged("a column is not as it was written.")
        try:
            generation, written, count = _BODY.unpack_from(body)
            at = _BODY.size + count * _SEED.size
            if written != size or at > len(body):
                raise StoreDamaged(f"a column has {written} architectures and {count} seeds; the table has {size}.")
            seeds, values = [], np.empty((count, size))
            for row in range(count):
                seed, coding, distinct = _SEED.unpack_from(body, _BODY.size + row * _SEED.size)
                seeds.append(seed)
                at = _decode_values(body, at, coding, distinct, values[row])
        except (struct.error, ValueError, IndexError, KeyError) as error:
            raise StoreDamaged(f"a column cannot be read ({error}).") from error
        return cls(generation, seeds, values)


def blank(size: int) -> Column:
    """Return the column of a table without evaluations."""
    return Column(0, [], np.empty((0, size)))


def gather(
    evaluations: Iterable[Evaluation], metrics: Sequence[tuple[str, int | None]]
) -> tuple[list[int], list[int], dict[tuple[str, int | None], list[float]], set[str]]:
    """Read metrics out of evaluations.

    Returns:
        indices, seed numbers, (metric, epoch) -> values in the unit of the API, and every metric name seen.
    """
    indices: list[int] = []
    seeds: list[int] = []
    values: dict[tuple[str, int | None], list[float]] = {metric: [] for metric in metrics}
    names: set[str] = set()
    for evaluation in evaluations:
        indices.append(evaluation.index)
        seeds.append(seed_number(evaluation.seed))
        names.update(evaluation.series)
        for (metric, epoch), column in values.items():
            found = evaluation.series.get(metric)
            value = (1.0 if metric == STORED else None) if found is None else found.at(epoch)
            column.append(np.nan if value is None else value)
    return indices, seeds, values, names


def gather_records(
    records: Sequence[bytes], metrics: Sequence[tuple[str, int | None]]
) -> tuple[Whole, Whole, Mapping[tuple[str, int | None], Sequence[float] | NDArray[np.float64]], set[str]]:
    """Do what `gather` does for records that are still bytes: many of the published form at once."""
    many = compact.decode_many(records)
    if many is None:
        return gather(map(decode, records), metrics)
    values = {
        (metric, epoch): many.value(metric, epoch)
        if metric in compact.SERIES
        else np.full(len(many), 1.0 if metric == STORED else np.nan)
        for metric, epoch in metrics
    }
    return many.index, many.seed, values, set(compact.SERIES)


def fill(column: Column, indices: Whole, seeds: Whole, values: Sequence[float] | NDArray[np.float64]) -> None:
    """Write values at (seed number, index) into a column, which gets rows for new seeds."""
    numbers = np.array(seeds, dtype=np.uint64)
    align(column, sorted({*column.seeds, *np.unique(numbers).tolist()}))
    if len(numbers):
        rows = np.searchsorted(np.array(column.seeds, dtype=np.uint64), numbers)
        column.values[rows, np.asarray(indices, dtype=np.int64)] = values


def align(column: Column, seeds: Sequence[int]) -> None:
    """Give a column a row for each of ``seeds``, which must include its own; new rows are NaN.

    Raises:
        StoreError: The column would take more than `LARGEST_COLUMN` values.
    """
    if column.seeds == list(seeds):
        return
    size = column.values.shape[1]
    if len(seeds) * size > LARGEST_COLUMN:
        gigabytes = 8e-9 * size * len(seeds)
        raise StoreError(
            f"a column of {size:,} architectures under {len(seeds):,} seeds would take {gigabytes:,.1f} GB, "
            f"more than {8e-9 * LARGEST_COLUMN:.1f}: keep fewer seeds in the table (`nasgym store drop`)."
        )
    values = np.full((len(seeds), column.values.shape[1]), np.nan)
    for old, seed in enumerate(column.seeds):
        values[list(seeds).index(seed)] = column.values[old]
    column.seeds, column.values = list(seeds), values


def public(columns: Mapping[str, Column], generation: int) -> Columns:
    """Return columns (the one named `STORED` among them) as users see them."""
    seeds = sorted({seed for column in columns.values() for seed in column.seeds})
    for column in columns.values():
        align(column, seeds)
        column.values.flags.writeable = False
    stored = columns[STORED].values == 1
    stored.flags.writeable = False
    values = {name: column.values for name, column in columns.items() if name != STORED}
    return Columns(tuple(seed_of(seed) for seed in seeds), values, stored, generation)


def _encode_values(values: NDArray[np.float64]) -> tuple[tuple[int, int], bytes]:
    """Return ``((coding, distinct values), bytes)``: few distinct values are written as codes, all bits kept."""
    every = np.ascontiguousarray(values).view(np.uint64)
    if len(every) and (every == every[0]).all():  # no need to sort: most columns of most tables are unknown throughout
        return (_CODES_8, 1), every[:1].astype("<u8").tobytes()
    bits, codes = np.unique(every, return_inverse=True)
    for coding, dtype in _CODES.items():
        if len(bits) <= 1 << 8 * dtype.itemsize:
            few = bits.astype("<u8").tobytes()
            data = few if len(bits) == 1 else few + codes.astype(dtype).tobytes()
            if len(data) < values.nbytes:
                return (coding, len(bits)), data
    return (_DENSE, 0), values.astype("<f8").tobytes()


def _decode_values(body: memoryview, at: int, coding: int, distinct: int, out: NDArray[np.float64]) -> int:
    """Read one seed's values into ``out`` and return where the next one's begin."""
    if coding == _DENSE:
        out[:] = np.frombuffer(body, "<f8", len(out), at)
        return at + out.nbytes
    few: NDArray[np.float64] = np.frombuffer(body, "<f8", distinct, at)
    at += few.nbytes
    if distinct == 1:
        out[:] = few[0]
        return at
    codes: NDArray[np.unsignedinteger] = np.frombuffer(body, _CODES[coding], len(out), at)
    np.take(few, codes, out=out)
    return at + codes.nbytes
