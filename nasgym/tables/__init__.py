"""Embedded tables: trained results that ship with the package, so that everything works at once and offline.

The table ``space/dataset/recipe`` lies in the folder of that name beside this file (`nasgym.tables.packed` tells its
format). `nasgym.store.open_store` lays the user's store over them. With ``NASGYM_EMBEDDED=0`` in the environment there
are none.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from nasgym.results import TableKey
from nasgym.tables.packed import DESCRIPTION, PackedTable
from nasgym.tables.packing import pack_table

__all__ = ["PackedTable", "embedded_keys", "embedded_table", "pack_table"]

_FOLDER = Path(__file__).resolve().parent


def embedded_keys() -> list[TableKey]:
    """Return the names of the embedded tables, sorted."""
    if not _in_use():
        return []
    return sorted(TableKey(*path.relative_to(_FOLDER).parts[:3]) for path in _FOLDER.glob(f"*/*/*/{DESCRIPTION}"))


def embedded_table(key: TableKey) -> PackedTable | None:
    """Return an embedded table, opened once per process, or None where there is none of that name."""
    return _opened(key) if _in_use() else None


def _in_use() -> bool:
    return os.environ.get("NASGYM_EMBEDDED", "1") != "0"


@cache
def _opened(key: TableKey) -> PackedTable | None:
    folder = _FOLDER / key.space / key.dataset / key.recipe
    safe = ".." not in key.dataset and ":" not in key.dataset  # a folder of images is never embedded
    return PackedTable(folder) if safe and (folder / DESCRIPTION).is_file() else None
