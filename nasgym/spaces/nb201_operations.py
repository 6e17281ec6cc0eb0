"""What a NAS-Bench-201 cell really computes, counted: dead edges and zeros cost nothing.

The rules are those by which the networks leave things out (`nasgym.networks.nb201`): an edge ``none`` is not there, a
node that cannot reach the output is not computed, a node without input is zero, skips and poolings of zero are zero,
and a convolution of zero is the bias of its batch norm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["OPERATION_NAMES", "count_operations"]

OPERATION_NAMES = (
    "nor_conv_3x3",
    "nor_conv_1x1",
    "avg_pool_3x3",
    "skip_connect",
    "relu",
    "sum",
    "bias",
    "flow",
)
"""The columns of `count_operations`.

The first four are edges that are computed; a skip that is alone at its node is its source itself and is not counted.
``relu``: nodes with a convolution behind them, which share one. ``sum``: additions, one less than the values that meet
at a node. ``bias``: convolutions of zero. ``flow``: 1 where the output depends on the cell's input: elsewhere the
gradient ends here, and nothing before the cell is trained.
"""
_NONE, _SKIP, _CONV_1X1, _CONV_3X3, _POOL = range(5)
_EDGES = {(source, target): target * (target - 1) // 2 + source for target in range(1, 4) for source in range(target)}


def count_operations(genotypes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how often a cell computes each of `OPERATION_NAMES`, ``int64[n, 8]``, for valid ``int8[n, 6]``."""
    n = len(genotypes)
    ops = {edge: genotypes[:, column] for edge, column in _EDGES.items()}
    needed = _reaching(ops)
    filled = [np.ones(n, dtype=np.bool_)]  # a node that is not known to be zero
    depends = [np.ones(n, dtype=np.bool_)]  # one that depends on the cell's input
    rectified = [np.zeros(n, dtype=np.bool_) for _ in range(3)]
    counts = dict.fromkeys(OPERATION_NAMES, np.zeros(n, dtype=np.int64))
    for target in range(1, 4):
        terms, skips, reached = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
        for source in range(target):
            op = ops[source, target]
            there = needed[target] & (op != _NONE)
            conv, computed = (op == _CONV_3X3) | (op == _CONV_1X1), there & filled[source]
            counts["nor_conv_3x3"] = counts["nor_conv_3x3"] + (computed & (op == _CONV_3X3))
            counts["nor_conv_1x1"] = counts["nor_conv_1x1"] + (computed & (op == _CONV_1X1))
            counts["avg_pool_3x3"] = counts["avg_pool_3x3"] + (computed & (op == _POOL))
            counts["bias"] = counts["bias"] + (there & conv & ~filled[source])
            rectified[source] |= computed & conv
            skips += computed & (op == _SKIP)
            terms += computed | (there & conv)
            reached |= computed & depends[source]
        counts["skip_connect"] = counts["skip_connect"] + np.where(terms == 1, 0, skips)
        counts["sum"] = counts["sum"] + np.maximum(terms - 1, 0)
        filled.append(terms > 0)
        depends.append(reached)
    counts["relu"] = np.sum(rectified, axis=0, dtype=np.int64)
    counts["flow"] = depends[-1].astype(np.int64)
    return np.stack([counts[name] for name in OPERATION_NAMES], axis=1)


def _reaching(ops: dict[tuple[int, int], NDArray[np.integer]]) -> list[NDArray[np.bool_]]:
    """Return for each node ``bool[n]``: whether it reaches the output through edges other than ``none``."""
    out = np.ones(len(ops[0, 1]), dtype=np.bool_)
    second = ops[2, 3] != _NONE
    first = (ops[1, 3] != _NONE) | ((ops[1, 2] != _NONE) & second)
    return [out, first, second, out]
