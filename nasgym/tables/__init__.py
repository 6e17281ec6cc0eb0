"""Embedded tables: trained results that ship with the package, so that everything works at once and offline.

The table ``space/dataset/recipe`` lies in the folder of that name beside this file (`nasgym.tables.packed` tells its
format). `nasgym.store.open_store` lays the user's store over them. With ``NASGYM_EMBEDDED=0`` in the environment there
are none.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

from nasgym.errors import StoreDamaged
from nasgym.results import TableKey
from nasgym.tables.packed import DESCRIPTION, PackedTable
from nasgym.tables.packing import pack_table

__all__ = ["PackedTable", "embedded_keys", "embedded_table", "pack_table"]

_FOLDER = Path(__file__).resolve().parent
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # of a name; a folder of images is never embedded


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
    parts = (key.space, key.dataset, key.recipe)
    folder = _FOLDER.joinpath(*parts) if all(map(_PART.fullmatch, parts)) else None
    if folder is None or not (folder / DESCRIPTION).is_file():
        return None
    table = PackedTable(folder)
    if table.meta.key != key:
        raise StoreDamaged(f"{folder} holds the table {table.meta.key}: install nasgym again.")
    return table
