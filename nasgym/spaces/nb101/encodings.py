"""The other published encodings of NAS-Bench-101 cells, turned into genotypes.

Source: Klein and Hutter's ``nas_benchmarks``, whose three configuration spaces are A (21 edges and five operations:
the genotype itself), B (nine slots, each naming an edge) and C (a number of edges, and a weight for each edge). An
optimiser of one's own over B or C turns what it proposes into genotypes here; not all of it is a valid cell. The agents
of this project search over genotypes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture
from nasgym.spaces.base import Genotypes
from nasgym.spaces.nb101.codes import BITS, INNER, edge_bit
from nasgym.spaces.nb101.graphs import MAX_EDGES, MAX_VERTICES, OPERATIONS

__all__ = ["from_edge_slots", "from_edge_weights"]

_EDGES = tuple((x, y) for x in range(MAX_VERTICES) for y in range(x + 1, MAX_VERTICES))
_EDGE_OF_SLOT = np.argsort([BITS - 1 - edge_bit(x, y) for x, y in _EDGES])
"""``int64[21]``: the edge that a slot's number names: published bits are column by column, and read from the last."""


def from_edge_slots(slots: NDArray[np.integer], operations: NDArray[np.integer]) -> Genotypes:
    """Return genotypes ``int8[n, 26]`` of encoding B.

    Args:
        slots: ``int[n, 9]``, each the number of an edge, 0 to 20; a number that occurs twice is one edge.
        operations: ``int[n, 5]``, numbers of `OPERATIONS`.

    Raises:
        InvalidArchitecture: A shape or a number is out of its bounds.
    """
    chosen = _checked("slots", slots, MAX_EDGES, BITS)
    genotypes = _with_operations(operations, len(chosen))
    np.put_along_axis(genotypes, _EDGE_OF_SLOT[chosen], 1, axis=1)
    return genotypes


def from_edge_weights(
    count: NDArray[np.integer], weights: NDArray[np.floating], operations: NDArray[np.integer]
) -> Genotypes:
    """Return genotypes ``int8[n, 26]`` of encoding C: the ``count`` edges of the largest weights are there.

    Args:
        count: ``int[n]``, edges, 0 to 9.
        weights: ``float[n, 21]``, one for each edge, row by row.
        operations: ``int[n, 5]``, numbers of `OPERATIONS`.

    Raises:
        InvalidArchitecture: A shape or a number is out of its bounds, or a weight is no number.
    """
    edges = _checked("counts", count, None, MAX_EDGES + 1)
    heights = _as_array("weights", weights)
    if heights.shape != (len(edges), BITS):
        raise InvalidArchitecture(f"weights of edges have the shape ({len(edges)}, {BITS}); got {heights.shape}.")
    if heights.dtype.kind not in "iuf":
        raise InvalidArchitecture(f"weights of edges are numbers; got an array of {heights.dtype}.")
    if np.isnan(heights).any():
        raise InvalidArchitecture("weights of edges are numbers; got nan.")
    genotypes = _with_operations(operations, len(edges))
    rank = np.argsort(np.argsort(-heights.astype(float), axis=1, kind="stable"), axis=1)
    genotypes[:, :BITS] = rank < edges[:, None]
    return genotypes


def _with_operations(operations: NDArray[np.integer], n: int) -> Genotypes:
    chosen = _checked("operations", operations, INNER, len(OPERATIONS))
    if len(chosen) != n:
        raise InvalidArchitecture(f"operations are given for {len(chosen)} cells, edges for {n}.")
    return np.concatenate([np.zeros((n, BITS), dtype=np.int8), chosen.astype(np.int8)], axis=1)


def _checked(what: str, values: NDArray[np.integer], width: int | None, options: int) -> NDArray[np.integer]:
    """Return integers in ``0..options-1``, a row of ``width`` for each cell; None: one number for each cell."""
    array = _as_array(what, values)
    row = () if width is None else (width,)
    if array.ndim != 1 + len(row) or array.shape[1:] != row or array.dtype.kind not in "iu":
        shape = "(n,)" if width is None else f"(n, {width})"
        raise InvalidArchitecture(f"{what} are integers of the shape {shape}; got {array.dtype}{array.shape}.")
    outside = array[(array < 0) | (array >= options)]
    if outside.size:
        raise InvalidArchitecture(f"{what} are in 0..{options - 1}; got {outside[0]}.")
    return array


def _as_array(what: str, values: object) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidArchitecture(f"{what} have rows of one length; got {values!r}.") from error
