"""Where a filling puts its results: into a store, or, where there is none, into a file that is merged later."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote

from nasgym.errors import TableMismatch
from nasgym.results import Evaluation
from nasgym.results_file import ResultsWriter, TableMeta, read_results
from nasgym.store import Cell, Store, put_or_rescue

__all__ = ["Failure", "FailureLog", "FileResults", "FillResults", "StoreResults"]

_CLAIM_SECONDS = 900.0  # renewed while bundles are under way; a process of this machine that died gives them up at once
_log = logging.getLogger(__name__)


class Failure(NamedTuple):
    """A cell that could not be trained, and why."""

    cell: Cell
    reason: str


class FailureLog:
    """The failures of one table, a line of JSON each; a failed cell that was trained later stays in the log.

    Args:
        path: The file; made at the first failure.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, failures: Iterable[Failure]) -> None:
        """Add failures; several processes may do so at once. Where they cannot be written, the log tells them."""
        date = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [
            json.dumps({"index": cell.index, "seed": cell.seed, "reason": reason, "date": date}) + "\n"
            for cell, reason in failures
        ]
        if not lines:
            return
        try:
            self._write("".join(lines).encode())
        except OSError as error:
            _log.warning("failures could not be written to %s (%s): %s", self.path, error, "".join(lines).rstrip())

    def _write(self, text: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a line that was cut off must not take the next one with it
                    text = b"\n" + text
            if file.write(text) < len(text):  # one write: lines of several processes do not mix
                raise OSError("no room on the disk")

    def read(self) -> dict[Cell, str]:
        """Return the failed cells and their last reasons; a line that was cut off is left out."""
        found: dict[Cell, str] = {}
        if self.path.is_file():
            for line in self.path.read_text(errors="replace").splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    record = json.loads(line)
                    found[Cell(int(record["index"]), int(record["seed"]))] = str(record["reason"])
        return found


class FillResults(Protocol):
    """What a filling needs of the place where its results go."""

    def begin(self, table: TableMeta) -> None:
        """Make or check the table; raises `TableMismatch` where it was made with another recipe or data set."""

    def end(self) -> None:
        """Close what `begin` opened."""

    def done(self) -> set[Cell]:
        """Return the cells that have results; none before `begin`."""

    def failures(self) -> FailureLog:
        """Return the log of failures of the table."""

    def claim(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return those of the cells that nobody else has or trains, claimed."""

    def renew(self, cells: Iterable[Cell]) -> None:
        """Hold claims for longer; called from another thread, every few minutes."""

    def put(self, evaluations: Iterable[Evaluation]) -> None:
        """Keep results; they are on the disk when this returns."""

    def release(self, cells: Iterable[Cell]) -> None:
        """Give up claims."""

    def stop_sharing(self) -> None:
        """Forget that results stand for equal networks, where every architecture has its own under every seed."""


class StoreResults:
    """Results in a store. Several fillings may work on one table at once: claims keep them apart.

    Args:
        store: The store; must not be read-only.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._table: TableMeta | None = None

    @property
    def table(self) -> TableMeta:
        """The table that is filled."""
        assert self._table is not None, "begin() comes first"
        return self._table

    def begin(self, table: TableMeta) -> None:
        """Make or check the table."""
        self.store.ensure_table(
            *(table.key, table.size),
            recipe=table.recipe,
            fingerprint=table.fingerprint,
            shares_equal=table.shares_equal,
        )
        self._table = table

    def end(self) -> None:
        """Leave the store open: it was given."""

    def done(self) -> set[Cell]:
        """Return the cells that have results; none before `begin`."""
        return set() if self._table is None else set(self.store.cells(self._table.key))

    def failures(self) -> FailureLog:
        """Return the log of failures, a file in the store's folder."""
        return FailureLog(self.store.path / "failures" / f"{quote(str(self.table.key), safe='')}.jsonl")

    def claim(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return those of the cells that were free."""
        return self.store.claim_all(self.table.key, cells, _CLAIM_SECONDS)

    def renew(self, cells: Iterable[Cell]) -> None:
        """Hold claims for longer."""
        self.store.renew_all(self.table.key, cells, _CLAIM_SECONDS)

    def put(self, evaluations: Iterable[Evaluation]) -> None:
        """Put results into the table; where the disk is full they go into a file that the error names."""
        put_or_rescue(self.store, self.table, evaluations)

    def release(self, cells: Iterable[Cell]) -> None:
        """Give up claims."""
        self.store.release_all(self.table.key, cells)

    def stop_sharing(self) -> None:
        """Clear the table's mark where it is whole: nothing is shared any more."""
        if self.store.meta(self.table.key).shares_equal:
            rows = Counter(cell.seed for cell in self.done())
            if rows and min(rows.values()) == self.table.size:
                self.store.set_shares_equal(self.table.key, False)


class FileResults:
    """Results in a file, for places without a store; `nasgym.store.Store.merge` takes it in elsewhere.

    One filling writes one file at a time.

    Args:
        path: The file; what is whole in it is kept and continued.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._open: tuple[TableMeta, ResultsWriter] | None = None
        self._done: set[Cell] = set()

    def begin(self, table: TableMeta) -> None:
        """Open the file and check what it holds of the table."""
        known = self.path.exists() and self.path.stat().st_size > 0
        with ExitStack() as cleanup:
            writer = cleanup.enter_context(ResultsWriter(self.path, append=True))  # drops an end that was cut off
            for held, evaluation in read_results(self.path) if known else ():
                if held.key == table.key:
                    self._check(held, table)
                    self._done.add(Cell(evaluation.index, evaluation.seed))
            cleanup.pop_all()
        self._open = table, writer

    def _check(self, held: TableMeta, table: TableMeta) -> None:
        if (held.recipe, held.fingerprint) != (table.recipe, table.fingerprint):
            raise TableMismatch(
                f"{self.path} holds {table.key} made with another recipe or data set: take another file."
            )

    def end(self) -> None:
        """Close the file."""
        if self._open is not None:
            self._open[1].close()

    def done(self) -> set[Cell]:
        """Return the cells that have results; none before `begin`."""
        return set(self._done)

    def failures(self) -> FailureLog:
        """Return the log of failures, a file beside the results."""
        return FailureLog(self.path.with_name(self.path.name + ".failures.jsonl"))

    def claim(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return all cells: nobody else writes this file."""
        return list(cells)

    def renew(self, cells: Iterable[Cell]) -> None:
        """Do nothing: there are no claims."""

    def put(self, evaluations: Iterable[Evaluation]) -> None:
        """Append results."""
        assert self._open is not None, "begin() comes first"
        table, writer = self._open
        rows = list(evaluations)
        writer.write(table, rows)
        self._done.update(Cell(row.index, row.seed) for row in rows)

    def release(self, cells: Iterable[Cell]) -> None:
        """Do nothing: there are no claims."""

    def stop_sharing(self) -> None:
        """Do nothing: on merging, a store learns how the file was begun."""
