"""What is left of a cell once everything that cannot matter is left out: the plan that bundles follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture
from nasgym.networks.nb201 import needed_nodes
from nasgym.spaces import NB201
from nasgym.spaces.nb201 import EDGES, NUM_NODES, OPERATIONS

__all__ = ["LiveEdge", "Work", "checked_genotypes", "live_edges"]

Work: TypeAlias = Literal["conv3", "conv1", "pool", "skip", "bias"]
"""What an edge really computes; ``bias`` is a convolution of zero, which gives the bias of its batch norm."""
_WORK: dict[str, Work] = {
    "nor_conv_3x3": "conv3",
    "nor_conv_1x1": "conv1",
    "avg_pool_3x3": "pool",
    "skip_connect": "skip",
}


@dataclass(frozen=True)
class LiveEdge:
    """One edge that is computed.

    Attributes:
        edge: Its place among the six decisions.
        source: The node it comes from, 0 to 2.
        target: The node it goes to, 1 to 3.
        work: What it computes.
    """

    edge: int
    source: int
    target: int
    work: Work


def live_edges(genotype: Sequence[int]) -> tuple[LiveEdge, ...]:
    """Return the edges that matter, ordered by their target; none where the cell gives zero.

    The rules are those of `nasgym.networks.nb201.Cell`: no edge ``none``, no edge to a node that does not reach the
    output, and no skip or pooling of a node without input.
    """
    ops = [OPERATIONS[choice] for choice in genotype]
    needed, filled, live = needed_nodes(ops), {0}, []
    for target in range(1, NUM_NODES):
        for edge, (source, end) in enumerate(EDGES):
            if end != target or target not in needed or ops[edge] == "none":
                continue
            work = _WORK[ops[edge]]
            if source not in filled:
                if not work.startswith("conv"):
                    continue
                work = "bias"
            live.append(LiveEdge(edge, source, target, work))
        if any(edge.target == target for edge in live):
            filled.add(target)
    return tuple(live)


def checked_genotypes(genotypes: NDArray[np.integer]) -> NDArray[np.int8]:
    """Return ``int8[m, 6]`` with at least one row; raises `InvalidArchitecture`."""
    rows = np.asarray(genotypes)
    if rows.ndim != 2 or rows.shape[1] != len(EDGES) or not len(rows) or not NB201().is_valid(rows).all():
        raise InvalidArchitecture(f"a bundle needs one or more rows of {len(EDGES)} operation numbers; got {rows!r}.")
    return rows.astype(np.int8)
