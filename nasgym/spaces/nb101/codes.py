"""Cells as integers, and the canonical form of many cells at once.

A matrix of up to 7 vertices is one integer, its code: the edge from ``x`` to ``y`` is bit ``x + y (y - 1) / 2``, as in
the published enumeration. So a code needs no number of vertices beside it: a graph without loose vertices has an edge
into its last one. The operations are one number in base 3, five digits, the first inner vertex foremost. Comparing
(code, operations) is then the published order of enumeration, and the smallest pair of all orders of the vertices is
the cell that the enumeration meets first: the canonical one.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym.spaces.nb101.graphs import MAX_EDGES, MAX_VERTICES

__all__ = [
    "BITS",
    "INNER",
    "LABELS",
    "LABEL_PLACES",
    "Canonical",
    "Codes",
    "Graphs",
    "bit_look_up",
    "canonical",
    "closing_gaps",
    "columns_of",
    "edge_bit",
    "graphs",
    "live_vertices",
    "prune",
]

Codes: TypeAlias = NDArray[np.int32]
"""Matrices as integers, ``int32[n]``."""

INNER = MAX_VERTICES - 2
LABELS = 3**INNER
"""How many ways there are to label five inner vertices."""
LABEL_PLACES = 3 ** np.arange(INNER - 1, -1, -1, dtype=np.int32)
BITS = MAX_VERTICES * (MAX_VERTICES - 1) // 2
_OUTPUT = MAX_VERTICES - 1
_CHUNK = 7  # bits that one look-up maps at once
_BACKWARDS = 1 << BITS  # marks the code of a matrix that is not upper triangular


def edge_bit(source: int, target: int) -> int:
    """Return the bit of an edge in a code."""
    return source + target * (target - 1) // 2


def columns_of(codes: Codes) -> list[Codes]:
    """Return for each vertex the vertices with an edge into it, as bits, ``int32[n]``."""
    return [(codes >> edge_bit(0, y)) & ((1 << y) - 1) for y in range(MAX_VERTICES)]


def live_vertices(codes: Codes) -> Codes:
    """Return the vertices on a path from vertex 0 to vertex 6, as bits; 0 where there is no path."""
    columns = columns_of(codes)
    reached = np.ones_like(codes)
    for y in range(1, MAX_VERTICES):
        reached |= ((columns[y] & reached) != 0).astype(np.int32) << y
    needed = np.full_like(codes, 1 << _OUTPUT)
    for y in range(_OUTPUT, 0, -1):
        needed |= columns[y] * ((needed >> y) & 1)
    return reached & needed & -(reached >> _OUTPUT)


def prune(codes: Codes, labels: NDArray[np.integer]) -> tuple[Codes, NDArray[np.int32]]:
    """Drop the vertices off every path from vertex 0 to vertex 6 and close the gaps.

    Args:
        codes: Matrices of 7 vertices.
        labels: The operations of the inner vertices, ``int8[n, 5]``.

    Returns:
        The codes of the pruned matrices, 0 where there is no path, and their operations in base 3.
    """
    live = live_vertices(codes)
    inner = (live >> 1) & ((1 << INNER) - 1)
    moves, places = closing_gaps()
    closed = np.where(live != 0, _map_bits(moves, codes, inner), np.int32(0))
    return closed, (labels * places[inner]).sum(axis=1, dtype=np.int32)


class Graphs(NamedTuple):
    """All matrices without loose vertices of up to 7 vertices and 9 edges, sorted, and how each becomes canonical.

    Attributes:
        codes: The 6,472 matrices, ``int32[m]``.
        vertices: Vertices of each, ``int8[m]``.
        representative: For each the position of its canonical matrix, ``int16[m]``.
        first: Where the orders of each begin in ``orders``, ``int32[m + 1]``.
        orders: The orders of the inner vertices that make each canonical, as rows of ``relabelled``.
        relabelled: ``int16[120, 243]``: operations in base 3, put into each of the orders.
    """

    codes: Codes
    vertices: NDArray[np.int8]
    representative: NDArray[np.int16]
    first: NDArray[np.int32]
    orders: NDArray[np.int16]
    relabelled: NDArray[np.int16]


class Canonical(NamedTuple):
    """Cells in their canonical form.

    Attributes:
        graph: The position of the canonical matrix in `Graphs.codes`, ``int32[n]``; -1 for what is no cell.
        labels: Its operations in base 3, ``int32[n]``.
    """

    graph: NDArray[np.int32]
    labels: NDArray[np.int32]


def canonical(codes: Codes, labels: NDArray[np.int32]) -> Canonical:
    """Return the canonical form of pruned cells; a matrix with more than 9 edges, or code 0, is no cell."""
    known = graphs()
    at = np.minimum(np.searchsorted(known.codes, codes), len(known.codes) - 1)
    found = known.codes[at] == codes
    first, count = known.first[at], known.first[at + 1] - known.first[at]
    starts = np.cumsum(count) - count
    rank = np.arange(count.sum(), dtype=np.int32) - np.repeat(starts, count)
    orders = known.orders[np.repeat(first, count) + rank]
    smallest = np.minimum.reduceat(known.relabelled[orders, np.repeat(labels, count)], starts) if len(at) else labels
    return Canonical(np.where(found, known.representative[at], -1).astype(np.int32), smallest.astype(np.int32))


@cache
def graphs() -> Graphs:
    """Return the matrices and what makes them canonical; computed at the first call."""
    codes = _full_matrices()
    vertices = _vertices(codes)
    orders = list(permutations(range(INNER)))
    images = np.stack([_map_bits(_moving_vertices(order), codes) for order in orders], axis=1)
    kept = np.array([[all(o == i for i, o in enumerate(order) if i >= v - 2) for order in orders] for v in range(8)])
    images = np.where(kept[vertices], images, np.int32(_BACKWARDS))  # loose vertices and the output stay in place
    smallest = images.min(axis=1)
    row, best = np.nonzero(images == smallest[:, None])
    first = np.searchsorted(row, np.arange(len(codes) + 1)).astype(np.int32)
    digits = np.arange(LABELS)[:, None] // LABEL_PLACES % 3
    relabelled = np.stack([digits @ LABEL_PLACES[list(order)] for order in orders]).astype(np.int16)
    representative = np.searchsorted(codes, smallest).astype(np.int16)
    return Graphs(codes, vertices.astype(np.int8), representative, first, best.astype(np.int16), relabelled)


def _full_matrices() -> Codes:
    """Return, sorted, the codes in which every vertex but the first has an edge in and every one but the last out."""
    columns, full = np.zeros(1, dtype=np.int32), []
    for y in range(1, MAX_VERTICES):
        into = np.arange(1, 1 << y, dtype=np.int32) << edge_bit(0, y)
        columns = (columns[:, None] | into).ravel()
        columns = columns[np.bitwise_count(columns) <= MAX_EDGES]
        out = np.bitwise_or.reduce(columns_of(columns)[1 : y + 1], axis=0)
        full.append(columns[out == (1 << y) - 1])
    return np.sort(np.concatenate(full))


def _vertices(codes: Codes) -> NDArray[np.int64]:
    """Return the number of vertices of matrices without loose ones, ``int64[n]``: an edge enters the last."""
    return np.searchsorted([1 << edge_bit(0, y) for y in range(1, MAX_VERTICES)], codes, side="right") + 1


def _moving_vertices(order: tuple[int, ...]) -> NDArray[np.int32]:
    """Return the look-up of `_map_bits` that moves inner vertex ``i`` to the place ``order[i]``."""
    place = [0, *(o + 1 for o in order), _OUTPUT]
    return bit_look_up([edge_bit(place[x], place[y]) if place[x] < place[y] else BITS for x, y in _edges()])


@cache
def closing_gaps() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return for each set of live inner vertices how bits move, and what each label counts, ``int32[32, 5]``."""
    moves, places = [], np.zeros((1 << INNER, INNER), dtype=np.int32)
    for live in range(1 << INNER):
        inner = [v for v in range(1, _OUTPUT) if live >> (v - 1) & 1]
        place = {v: i for i, v in enumerate([0, *inner, _OUTPUT])}
        moves.append(bit_look_up([edge_bit(place[x], place[y]) if {x, y} <= set(place) else None for x, y in _edges()]))
        for i, v in enumerate(inner):
            places[live, v - 1] = LABEL_PLACES[i]
    return np.stack(moves), places


def _edges() -> list[tuple[int, int]]:
    """Return the edges in the order of their bits."""
    return [(x, y) for y in range(MAX_VERTICES) for x in range(y)]


def bit_look_up(goals: list[int | None]) -> NDArray[np.int32]:
    """Return ``int32[3, 128]``: what each seven bits of a code become where bit ``i`` moves to ``goals[i]``."""
    moved = np.array([0 if goal is None else 1 << goal for goal in goals], dtype=np.int32).reshape(-1, _CHUNK)
    bits = np.arange(1 << _CHUNK)[:, None] >> np.arange(_CHUNK) & 1
    return np.asarray((moved[:, None, :] * bits).sum(axis=2), dtype=np.int32)


def _map_bits(look_up: NDArray[np.int32], codes: Codes, which: NDArray[np.int32] | int = 0) -> Codes:
    """Move the bits of codes by the look-up ``[3, 128]``, or by those that ``which`` picks from ``[k, 3, 128]``."""
    flat, width = look_up.ravel(), 1 << _CHUNK
    mapped = np.zeros_like(codes)
    for i in range(3):
        mapped |= flat[(3 * which + i) * width + ((codes >> (_CHUNK * i)) & (width - 1))]
    return mapped
