"""The published rules of NAS-Bench-101 on any labelled graph: pruning and the hash of a module, one graph at a time.

Source: Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019, and its published
code. `nasgym.spaces.nb101.codes` and `nasgym.spaces.nb101.hashing` do the same for many cells of the space at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import md5

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture

__all__ = [
    "INPUT_LABEL",
    "MAX_EDGES",
    "MAX_VERTICES",
    "OPERATIONS",
    "OUTPUT_LABEL",
    "as_matrix",
    "hash_cell",
    "hash_graph",
    "kept_vertices",
]

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The operations of the inner vertices in published order: their numbers are part of the hash."""
MAX_VERTICES, MAX_EDGES = 7, 9
INPUT_LABEL, OUTPUT_LABEL = -1, -2
"""What the first and the last vertex are labelled with where a module is hashed."""


def as_matrix(matrix: object) -> NDArray[np.int8]:
    """Return an adjacency matrix as ``int8[v, v]``, from lists or an array of numbers.

    Raises:
        InvalidArchitecture: It is not square, not strictly upper triangular, smaller than 2, or not of zeros and ones.
    """
    try:
        array = np.asarray(matrix)
    except ValueError as error:
        raise InvalidArchitecture(f"an adjacency matrix has rows of one length; got {matrix!r}.") from error
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise InvalidArchitecture(f"an adjacency matrix is square, 2x2 or larger; got the shape {array.shape}.")
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise InvalidArchitecture(f"the entries of an adjacency matrix are 0 and 1; got {array.tolist()}.")
    if np.tril(array).any():
        row, column = np.argwhere(np.tril(array))[0].tolist()
        raise InvalidArchitecture(
            f"an adjacency matrix is strictly upper triangular, edges lead to later vertices; got {row}→{column}."
        )
    return array.astype(np.int8)


def kept_vertices(matrix: NDArray[np.integer]) -> list[int]:
    """Return the vertices on a path from the first to the last; none where there is no path. The others are pruned."""
    last = len(matrix) - 1
    kept = sorted(_reached(matrix, 0) & _reached(np.asarray(matrix).T, last))
    return kept if len(kept) >= 2 else []


def hash_graph(matrix: NDArray[np.integer], labels: Sequence[int]) -> str:
    """Return the published hash of a labelled graph of any size, 32 hexadecimal digits.

    It does not depend on the order of the vertices. It tells all cells of the search space apart, though not all
    larger graphs: two that differ and share a hash are known on 10 vertices.

    Args:
        matrix: The edges, ``[v, v]``, already pruned.
        labels: A number for each vertex: -1 for the input, -2 for the output, else that of the operation.
    """
    edges = (np.asarray(matrix) != 0).tolist()
    everyone = range(len(edges))
    sources = [[u for u in everyone if edges[u][v]] for v in everyone]
    targets = [[u for u in everyone if edges[v][u]] for v in everyone]
    hashes = [_md5(str((len(targets[v]), len(sources[v]), int(labels[v])))) for v in everyone]
    for _ in everyone:
        hashes = [
            _md5("|".join((_around(hashes, sources[v]), _around(hashes, targets[v]), hashes[v]))) for v in everyone
        ]
    return _md5(str(sorted(hashes)))


def hash_cell(matrix: object, operations: Sequence[str]) -> str:
    """Return the published hash of a cell, after pruning.

    Args:
        matrix: Its adjacency matrix, of any size.
        operations: The operations of its inner vertices, one fewer than vertices at each end.

    Raises:
        InvalidArchitecture: The matrix is none, an operation is unknown, or no path leads from input to output.
    """
    array = as_matrix(matrix)
    labels = [INPUT_LABEL, *operation_numbers(operations, len(array)), OUTPUT_LABEL]
    kept = kept_vertices(array)
    if not kept:
        raise InvalidArchitecture("the cell is disconnected: no path of edges leads from the input to the output.")
    return hash_graph(array[np.ix_(kept, kept)], [labels[v] for v in kept])


def operation_numbers(operations: Sequence[str], vertices: int) -> list[int]:
    """Return the numbers of the operations of the inner vertices.

    Raises:
        InvalidArchitecture: There are more or fewer than inner vertices, or one is unknown.
    """
    if isinstance(operations, str) or not isinstance(operations, Iterable):
        raise InvalidArchitecture(f"the operations of a cell are a list of names; got {operations!r}.")
    names = list(operations)
    if len(names) != vertices - 2:
        raise InvalidArchitecture(
            f"a cell of {vertices} vertices has {vertices - 2} inner operations; got {len(names)}: "
            f"{names}. The input and the output have none."
        )
    for name in names:
        if not isinstance(name, str) or name not in OPERATIONS:
            raise InvalidArchitecture(f"unknown operation {str(name)!r}. Known: {', '.join(OPERATIONS)}.")
    return [OPERATIONS.index(name) for name in names]


def _reached(matrix: NDArray[np.integer], start: int) -> set[int]:
    found, frontier = {start}, [start]
    while frontier:
        new = set(np.flatnonzero(np.asarray(matrix)[frontier.pop()]).tolist()) - found
        found |= new
        frontier += new
    return found


def _around(hashes: Sequence[str], neighbours: Sequence[int]) -> str:
    return "".join(sorted(hashes[u] for u in neighbours))


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
