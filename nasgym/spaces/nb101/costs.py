"""Channels, parameters and multiply-accumulates of NAS-Bench-101 networks, in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from nasgym.spaces.base import Macro
from nasgym.spaces.nb101.codes import INNER, LABEL_PLACES, edge_bit, graphs
from nasgym.spaces.nb101.graphs import MAX_VERTICES, OPERATIONS

__all__ = ["OPERATION_NAMES", "count_operations", "flops", "parameters", "vertex_channels"]

_CONV_3X3, _CONV_1X1, _MAXPOOL = range(len(OPERATIONS))
_KERNEL_AREA = {_CONV_3X3: 9, _CONV_1X1: 1}
_STAGES = 3
_OUTPUT = MAX_VERTICES - 1
_REFERENCE_WIDTH = 128  # channels that cells are counted at, those of the published first stage

OPERATION_NAMES = (
    *OPERATIONS,
    "projection",
    "sum",
    "conv3x3 multiply-accumulates",
    "conv1x1 multiply-accumulates",
    "projection multiply-accumulates",
    "pooled channels",
    "normalised channels",
)
"""The columns of `count_operations`: how many of each kind, then their sizes per pixel at 128 channels.

``projection``: the 1x1 convolutions on edges from the input. ``sum``: additions, one less than the values that meet.
"""


def vertex_channels(edges: NDArray[np.bool_], inputs: int, outputs: int) -> NDArray[np.int64]:
    """Return the channels of the inner vertices, ``int64[n, v - 2]``, by the published rule.

    The vertices with an edge to the output share its channels, the first ones one more where they do not divide. Every
    other one has as many as the widest that it feeds. A vertex without edges has 0.

    Args:
        edges: The matrices, ``bool[n, v, v]``.
        inputs: Channels that enter the cell; they do not matter.
        outputs: Channels that leave it.
    """
    feeding = edges[:, 1:-1, -1]
    share, more = np.divmod(outputs, np.maximum(feeding.sum(axis=1, keepdims=True), 1))
    channels = feeding * (share + (np.cumsum(feeding, axis=1) <= more))
    for v in range(feeding.shape[1] - 1, -1, -1):
        widest = (edges[:, v + 1, 1:-1] * channels).max(axis=1, initial=0)
        channels[:, v] = np.where(feeding[:, v], channels[:, v], widest)
    return np.asarray(channels, dtype=np.int64)


def parameters(graph: NDArray[np.integer], labels: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
    """Return trainable parameters, ``int64[n]``, of canonical cells: positions in `codes.graphs`, base-3 operations."""
    weights, norms = _weights_and_norms(graph, labels, macro, side_counts=False)
    c, k = macro.channels, macro.classes
    return weights + 2 * norms + 9 * macro.in_channels * c + 2 * c + (c << (_STAGES - 1)) * k + k


def flops(graph: NDArray[np.integer], labels: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
    """Return multiply-accumulates of convolutions and the classifier (and its bias) for one image, ``int64[n]``."""
    weights, _ = _weights_and_norms(graph, labels, macro, side_counts=True)
    c, k = macro.channels, macro.classes
    return weights + 9 * macro.in_channels * c * macro.resolution**2 + (c << (_STAGES - 1)) * k + k


def count_operations(graph: NDArray[np.integer], labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how much of `OPERATION_NAMES` one cell computes, ``int64[n, 10]``, for canonical cells."""
    edges, operations = graph_edges()[graph], operations_of(labels)
    channels = vertex_channels(edges, _REFERENCE_WIDTH, _REFERENCE_WIDTH)
    there = channels > 0
    kinds = [there & (operations == op) for op in range(len(OPERATIONS))]
    targets = np.concatenate([channels, np.full((len(channels), 1), _REFERENCE_WIDTH)], axis=1)
    projected = edges[:, 0, 1:]
    sums = np.maximum(edges[:, :, 1:_OUTPUT].sum(axis=1) - 1, 0).sum(axis=1)
    sums += edges[:, 0, _OUTPUT] & edges[:, 1:_OUTPUT, _OUTPUT].any(axis=1)
    projections = (projected * targets).sum(axis=1)
    columns = [
        *(kind.sum(axis=1) for kind in kinds),
        projected.sum(axis=1),
        sums,
        9 * (kinds[_CONV_3X3] * channels**2).sum(axis=1),
        (kinds[_CONV_1X1] * channels**2).sum(axis=1),
        _REFERENCE_WIDTH * projections,
        (kinds[_MAXPOOL] * channels).sum(axis=1),
        ((kinds[_CONV_3X3] | kinds[_CONV_1X1]) * channels).sum(axis=1) + projections,
    ]
    return np.stack(columns, axis=1).astype(np.int64)


def operations_of(labels: NDArray[np.integer]) -> NDArray[np.int8]:
    """Return the operations of five inner vertices, ``int8[n, 5]``, from their number in base 3."""
    return (labels[:, None] // LABEL_PLACES % len(OPERATIONS)).astype(np.int8)


@cache
def graph_edges() -> NDArray[np.bool_]:
    """Return the matrices of `codes.graphs`, ``bool[m, 7, 7]``, the output always last: vertices not used are loose."""
    known = graphs()
    edges = np.zeros((len(known.codes), MAX_VERTICES, MAX_VERTICES), dtype=np.bool_)
    for v in range(2, MAX_VERTICES + 1):
        of_size = np.flatnonzero(known.vertices == v)
        for y in range(1, v):
            for x in range(y):
                there = known.codes[of_size] >> edge_bit(x, y) & 1 != 0
                edges[of_size, x, _OUTPUT if y == v - 1 else y] = there
    edges.flags.writeable = False
    return edges


def _weights_and_norms(
    graph: NDArray[np.integer], labels: NDArray[np.integer], macro: Macro, *, side_counts: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the weights of all convolutions in cells, each counted per pixel if so told, and channels normalised."""
    projected, squares, widths = _sums(macro, side_counts)
    operations = operations_of(labels)
    area = np.array([_KERNEL_AREA.get(op, 0) for op in range(len(OPERATIONS))])[operations]
    weights = projected[0][graph] + (area * squares[graph]).sum(axis=1)
    return weights, projected[1][graph] + ((area > 0) * widths[graph]).sum(axis=1)


@lru_cache(maxsize=16)
def _sums(macro: Macro, side_counts: bool) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return, over all cells of a network, for each graph: of projections weights and channels, of vertices squares.

    ``int64[2, m]``, then for each inner vertex the channels squared and the channels, ``int64[m, 5]`` each.
    """
    edges = graph_edges()
    projected = np.zeros((2, len(edges)), dtype=np.int64)
    squares, widths = np.zeros((2, len(edges), INNER), dtype=np.int64)
    for inputs, outputs, times, side in _cells(macro):
        counted = times * (side**2 if side_counts else 1)
        channels = vertex_channels(edges, inputs, outputs)
        targets = (edges[:, 0, 1:_OUTPUT] * channels).sum(axis=1) + edges[:, 0, _OUTPUT] * outputs
        projected += counted * np.stack([inputs * targets, targets])
        squares += counted * channels**2
        widths += counted * channels
    return projected, squares, widths


def _cells(macro: Macro) -> Iterator[tuple[int, int, int, int]]:
    """Yield the cells of a network: channels in and out, how many of them, the side of their images in pixels."""
    width, side = macro.channels, macro.resolution
    for stage in range(_STAGES):
        again = macro.cells_per_stage
        if stage:
            side, before, width, again = (side + 1) // 2, width, 2 * width, again - 1
            yield before, width, 1, side
        yield width, width, again, side
