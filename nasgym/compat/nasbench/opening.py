"""Where the results of NAS-Bench-101 come from: the store, or a file that is imported into it first."""

from __future__ import annotations

import os
from pathlib import Path

from nasgym.compat.engine import NotEvaluated
from nasgym.compat.imported import import_once
from nasgym.compat.nasbench.stored import StoredResults
from nasgym.errors import InvalidSetting
from nasgym.importers.nasbench101 import TABLES, import_nasbench101
from nasgym.store import Store

__all__ = ["open_results"]


def open_results(
    source: str | os.PathLike[str] | None, store: Store | os.PathLike[str] | str | None = None
) -> StoredResults:
    """Return the official results of a source.

    Args:
        source: A ``.tfrecord`` of the original, the folder of a store, or None for the store.
        store: The store; None: the user's. A folder as source is a store of its own.

    Raises:
        InvalidSetting: There is no such file, or the folder is no store; a ValueError.
        InvalidArchive: The file is no official one, or it is broken; a ValueError.
        NotEvaluated: The store has no official results of NAS-Bench-101; a ValueError.
    """
    if source is not None and not isinstance(source, str | os.PathLike):
        raise InvalidSetting(f"results come from a path or None; got {type(source).__name__}.")
    path = None if source is None else Path(source)
    if path is not None and path.is_dir():
        if not (path / "data.mdb").is_file():
            raise InvalidSetting(f"{path} is no nasgym store: give a .tfrecord, the folder of a store, or None.")
        opened = Store(path)
    else:
        opened = store if isinstance(store, Store) else Store(None if store is None else Path(store))
    if path is not None and not path.is_dir():
        import_once(path, "nb101", opened, TABLES.values(), lambda: import_nasbench101(opened, path))
    results = StoredResults(opened)
    if not results.epochs:
        raise NotEvaluated(
            f"the store {opened.path} has no official results of NAS-Bench-101: run `nasgym import nasbench101 PATH` "
            "once, or give the path of a .tfrecord."
        )
    return results
