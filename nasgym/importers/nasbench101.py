"""NAS-Bench-101's published file into the store, block by block.

Each record is one training: of a cell, for 4, 12, 36 or 108 epochs. The trainings of one cell and length become the
seeds 0, 1 and 2 of the table of that length, in the order in which the file has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym.compact import FAULTS, Trainings, encode_many
from nasgym.errors import InvalidArchive
from nasgym.importers.csv_table import ImportedTable
from nasgym.importers.nasbench101_faults import BadRecord
from nasgym.importers.nasbench101_records import EPOCHS, Batch, read_batch
from nasgym.importers.tfrecord import Records, again, read_records
from nasgym.recipes import RECIPES
from nasgym.results import TableKey
from nasgym.results_file import TableMeta
from nasgym.spaces import NB101
from nasgym.store import Encoded, OnConflict, Store

__all__ = ["TABLES", "NASBench101Report", "import_nasbench101"]

REPEATS = 3
"""Trainings of a cell for so many epochs."""
TABLES: Mapping[int, TableKey] = {epochs: TableKey("nb101", "cifar10", f"nb101-{epochs}") for epochs in EPOCHS}
"""Epochs -> the table of trainings of that length."""
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class NASBench101Report:
    """What an import of NAS-Bench-101's file did.

    Attributes:
        path: The file.
        trainings: Records that were read.
        cells: Different cells among them.
        faults: Known fault -> trainings that have it: ``params``, the number of parameters is not that of the cell;
            ``order``, the matrix is another order of the cell's vertices than the published one, which is not kept.
        tables: What each table received.
    """

    path: Path
    trainings: int
    cells: int
    faults: Mapping[str, int]
    tables: Mapping[TableKey, ImportedTable]

    @property
    def size(self) -> int:
        """Trainings that a whole file with tables of these lengths has: 5,083,488 with all four."""
        return NB101().size * REPEATS * len(self.tables)


class _Counts:
    """How often each cell was met with each length, and what was written."""

    def __init__(self) -> None:
        self.met = np.zeros(NB101().size * len(EPOCHS), dtype=np.uint8)
        self.faults = dict.fromkeys(FAULTS, 0)
        self.written = dict.fromkeys(TABLES.values(), 0)

    def repeats(self, batch: Batch) -> NDArray[np.int64]:
        """Return for each training of a batch how many like it came before, ``int64[n]``."""
        place = self._places(batch)
        order = np.argsort(place, kind="stable")
        ordered = place[order]
        first = np.flatnonzero(np.diff(ordered, prepend=-1))
        rank = np.empty(len(place), dtype=np.int64)
        rank[order] = np.arange(len(place)) - np.repeat(first, np.diff(first, append=len(place)))
        found: NDArray[np.int64] = rank + self.met[place]
        if (found >= REPEATS).any():
            at = int(np.argmax(found >= REPEATS))
            nth, epochs = found[at] + 1, batch.epochs[at]
            raise BadRecord(at, f"it is training number {nth} of its cell for {epochs} epochs; there are {REPEATS}")
        return found

    def add(self, batch: Batch, written: Mapping[TableKey, int]) -> None:
        """Count a batch that was written."""
        np.add.at(self.met, self._places(batch), 1)
        for bit, name in enumerate(FAULTS):
            self.faults[name] += int((_faults(batch) >> bit & 1).sum())
        for key, count in written.items():
            self.written[key] += count

    def report(self, path: Path) -> NASBench101Report:
        """Return what was done."""
        met = self.met.reshape(-1, len(EPOCHS))
        tables = {
            key: ImportedTable(int(rows.sum()), self.written[key], tuple(range(int(rows.max()))))
            for key, rows in zip(TABLES.values(), met.T, strict=True)
            if rows.any()
        }
        found = {name: count for name, count in self.faults.items() if count}
        return NASBench101Report(path, int(met.sum()), int(met.any(axis=1).sum()), found, tables)

    @staticmethod
    def _places(batch: Batch) -> NDArray[np.int64]:
        return batch.cells.indices * len(EPOCHS) + np.searchsorted(EPOCHS, batch.epochs)


def import_nasbench101(
    store: Store, path: Path | str, *, on_conflict: OnConflict = "error", progress: Progress | None = None
) -> NASBench101Report:
    """Import ``nasbench_full.tfrecord`` or ``nasbench_only108.tfrecord``: every number, bit for bit.

    A block of 16 MB is in the store as a whole or not at all. After an error, or `kill -9`, what was committed stays;
    the import goes on when it is started again (what is there is read and checked, not written) and ends with the same
    store as one that was not stopped.

    Args:
        store: Where the results go.
        path: The file.
        on_conflict: What happens where the store holds another result for a cell and seed.
        progress: Called with the bytes done and those of the file.

    Raises:
        InvalidArchive: A record is broken: the byte where it begins, what is wrong, and what to do.
        ResultConflict: Another result is stored and ``on_conflict`` is ``"error"``.
        TableMismatch: A table of the store was made with another recipe or space.
    """
    path = Path(path)
    source = path.name.encode("utf-8", "replace").decode()
    counts, metas = _Counts(), {epochs: _meta(epochs) for epochs in EPOCHS}
    for records in read_records(path):
        good, fault = _good_part(records, counts)
        if good is not None:
            batch, seeds = good
            counts.add(batch, store.put_encoded(_content(batch, seeds, source, metas), on_conflict=on_conflict))
        if fault is not None:
            at = records.offsets[fault.at]
            raise InvalidArchive(f"{path}: the record at byte {at:,} is broken: {fault.what}. {again(at)}")
        if progress is not None:
            progress(records.end, path.stat().st_size)
    report = counts.report(path)
    for key in report.tables:
        store.build_columns(key)  # so that the first question is answered at once
    return report


def _good_part(records: Records, counts: _Counts) -> tuple[tuple[Batch, NDArray[np.int64]] | None, BadRecord | None]:
    """Read records up to the first broken one with their seeds, and return what is wrong with that one."""
    good, fault = records.data, None
    while good:
        try:
            batch = read_batch(good)
            return (batch, counts.repeats(batch)), fault
        except BadRecord as error:
            good, fault = good[: error.at], error  # there may be another one before it
    return None, fault


def _content(
    batch: Batch, seeds: NDArray[np.int64], source: str, metas: Mapping[int, TableMeta]
) -> list[tuple[TableMeta, Sequence[Encoded]]]:
    """Return the trainings of a batch as rows of the tables, by cell and seed."""
    content: list[tuple[TableMeta, Sequence[Encoded]]] = []
    faults = _faults(batch)
    for epochs, meta in metas.items():
        which = np.flatnonzero(batch.epochs == epochs)
        which = which[np.lexsort((seeds[which], batch.cells.indices[which]))]
        if not len(which):
            continue
        points = batch.metrics.points[which]
        trainings = Trainings(
            batch.cells.indices[which],
            seeds[which],
            batch.epochs[which],
            batch.metrics.parameters[which],
            np.ascontiguousarray(points[:, :, [2, 3, 4, 1]].transpose(0, 2, 1)),
            batch.metrics.total[which],
            faults[which],
        )
        cells = zip(trainings.index.tolist(), trainings.seed.tolist(), encode_many(trainings, source), strict=True)
        content.append((meta, [Encoded(*cell) for cell in cells]))
    return content


def _faults(batch: Batch) -> NDArray[np.int64]:
    """Return the known faults of trainings, as bits of `FAULTS`."""
    given = (batch.metrics.parameters != batch.cells.parameters, ~batch.cells.canonical)
    return np.asarray(sum(there.astype(np.int64) << bit for bit, there in enumerate(given)), dtype=np.int64)


def _meta(epochs: int) -> TableMeta:
    recipe = RECIPES[f"nb101-{epochs}"]
    return TableMeta(TABLES[epochs], NB101().size, asdict(recipe))
