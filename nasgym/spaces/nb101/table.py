"""All cells of the space: enumerated once, kept in a file of the user's cache, and opened as a memory map."""

from __future__ import annotations

import logging
import os
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasgym.folders import user_folder
from nasgym.spaces.nb101.codes import LABELS, canonical, graphs
from nasgym.spaces.nb101.graphs import MAX_VERTICES
from nasgym.spaces.nb101.hashing import DIGEST, Digests, hash_cells

__all__ = ["SIZES", "Table", "cache_file", "enumerate_cells", "open_table"]

SIZES = {2: 1, 3: 7, 4: 91, 5: 2_532, 6: 64_542, 7: 423_624}
"""Vertices -> how many cells there are of at most so many."""
_FILE_SHA256 = {
    2: "5c27daaa83b30f07d4f200ed8fd1172253f8d4805ad92c563c59ca1aaf089203",
    3: "b8a8dd0548e16b9baddfe38c541f27aa3cadebef855354cb711b825bb801e91f",
    4: "c560bc265f4a7a9001375fb136f70ad1623601583788ab5e000885155bbbea3b",
    5: "edc7993d755f0d818d1e21e1e4080bce20bea60ce0b2dae00ceef36bbd5d600a",
    6: "706e1823884bd352a527e1c1965dc882c6a39546909749b453b1f32713750514",
    7: "3af0e510f2258ec1be2060384094385e97e62ed3ac9677b71677dfca2f32858f",
}
"""Vertices -> sha256 of the file of cells, which can never change."""
_SLOW = 7  # tables of so many vertices take long enough to say so
_LABEL_BITS = 8  # 3**5 ways to label fit
PROGRESS = "enumerated %d of %d cells"
"""What is logged, at the level DEBUG, while cells are enumerated."""
_log = logging.getLogger(__name__)


class Table(NamedTuple):
    """All cells of at most so many vertices, in the order of their hashes.

    Attributes:
        digests: Their hashes, ``uint8[size, 16]``, ascending.
        cells: For each the position of its canonical matrix in `codes.graphs` and its operations in base 3, as
            ``uint32[size]``: the matrix above the lowest eight bits.
    """

    digests: Digests
    cells: NDArray[np.uint32]

    def graph(self, indices: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return the positions of the canonical matrices of cells, ``int32[n]``."""
        return np.asarray(self.cells[indices] >> _LABEL_BITS, dtype=np.int32)

    def labels(self, indices: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return the operations of cells in base 3, ``int32[n]``."""
        return np.asarray(self.cells[indices] & ((1 << _LABEL_BITS) - 1), dtype=np.int32)

    def indices(self, graph: NDArray[np.integer], labels: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the index of each canonical cell, ``int64[n]``; -1 where there is none."""
        found: NDArray[np.int64] = _inverse(self.vertices)[graph * LABELS + labels].astype(np.int64)
        return np.where(graph < 0, -1, found)

    def indices_of_hashes(self, digests: Digests) -> NDArray[np.int64]:
        """Return the index of each hash, ``int64[n]``; -1 where there is none."""
        known, asked = _as_text(self.digests), _as_text(digests)
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        return np.where(known[at] == asked, at, -1)

    @property
    def vertices(self) -> int:
        """The most vertices of its cells."""
        return next(v for v, size in SIZES.items() if size == len(self.cells))


def enumerate_cells(vertices: int = MAX_VERTICES) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return all cells of at most so many vertices in the published order of enumeration.

    Returns:
        The positions of their canonical matrices in `codes.graphs`, and their operations in base 3, ``int32`` each.
    """
    known = graphs()
    matrices = np.unique(known.representative)
    matrices = matrices[known.vertices[matrices] <= vertices].astype(np.int32)
    ways = 3 ** (known.vertices[matrices].astype(np.int64) - 2)
    labels = np.concatenate([np.arange(n, dtype=np.int32) * (LABELS // n) for n in ways.tolist()])
    rows = np.repeat(matrices, ways)
    first = canonical(known.codes[rows], labels).labels == labels
    return rows[first], labels[first]


@cache
def open_table(vertices: int) -> Table:
    """Return the cells of at most so many vertices, from the cache file where there is a sound one.

    The file is made at the first call: some 20 seconds for all cells, once for a user. The log tells how far that is.
    Where the file cannot be written, the cells are enumerated in every process.
    """
    path = cache_file(vertices)
    table = _read(path, vertices)
    if table is None:
        if vertices >= _SLOW:
            _log.warning(
                "enumerating the %s cells of NAS-Bench-101, once, about half a minute: %s", f"{SIZES[vertices]:,}", path
            )
        table = _make_table(vertices)
        _write(path, table)
    return table


def cache_file(vertices: int) -> Path:
    """Return the file of the cells: in ``$NASGYM_CACHE``, else in ``cells`` of the folder of what can be made anew."""
    named = os.environ.get("NASGYM_CACHE")
    folder = Path(named).expanduser() if named else user_folder("cells", "cache")
    return folder / f"nb101-{vertices}.cells"


def _make_table(vertices: int) -> Table:
    rows, labels = enumerate_cells(vertices)
    digests = hash_cells(graphs().codes[rows], labels, graphs().vertices[rows], _tell)
    order = np.argsort(_as_text(digests))
    return Table(digests[order], (rows[order] << _LABEL_BITS | labels[order]).astype(np.uint32))


def _tell(done: int, size: int) -> None:
    _log.debug(PROGRESS, done, size)


def _read(path: Path, vertices: int) -> Table | None:
    """Return the table of a file as a memory map; None where there is no file, or not the right one."""
    size = SIZES[vertices]
    try:
        whole = np.memmap(path, dtype=np.uint8, mode="r")
    except (OSError, ValueError):  # a file of no bytes cannot be mapped
        return None
    if whole.size != size * (DIGEST + 4) or sha256(whole.data).hexdigest() != _FILE_SHA256[vertices]:
        return None
    split = size * DIGEST
    return Table(np.asarray(whole[:split]).reshape(size, DIGEST), np.asarray(whole[split:]).view("<u4"))


def _write(path: Path, table: Table) -> None:
    """Write the file under another name first, so that no process ever sees a part of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=path.name) as folder:  # a full disk leaves nothing
            draft = Path(folder) / path.name
            draft.write_bytes(table.digests.tobytes() + table.cells.astype("<u4").tobytes())
            draft.replace(path)
    except OSError as error:
        _log.warning("%s cannot be written (%s): the cells are enumerated again in the next process", path, error)


def _as_text(digests: Digests) -> NDArray[np.bytes_]:
    """Return hashes as values that compare by their digits."""
    return np.ascontiguousarray(digests).view(f"S{DIGEST}").ravel()


@cache
def _inverse(vertices: int) -> NDArray[np.int32]:
    """Return the index of the cell with each canonical matrix and operations, -1 where there is none."""
    table = open_table(vertices)
    inverse = np.full(len(graphs().codes) * LABELS, -1, dtype=np.int32)
    every = np.arange(len(table.cells))
    inverse[table.graph(every) * LABELS + table.labels(every)] = every
    return inverse
