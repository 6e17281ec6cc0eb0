"""What a merge takes in: another store or a file of results, as rows. No lmdb here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nasgym.errors import StoreDamaged
from nasgym.results import TableKey
from nasgym.results_file import TableMeta, read_content
from nasgym.store import tables
from nasgym.store.tables import Encoded
from nasgym.tables import PackedTable
from nasgym.tables.packed import DESCRIPTION

__all__ = ["Content", "MergeReport", "is_packed", "of_file", "of_packed"]

Content: TypeAlias = tuple[TableKey | TableMeta, Sequence[Encoded]]
"""A table (made where described by a `TableMeta`) and what goes into it."""


@dataclass(frozen=True)
class MergeReport:
    """What a merge did.

    Attributes:
        read: Evaluations in the source.
        written: Table -> evaluations that were new or took another's place.
        damage: What is wrong with the end of the source file, or None; everything before it was merged.
    """

    read: int
    written: Mapping[TableKey, int]
    damage: str | None = None


def of_file(path: Path) -> tuple[list[Content], str | None]:
    """Return the tables and whole rows of a file of results, and what is wrong with its end.

    Raises:
        StoreDamaged: The file does not start as a file of results.
        StoreSchemaError: It was written by a newer version.
    """
    content: list[tuple[TableMeta, list[Encoded]]] = []
    try:
        for meta, evaluation in read_content(path):
            if evaluation is None:
                content.append((meta, []))
            else:
                content[-1][1].extend(tables.encoded([evaluation]))
    except StoreDamaged as error:
        if not content:
            raise
        return list(content), str(error)
    return list(content), None


def is_packed(path: Path) -> bool:
    """Tell whether a folder holds a packed table."""
    return (path / DESCRIPTION).is_file()


def of_packed(path: Path) -> list[Content]:
    """Return the rows of a packed table; raises `StoreDamaged` or `StoreSchemaError`."""
    packed = PackedTable(path)
    if problems := packed.problems():
        raise StoreDamaged(problems[0])
    return [(packed.meta, tables.encoded(packed.scan()))]
