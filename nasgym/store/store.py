"""The store as its users see it: `Store`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from nasgym.errors import InvalidSetting, StoreError, StoreFull, StoreReadOnly
from nasgym.results import Evaluation, Seed, TableKey, decode
from nasgym.results_file import ResultsWriter, TableMeta
from nasgym.store import dense, layout, tables
from nasgym.store.checks import problems_of
from nasgym.store.claiming import ClaimingStore
from nasgym.store.columns import Columns
from nasgym.store.dropping import drop_evaluations, drop_table, whole_index
from nasgym.store.environment import Transaction
from nasgym.store.layout import Cell
from nasgym.store.pages import page_problem
from nasgym.store.tables import Encoded, OnConflict, TableInfo
from nasgym.store.transfer import Content, MergeReport, is_packed, of_file, of_packed

__all__ = ["Store"]

_SCAN = 1024  # evaluations per transaction of a scan


class Store(ClaimingStore):
    """Evaluations by table, architecture and seed, on one LMDB directory.

    Every method is one short transaction: what it returns was true at one moment, and what it wrote is on the disk
    when it returns, or not at all. Stores may be used by many threads and processes at once, may be pickled (the path
    travels) and go on working after a fork. A store that does not exist yet reads as empty and is made by the first
    write.

    Args:
        path: The directory; None: `default_path`.
        readonly: Refuse writes. Such a store must exist; it needs no lock file and may lie on a read-only disk.
        map_size: Bytes of address space to begin with; it grows by itself.

    Raises:
        StoreError: A read-only store that does not exist. On first use, here and in every method: `StoreDamaged`,
            `StoreSchemaError` (written by a newer version), `StoreFull` or `StoreReadOnly` (on writes).
    """

    # Tables

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
        """Make a table where it does not exist.

        Args:
            key: Its name.
            size: Architectures in the search space.
            recipe: The recipe's definition as plain JSON values; None: not known, not compared.
            fingerprint: sha256 of the data set; None: not known, not compared.
            costs: The seconds that its clock charges, see `TableMeta`; a table that has some keeps its own.
            shares_equal: Whether one training stands for all equal architectures; once True it stays so.

        Raises:
            TableMismatch: The table was made with another size, recipe or data set.
        """
        wanted = TableMeta(key, size, recipe, fingerprint, costs=costs, shares_equal=shares_equal)
        wanted.encode()  # refuses what JSON cannot hold
        self._write(lambda txn: tables.ensure(txn, wanted))

    def set_costs(self, key: TableKey, costs: Mapping[str, Any] | None) -> None:
        """Give a table the seconds that its clock charges (None: forget them), in place of what it has.

        Raises:
            StoreError: There is no such table.
        """
        self._describe(key, costs=costs)

    def set_shares_equal(self, key: TableKey, shares_equal: bool) -> None:
        """Say whether one training stands for all equal architectures; raises `StoreError` without such a table."""
        self._describe(key, shares_equal=shares_equal)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a table of that name."""
        return isinstance(key, TableKey) and self._read(lambda txn: self._find(txn, key)) is not None

    def keys(self) -> list[TableKey]:
        """Return the names of all tables, sorted. Quick, where `tables` counts."""
        return sorted(meta.key for meta in self._read(tables.table_numbers).values())

    def tables(self) -> list[TableInfo]:
        """Return what every table is and how full, sorted by name."""
        return [self.info(key) for key in self.keys()]

    def info(self, key: TableKey) -> TableInfo:
        """Return what a table is and how full; raises `StoreError` where there is none."""
        return self._read(lambda txn: tables.info_of(txn, *tables.existing(txn, key)))

    def meta(self, key: TableKey) -> TableMeta:
        """Return what a table was made with. Quick, where `info` counts."""
        return self._read(lambda txn: tables.existing(txn, key)[1])

    def generation(self, key: TableKey) -> int:
        """Return how many commits have changed a table: equal numbers mean equal contents. 0 where there is none."""

        def work(txn: Transaction) -> int:
            found = self._find(txn, key, remember=True)
            return 0 if found is None else dense.state_of(txn, found[0]).generation

        return self._read(work)

    # Evaluations

    def put(self, key: TableKey, evaluations: Iterable[Evaluation], *, on_conflict: OnConflict = "error") -> int:
        """Put evaluations into a table, all of them or none.

        Args:
            key: A table made by `ensure_table`.
            evaluations: Any number; the same numbers as stored are no change.
            on_conflict: What happens where another result is stored for an architecture and seed.

        Returns:
            How many were new or took another's place.

        Raises:
            ResultConflict: Another result is stored and ``on_conflict`` is ``"error"``.
            InvalidArchitecture: An index outside the table.
        """
        rows = tables.encoded(evaluations)
        return self._commit([(key, rows)], on_conflict)[key]

    def put_tables(
        self, content: Iterable[tuple[TableMeta, Iterable[Evaluation]]], *, on_conflict: OnConflict = "error"
    ) -> dict[TableKey, int]:
        """Make tables where needed and put evaluations into them, everything or nothing: what importers use.

        Args:
            content: Tables and their evaluations; a table may come several times.
            on_conflict: As for `put`.

        Returns:
            Table -> how many evaluations were new or took another's place.
        """
        return self._commit([(meta, tables.encoded(evaluations)) for meta, evaluations in content], on_conflict)

    def put_encoded(
        self, content: Iterable[tuple[TableMeta, Sequence[Encoded]]], *, on_conflict: OnConflict = "error"
    ) -> dict[TableKey, int]:
        """Do what `put_tables` does with records that are bytes already, by the million.

        Stored columns are not kept in step: whoever has put everything calls `build_columns`.
        """
        return self._commit(list(content), on_conflict, refresh=False)

    def get(self, key: TableKey, index: int, seed: Seed) -> Evaluation | None:
        """Return one evaluation, or None."""

        def work(txn: Transaction) -> bytes | None:
            found = self._find(txn, key, remember=True)
            return None if found is None else txn.get(layout.cell_key(b"r", found[0], index, seed))

        data = self._read(work) if layout.has_key(index) else None
        return None if data is None else decode(data)

    def seeds(self, key: TableKey, index: int) -> list[Seed]:
        """Return the seeds stored for an architecture, numbers ascending, then ``"mean"``."""

        def work(txn: Transaction) -> list[Seed]:
            found = self._find(txn, key, remember=True)
            if found is None or not layout.has_key(index):
                return []
            prefix = layout.cell_key(b"r", found[0], index, 0)[:-8]
            return [layout.cell_of(k).seed for k in layout.keys(txn, prefix)]

        return self._read(work)

    def cells(self, key: TableKey) -> list[Cell]:
        """Return what a table holds, by index and seed. Quick, where `scan` decodes."""

        def work(txn: Transaction) -> list[Cell]:
            found = layout.cells_of(layout.keys(txn, layout.table_key(b"r", self._found(txn, key)[0])))
            return [Cell(index, layout.seed_of(number)) for index, number in found[["index", "seed"]].tolist()]

        return self._read(work)

    def scan(self, key: TableKey) -> Iterator[Evaluation]:
        """Iterate over a table by index and seed; evaluations put meanwhile may or may not occur."""
        start: bytes | None = None
        while True:
            chunk = self._chunk(key, start)
            for _, data in chunk:
                yield decode(data)
            if len(chunk) < _SCAN:
                return
            start = chunk[-1][0] + b"\0"

    def drop(
        self, key: TableKey, *, architectures: Iterable[int] | None = None, seeds: Iterable[Seed] | None = None
    ) -> int:
        """Forget evaluations for good, in one commit: a whole table, or some architectures or seeds of it.

        The file does not shrink; its room is used again.

        Args:
            key: The table. With nothing else it goes with all that is known of it: its recipe, costs and claims.
            architectures: Indices; None: all.
            seeds: None: all.

        Returns:
            How many evaluations went.

        Raises:
            StoreError: There is no such table, or it is an embedded one of which the store has nothing of its own.
            InvalidSetting: An architecture or a seed is no whole number; nothing was forgotten.
        """
        some = None if architectures is None else [whole_index(index) for index in architectures]
        under = None if seeds is None else list(seeds)

        def work(txn: Transaction) -> int:
            number = tables.existing(txn, key)[0]
            if some is None and under is None:
                return drop_table(txn, number)
            return drop_evaluations(txn, number, some, under)

        return self._write(work)

    # Columns

    def columns(self, key: TableKey, metrics: Sequence[str], epoch: int | None = None) -> Columns:
        """Return metrics of a whole table as arrays.

        Args:
            key: The table.
            metrics: Names from `nasgym.results.METRICS`, or others that its evaluations have.
            epoch: After how many epochs; None: the last of each evaluation.

        Raises:
            StoreError: There is no such table.
            UnknownName: No metric has that name.
            InvalidSetting: ``epoch`` is below 0.
        """
        if epoch is not None and epoch < 0:
            raise InvalidSetting(f"an epoch is 0 or more, or None for the last; got {epoch}.")
        wanted: list[dense.Wanted] = [(metric, epoch) for metric in metrics]

        def stored(txn: Transaction) -> Columns | None:
            return dense.read_stored(txn, *self._found(txn, key, remember=True), wanted)

        def anyhow(txn: Transaction) -> Columns:
            return dense.read(txn, *self._found(txn, key, remember=True), wanted)

        if self.readonly:
            return self._read(anyhow, buffers=True)
        columns = self._read(stored, buffers=True)
        if columns is None:
            with suppress(StoreReadOnly, StoreFull):  # stored columns only save time
                self.build_columns(key, wanted)
            columns = self._read(anyhow, buffers=True)
        return columns

    def build_columns(self, key: TableKey, wanted: Sequence[dense.Wanted] = ()) -> None:
        """Store the columns of every known metric, and of others (metric, epoch), for quick opening."""
        every = list(dict.fromkeys([*dense.standard(), *wanted]))
        self._write(lambda txn: dense.build(txn, *self._found(txn, key), every))

    # The whole

    @property
    def size_on_disk(self) -> int:
        """Bytes of the store's file, 0 where there is none."""
        data = self.path / "data.mdb"
        return data.stat().st_size if data.is_file() else 0

    def verify(self) -> list[str]:
        """Read everything and return a sentence for each thing that is not as it was written; [] is a sound store."""
        data = self.path / "data.mdb"
        problem = page_problem(data) if data.is_file() and data.stat().st_size else None
        return self._read(problems_of) if problem is None else [f"the file {data} is damaged: {problem}."]

    def export(self, path: Path | str, keys: Iterable[TableKey] | None = None) -> int:
        """Write tables (None: all) into one portable file and return how many evaluations it holds.

        An older file of that name is replaced when the new one is whole; after an error it stands as it was.
        """
        wanted = self.keys() if keys is None else list(keys)
        described = [self.meta(key) for key in wanted]
        with ResultsWriter(path) as writer:
            return sum(writer.write(meta, self.scan(meta.key)) for meta in described)

    def merge(self, other: Path | str | Store, *, on_conflict: OnConflict = "error") -> MergeReport:
        """Take over everything from another store, a packed table, or a file made by `export` or `write_results`.

        It is one commit: on an error nothing was taken over. A file that was cut off gives its whole rows, and the
        report says so.

        Args:
            other: A store, its path, or the path of a packed table or of such a file.
            on_conflict: As for `put`.

        Raises:
            ResultConflict: Another result is stored and ``on_conflict`` is ``"error"``.
            TableMismatch: A table was made with another size, recipe or data set.
        """
        if not isinstance(other, Store) and is_packed(Path(other)):
            content, damage = of_packed(Path(other)), None
        elif isinstance(other, Store) or not Path(other).is_file():
            source, damage = other if isinstance(other, Store) else Store(other, readonly=True), None
            content = [(source.meta(key), tables.encoded(source.scan(key))) for key in source.keys()]
        else:
            content, damage = of_file(Path(other))
        written = self._commit(content, on_conflict)
        return MergeReport(sum(len(rows) for _, rows in content), written, damage)

    def _commit(self, content: Sequence[Content], on_conflict: OnConflict, refresh: bool = True) -> dict[TableKey, int]:
        """Put evaluations into tables in one transaction, and then see to their columns."""
        tables.check_on_conflict(on_conflict)

        def work(txn: Transaction) -> tuple[dict[TableKey, int], set[TableKey]]:
            written: dict[TableKey, int] = {}
            stale = set()
            for target, rows in content:
                if isinstance(target, TableMeta):
                    tables.ensure(txn, target)
                key = target.key if isinstance(target, TableMeta) else target
                number, meta = self._found(txn, key)
                count, state = tables.put_rows(txn, number, meta, rows, on_conflict)
                written[key] = written.get(key, 0) + count
                if state.pending > dense.REFRESH_AFTER or count > tables.DROP_AFTER:
                    stale.add(key)
            return written, stale

        written, stale = self._write(work, sum(len(row.data) + 64 for _, rows in content for row in rows))
        for key in stale if refresh else ():
            with suppress(StoreError):  # the evaluations are safe; columns only save time
                self.build_columns(key)
        return written

    def _describe(self, key: TableKey, **changes: Any) -> None:
        """Change the description of a table, in one commit."""

        def work(txn: Transaction) -> None:
            number, meta = tables.existing(txn, key)
            tables.describe(txn, number, meta, replace(meta, **changes))

        self._write(work)

    def _chunk(self, key: TableKey, start: bytes | None) -> list[tuple[bytes, bytes]]:
        def work(txn: Transaction) -> list[tuple[bytes, bytes]]:
            prefix = layout.table_key(b"r", self._found(txn, key)[0])
            return list(islice(layout.items(txn, prefix, start), _SCAN))

        return self._read(work)
