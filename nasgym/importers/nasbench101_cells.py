"""The cells that NAS-Bench-101's file names: hash, matrix and operations as text, checked against each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture
from nasgym.importers.nasbench101_faults import BadRecord
from nasgym.recipes import DATASETS, RECIPES
from nasgym.spaces import NB101
from nasgym.spaces.nb101 import OPERATIONS

__all__ = ["CellText", "Cells", "read_cells"]

CellText: TypeAlias = tuple[bytes, bytes, bytes]
"""Hash, matrix row by row, operations with commas: as the file has them."""
_HASH = re.compile(rb"[0-9a-f]{32}")
_SIDES = {v * v: v for v in range(2, 8)}


class Cells(NamedTuple):
    """The cells of ``n`` texts.

    Attributes:
        indices: ``int64[n]``.
        canonical: Whether the matrix is the one that the published enumeration meets first, ``bool[n]``.
        parameters: Trainable parameters by the closed form, ``int64[n]``.
    """

    indices: NDArray[np.int64]
    canonical: NDArray[np.bool_]
    parameters: NDArray[np.int64]


def read_cells(texts: Sequence[CellText]) -> Cells:
    """Return the cells; raises `BadRecord` where a text is no cell or its hash is that of another cell."""
    space = NB101()
    genotypes = np.zeros((len(texts), space.num_decisions), dtype=np.int8)
    for at, (name, _, _) in enumerate(texts):
        if not _HASH.fullmatch(name):
            raise BadRecord(at, f"its hash is {_shown(name)}; a hash has 32 hexadecimal digits")
    digests = np.frombuffer(bytes.fromhex(b"".join(name for name, _, _ in texts).decode()), np.uint8).reshape(-1, 16)
    named = space.table.indices_of_hashes(digests)
    if (named < 0).any():
        at = int(np.argmax(named < 0))
        raise BadRecord(at, f"no cell of nb101 has its hash {texts[at][0].decode()}")
    lengths = np.array([len(matrix) for _, matrix, _ in texts])
    for length in np.unique(lengths).tolist():
        which = np.flatnonzero(lengths == length)
        if length not in _SIDES:
            raise BadRecord(int(which[0]), f"its matrix has {length} entries, which is none of 2x2 to 7x7")
        _fill(genotypes, which, _SIDES[length], texts)
    try:
        index = space.index(genotypes)
    except InvalidArchitecture:
        at = int(np.argmin(space.is_valid(genotypes)))
        raise BadRecord(at, f"its matrix {_shown(texts[at][1])} is no cell of nb101") from None
    if (index != named).any():
        at = int(np.argmax(index != named))
        is_hash = space.hash(genotypes[at : at + 1])[0]
        raise BadRecord(at, f"its hash is {texts[at][0].decode()}, but that of its matrix and operations is {is_hash}")
    canonical = space.from_index(index)
    return Cells(index, (canonical == genotypes).all(axis=1), _parameters()[index])


def _fill(genotypes: NDArray[np.int8], which: NDArray[np.intp], side: int, texts: Sequence[CellText]) -> None:
    """Write the genotypes of texts with matrices of one size."""
    space, rows = NB101(), which.tolist()
    matrices = np.frombuffer(b"".join(texts[at][1] for at in rows), np.uint8).reshape(-1, side, side) - ord("0")
    wrong = (matrices > 1).any(axis=(1, 2)) | (matrices & np.tri(side, dtype=np.uint8) != 0).any(axis=(1, 2))
    if wrong.any():
        at = int(which[np.argmax(wrong)])
        raise BadRecord(at, f"its matrix {_shown(texts[at][1])} is not of 0 and 1 above the diagonal alone")
    place = [*range(side - 1), space.vertices - 1]
    for edge, (x, y) in enumerate(space.edges):
        if x in place and y in place:
            genotypes[which, edge] = matrices[:, place.index(x), place.index(y)]
    for at in rows:
        numbers = _operations(texts[at][2])
        if numbers is None or len(numbers) != side - 2:
            raise BadRecord(
                at,
                f"its operations are {_shown(texts[at][2])}; a matrix of {side} vertices has input, {side - 2} of "
                f"{', '.join(OPERATIONS)}, and output",
            )
        genotypes[at, space.num_edges : space.num_edges + side - 2] = numbers


@lru_cache(maxsize=1024)
def _operations(text: bytes) -> tuple[int, ...] | None:
    """Return the numbers of the inner operations, or None for a text that has others."""
    names = text.decode("utf-8", "replace").split(",")
    if len(names) < 2 or names[0] != "input" or names[-1] != "output" or not set(names[1:-1]) <= set(OPERATIONS):
        return None
    return tuple(OPERATIONS.index(name) for name in names[1:-1])


@cache
def _parameters() -> NDArray[np.int64]:
    """Return the parameters of all cells in the published skeleton, ``int64[423624]``."""
    space, data = NB101(), DATASETS["cifar10"]
    macro = RECIPES["nb101-108"].macro(data.classes, data.channels, data.resolution)
    return space.parameters(space.from_index(np.arange(space.size)), macro)


def _shown(text: bytes) -> str:
    """Return a text for a message, shortened."""
    return repr(text[:100].decode("utf-8", "replace")) + ("..." if len(text) > 100 else "")
