"""Which edges may still be decided: every finished cell connects its input to its output by at most 9 edges.

Edges count after pruning, as published. The edges come row by row, so the edge of a vertex to the output is the last
of its row. A cell whose decided edges connect it already is finished with the fewest edges by deciding nothing more.
Another needs at least one of the open edges: it is finished with the fewest by the open edge to the output from the
vertex, among those that the input reaches, to which the fewest edges lead.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nasgym.spaces.nb101.codes import Codes, columns_of
from nasgym.spaces.nb101.graphs import MAX_EDGES, MAX_VERTICES

__all__ = ["completable"]

_OUTPUT = MAX_VERTICES - 1
_FEW = 16  # so many cells are faster one by one


def completable(codes: Codes, open_vertices: int) -> NDArray[np.bool_]:
    """Tell which unfinished cells can become valid, ``bool[n]``.

    Args:
        codes: Their decided edges, ``int32[n]``.
        open_vertices: The vertices whose edge to the output is not decided, as bits.
    """
    if len(codes) <= _FEW:
        return np.array([_completable(code, open_vertices) for code in codes.tolist()], dtype=np.bool_)
    edges, reached = _edges_towards(codes)
    enough = (reached >> _OUTPUT & 1 != 0) & (edges[_OUTPUT] <= MAX_EDGES)
    connected = reached >> _OUTPUT & 1 != 0
    for v in range(_OUTPUT):
        if open_vertices >> v & 1:
            enough |= ~connected & (reached >> v & 1 != 0) & (edges[v] < MAX_EDGES)
    return np.asarray(enough, dtype=np.bool_)


def _edges_towards(codes: Codes) -> tuple[list[Codes], Codes]:
    """Return for each vertex how many edges lie on paths to it from the input, and the vertices reached, as bits."""
    columns, reached = columns_of(codes), np.ones_like(codes)
    for y in range(1, MAX_VERTICES):
        reached |= ((columns[y] & reached) != 0).astype(np.int32) << y
    before = [np.ones_like(codes)]  # the vertices on paths to each, itself included
    entering = [np.zeros_like(codes)]
    edges = [np.zeros_like(codes)]
    for y in range(1, MAX_VERTICES):
        sources = columns[y] & reached
        leading = np.full_like(codes, 1 << y)
        for x in range(y):
            leading |= before[x] * (sources >> x & 1)
        before.append(leading)
        entering.append(np.bitwise_count(sources).astype(np.int32))
        edges.append(np.sum([entering[x] * (leading >> x & 1) for x in range(1, y + 1)], axis=0, dtype=np.int32))
    return edges, reached


@lru_cache(maxsize=1 << 16)
def _completable(code: int, open_vertices: int) -> bool:
    """The same for one cell."""
    reached, before, entering = 1, [1], [0]
    for y in range(1, MAX_VERTICES):
        sources = code >> (y * (y - 1) // 2) & ((1 << y) - 1) & reached
        reached |= (sources != 0) << y
        leading = 1 << y
        for x in range(y):
            if sources >> x & 1:
                leading |= before[x]
        before.append(leading)
        entering.append(sources.bit_count())
    connected = reached >> _OUTPUT & 1
    ends = [_OUTPUT] if connected else [v for v in range(_OUTPUT) if open_vertices & reached & 1 << v]
    limit = MAX_EDGES if connected else MAX_EDGES - 1
    return any(sum(entering[x] for x in range(1, v + 1) if before[v] >> x & 1) <= limit for v in ends)
