"""Official files into the store, architecture by architecture, and on from where an import was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from nasgym.importers.archives import Archive, open_archive
from nasgym.importers.csv_table import ImportedTable
from nasgym.importers.official_names import tables_of
from nasgym.importers.reading import Trials, read, source_of
from nasgym.recipes import RECIPES
from nasgym.results import Evaluation, TableKey
from nasgym.results_file import TableMeta
from nasgym.spaces import get_space
from nasgym.store import OnConflict, Store

__all__ = ["OfficialReport", "import_official"]

_COMMIT = 1024
"""Architectures per commit, some 150 MB in memory: neighbours that are written together fill the store's pages."""
_TELL = 8
"""Architectures between two calls of ``progress``."""
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class OfficialReport:
    """What an import of an official file did.

    Attributes:
        path: The file or folder.
        architectures: Architectures that were imported now.
        skipped: Architectures that the store already had from this file.
        size: Architectures in the search space.
        faults: Known fault -> trials that have it (`nasgym.importers.official_costs`).
        tables: What each table received.
    """

    path: Path
    architectures: int
    skipped: int
    size: int
    faults: Mapping[str, int]
    tables: Mapping[TableKey, ImportedTable]


class _Tally:
    """Counts what is imported."""

    def __init__(self) -> None:
        self.architectures = 0
        self.faults: dict[str, int] = {}
        self.rows: dict[TableKey, int] = {}
        self.written: dict[TableKey, int] = {}
        self.seeds: dict[TableKey, set[int]] = {}

    def add(self, trials: Trials) -> None:
        """Count the trials of one architecture."""
        self.architectures += 1
        for key, evaluation in trials:
            self.rows[key] = self.rows.get(key, 0) + 1
            self.seeds.setdefault(key, set()).add(int(evaluation.seed))
            for fault in filter(None, evaluation.provenance.get("faults", "").split(",")):
                self.faults[fault] = self.faults.get(fault, 0) + 1

    def tables(self) -> dict[TableKey, ImportedTable]:
        """Return what each table received."""
        return {
            key: ImportedTable(rows, self.written.get(key, 0), tuple(sorted(self.seeds[key])))
            for key, rows in self.rows.items()
        }


def import_official(
    store: Store,
    path: Path | str,
    *,
    space: str,
    on_conflict: OnConflict = "error",
    workers: int = 0,
    progress: Progress | None = None,
) -> OfficialReport:
    """Import an official file or folder of NAS-Bench-201 or NATS-Bench.

    An architecture is in the store with all its trials or not at all. What is there from a file of the same name is
    skipped, so an import that was stopped goes on, and ends with the same results as one that was not. After an error
    what was committed before stays, 1,024 architectures at a time; a file that is cut off or foreign is refused
    before anything is written, as far as that can be told without reading it all (its end, and its md5 where its name
    tells it).

    Args:
        store: Where the results go.
        path: A folder ``-simple`` or ``-full`` (its weights are left out), a ``.pickle.pbz2``, or a ``.pth``.
        space: ``"nb201"`` or ``"nats-sss"``.
        on_conflict: What happens where the store holds another result for an architecture and seed.
        workers: Processes that read beside this one; 0: this one reads.
        progress: Called with the architectures done and those of the space.

    Raises:
        InvalidArchive: The file is not what it should be; the message says what to download instead.
        ResultConflict: Another result is stored and ``on_conflict`` is ``"error"``.
        TableMismatch: A table of the store was made with another recipe or space.
    """
    archive = open_archive(path, space)
    metas = _metas(space)
    done = _already_stored(store, archive)
    size, tally = get_space(space).size, _Tally()
    chunk: list[Trials] = []
    with closing(read(archive, done, workers)) as rows:
        for trials in rows:
            chunk.append(trials)
            tally.add(trials)
            if len(chunk) == _COMMIT:
                _commit(store, chunk, metas, tally, on_conflict)
            if progress is not None and tally.architectures % _TELL == 0:
                progress(len(done) + tally.architectures, size)
    _commit(store, chunk, metas, tally, on_conflict)
    if progress is not None:
        progress(len(done) + tally.architectures, size)
    for key in metas:
        if key in store:
            store.build_columns(key)  # so that the first question is answered at once
    return OfficialReport(archive.path, tally.architectures, len(done), size, tally.faults, tally.tables())


def _commit(
    store: Store, chunk: list[Trials], metas: Mapping[TableKey, TableMeta], tally: _Tally, on_conflict: OnConflict
) -> None:
    """Put some architectures into the store, all of them or none, and forget them."""
    written = store.put_tables(_content(chunk, metas), on_conflict=on_conflict) if chunk else {}
    for key, count in written.items():
        tally.written[key] = tally.written.get(key, 0) + count
    chunk.clear()


def _metas(space: str) -> dict[TableKey, TableMeta]:
    size = get_space(space).size
    return {
        key: TableMeta(key, size, asdict(RECIPES[key.recipe]) if key.recipe in RECIPES else None)
        for key in tables_of(space)
    }


def _content(
    chunk: Sequence[Trials], metas: Mapping[TableKey, TableMeta]
) -> Iterator[tuple[TableMeta, list[Evaluation]]]:
    """Sort the trials of some architectures by table, since neighbours in the store are written together."""
    by_table: dict[TableKey, list[Evaluation]] = {key: [] for key in metas}
    for trials in chunk:
        for key, evaluation in trials:
            by_table[key].append(evaluation)
    return ((metas[key], found) for key, found in by_table.items() if found)


def _already_stored(store: Store, archive: Archive) -> frozenset[int]:
    """Return the architectures that an earlier import of this file has put into the store, whole as they are put."""
    source = source_of(archive)["source"]
    done: set[int] = set()
    for key in tables_of(archive.space):
        cells = store.cells(key) if key in store else []
        for index, seed in {cell.index: cell.seed for cell in cells}.items():  # any of its seeds tells
            if index not in done:
                found = store.get(key, index, seed)
                if found is not None and found.provenance.get("source") == source:
                    done.add(index)
    return frozenset(done)
