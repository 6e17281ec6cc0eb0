"""Cells as matrices and names, and as text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture
from nasgym.spaces.nb101.codes import Canonical, edge_bit, graphs
from nasgym.spaces.nb101.costs import operations_of
from nasgym.spaces.nb101.graphs import OPERATIONS

__all__ = ["Cell", "cells_of", "parse_cell", "text_of"]


class Cell(NamedTuple):
    """A cell without loose vertices.

    Attributes:
        matrix: Its edges, ``int8[v, v]``, strictly upper triangular.
        operations: Those of its inner vertices, ``v - 2`` names of `OPERATIONS`.
    """

    matrix: NDArray[np.int8]
    operations: tuple[str, ...]


def cells_of(canonical: Canonical) -> list[Cell]:
    """Return canonical cells as matrices and names."""
    known = graphs()
    codes, vertices = known.codes[canonical.graph].tolist(), known.vertices[canonical.graph].tolist()
    cells = []
    for code, v, operations in zip(codes, vertices, operations_of(canonical.labels).tolist(), strict=True):
        matrix = np.array([[x < y and code >> edge_bit(x, y) & 1 for y in range(v)] for x in range(v)], dtype=np.int8)
        cells.append(Cell(matrix, tuple(OPERATIONS[op] for op in operations[: v - 2])))
    return cells


def text_of(cell: Cell) -> str:
    """Return ``010/001/000+conv3x3-bn-relu``: the matrix row by row, then the operations."""
    return "+".join(["/".join("".join(map(str, row)) for row in cell.matrix.tolist()), *cell.operations])


def parse_cell(text: str) -> tuple[list[list[int]], list[str]]:
    """Return the rows of the matrix and the operations of a text; what they are is not looked at.

    Raises:
        InvalidArchitecture: It begins with no square matrix of zeros and ones.
    """
    matrix, *operations = text.split("+")
    rows = matrix.split("/")
    if len(rows) < 2 or any(len(row) != len(rows) or set(row) - {"0", "1"} for row in rows):
        raise InvalidArchitecture(
            f"{text!r} begins with no square matrix of zeros and ones: 010/001/000+conv3x3-bn-relu, or a hash of "
            "32 hexadecimal digits."
        )
    return [[int(digit) for digit in row] for row in rows], operations
