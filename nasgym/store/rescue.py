"""Finished trainings that the store does not take: kept in a file of results, so that no computing is lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from nasgym.errors import StoreError
from nasgym.results import Evaluation
from nasgym.results_file import TableMeta, write_results
from nasgym.store.store import Store

__all__ = ["put_or_rescue"]


def put_or_rescue(store: Store, table: TableMeta, evaluations: Iterable[Evaluation]) -> None:
    """Put trainings into a table; other results that came in meanwhile are as good and stay.

    Args:
        store: Where they go.
        table: What the table was made with.
        evaluations: Finished trainings.

    Raises:
        StoreError: The store does not take them, because the disk is full, say. The message names the file that has
            them: beside the store, in the current folder or in the system's folder of temporary files, the first that
            can be written to.
    """
    trained = list(evaluations)
    try:
        store.put(table.key, trained, on_conflict="keep")
    except StoreError as error:
        kept = _rescued(store, table, trained) if trained else None
        if kept is None:
            raise
        raise type(error)(
            f"{error} What was trained, {len(trained):,} evaluations of {table.key}, is kept in {kept}: "
            f"`nasgym import results {kept}` takes it in."
        ) from error


def _rescued(store: Store, table: TableMeta, evaluations: list[Evaluation]) -> Path | None:
    """Write evaluations to a new file and return it; None where no folder takes it."""
    for folder in (store.path.absolute().parent, Path.cwd(), Path(tempfile.gettempdir())):
        with suppress(OSError, StoreError):
            handle, name = tempfile.mkstemp(prefix="nasgym-rescued-", suffix=".nasgym", dir=folder)
            os.close(handle)
            try:
                write_results(name, table, evaluations)
            except BaseException:
                os.unlink(name)
                raise
            return Path(name)
    return None
