"""The rows of a batch as arrays of their own, made once and handed out again when nobody holds them any more.

Gymnasium wants an array for each last observation. Making thousands of small array objects takes longer than
everything else in a batched step; looking whether the ones made before are still held takes a fifth of it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowPool", "row_objects"]

_COUNTS_ARE_EXACT = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()


class RowPool:
    """Hands out batches as object arrays of their rows. To the caller every row is new: none that it holds changes.

    A row that is held, or a view of one, shows in the reference counts of the rows and of their common buffer; then,
    and where the interpreter does not count exactly, new rows are made.
    """

    def __init__(self) -> None:
        """Make no rows yet."""
        self._buffer = np.empty((0, 0), dtype=np.int8)
        self._rows: list[NDArray[np.int8]] = []
        self._objects = np.empty(0, dtype=object)
        self._idle = self._count()

    def __reduce__(self) -> tuple[type[RowPool], tuple[()]]:
        """Pickle and copy without the rows: they belong to those who hold them."""
        return type(self), ()

    def hand_out(self, batch: NDArray[np.int8]) -> NDArray[np.object_]:
        """Return an object array ``[n]`` of the rows of ``int8[n, m]``, each an array that nobody else has."""
        if self._buffer.shape != batch.shape or not _COUNTS_ARE_EXACT or self._count() != self._idle:
            self._buffer = np.empty(batch.shape, dtype=np.int8)
            self._rows = list(self._buffer)
            self._objects = np.fromiter(self._rows, dtype=object, count=len(self._rows))
            self._idle = self._count()
        self._buffer[...] = batch
        return self._objects.copy()

    def _count(self) -> tuple[int, Any]:
        """Return the references to the rows, and to the buffer, which views of a row refer to directly."""
        return sum(map(sys.getrefcount, self._rows)), sys.getrefcount(self._buffer)


def row_objects(rows: NDArray[np.int8]) -> NDArray[np.object_]:
    """Return an object array ``[k]`` of the rows ``int8[k, m]``, each an array of its own."""
    return np.fromiter(np.ascontiguousarray(rows), dtype=object, count=len(rows))
