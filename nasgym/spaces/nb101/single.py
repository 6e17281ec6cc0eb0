"""The canonical form of one genotype in plain Python: for a few, numpy's calls take several times as long."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from nasgym.spaces.nb101.codes import (
    BITS,
    INNER,
    LABEL_PLACES,
    LABELS,
    bit_look_up,
    closing_gaps,
    edge_bit,
    graphs,
)
from nasgym.spaces.nb101.graphs import MAX_VERTICES

__all__ = ["canonical_of_one"]

_OUTPUT = MAX_VERTICES - 1
_WIDTH = 7  # bits that one look-up maps
_CACHED = 1 << 16  # matrices
_EDGE_DIGITS = b"01" + b"x" * 254  # what is no option becomes no digit
_OPERATION_DIGITS = b"012" + b"x" * 253


def canonical_of_one(genotype: bytes, vertices: int) -> tuple[int, int]:
    """Return the canonical form of a genotype, as `nasgym.spaces.nb101.codes.Canonical` has it; -1, 0 for no cell.

    Args:
        genotype: Its choices, one byte for each.
        vertices: The most vertices of a cell of its space.
    """
    num_edges = vertices * (vertices - 1) // 2
    try:
        edges = int(genotype[:num_edges].translate(_EDGE_DIGITS), 2)
        labels = int(genotype[num_edges:].translate(_OPERATION_DIGITS), 3) * 3 ** (MAX_VERTICES - vertices)
    except ValueError:
        return -1, 0
    low, middle, high = _code_look_up(vertices)
    code = low[edges & 127] | middle[edges >> _WIDTH & 127] | high[edges >> 2 * _WIDTH]
    matrix = _matrix(code)
    if matrix is None:
        return -1, 0
    kept = matrix.kept[labels]
    return matrix.representative, min([order[kept] for order in matrix.orders])


class _Matrix(NamedTuple):
    """What a matrix does to operations in base 3: drops those of loose vertices, then puts them in canonical order."""

    representative: int
    kept: list[int]
    orders: list[list[int]]


@lru_cache(maxsize=_CACHED)
def _matrix(code: int) -> _Matrix | None:
    """Return what the matrix of a code makes of operations; None where it is of no cell."""
    live = _live_vertices(code)
    inner = live >> 1 & ((1 << INNER) - 1)
    low, middle, high = _closing_look_ups()[inner]
    pruned = low[code & 127] | middle[code >> _WIDTH & 127] | high[code >> 2 * _WIDTH]
    at = _positions().get(pruned) if live else None
    if at is None:
        return None
    known, relabelled = graphs(), _relabelled()
    orders = known.orders[known.first[at] : known.first[at + 1]].tolist()
    return _Matrix(int(known.representative[at]), _kept_labels()[inner], [relabelled[order] for order in orders])


def _live_vertices(code: int) -> int:
    """Return the vertices on a path from vertex 0 to vertex 6, as bits; 0 where there is no path."""
    columns = [code >> edge_bit(0, y) & ((1 << y) - 1) for y in range(MAX_VERTICES)]
    reached, needed = 1, 1 << _OUTPUT
    for y in range(1, MAX_VERTICES):
        reached |= (columns[y] & reached != 0) << y
    for y in range(_OUTPUT, 0, -1):
        needed |= columns[y] * (needed >> y & 1)
    return reached & needed if reached >> _OUTPUT else 0


@cache
def _code_look_up(vertices: int) -> list[list[int]]:
    """Return what each seven bits become where the edges of a genotype, the first one foremost, become a code."""
    edges = [(x, y) for x in range(vertices) for y in range(x + 1, vertices)]
    bits = [edge_bit(x, _OUTPUT if y == vertices - 1 else y) for x, y in reversed(edges)]
    look_up: list[list[int]] = bit_look_up([*bits, *[None] * (BITS - len(bits))]).tolist()
    return look_up


@cache
def _closing_look_ups() -> list[list[list[int]]]:
    moves: list[list[list[int]]] = closing_gaps()[0].tolist()
    return moves


@cache
def _kept_labels() -> list[list[int]]:
    """Return for each set of live inner vertices what operations in base 3 become, ``[32][243]``."""
    digits = np.arange(LABELS)[:, None] // LABEL_PLACES % 3
    kept: list[list[int]] = (closing_gaps()[1] @ digits.T).tolist()
    return kept


@cache
def _positions() -> dict[int, int]:
    return {code: at for at, code in enumerate(graphs().codes.tolist())}


@cache
def _relabelled() -> list[list[int]]:
    relabelled: list[list[int]] = graphs().relabelled.tolist()
    return relabelled
