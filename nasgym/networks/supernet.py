"""The super-network of a search space of labelled edges: one network that holds the weights of all architectures.

The skeleton is that of NAS-Bench-201.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasgym.networks.nb201 import Skeleton
from nasgym.networks.supernet_cell import SuperCell
from nasgym.spaces import Macro, Space
from nasgym.spaces.edge_labelled import check_edge_labelled

__all__ = ["SuperNetwork", "mixture_flops", "seeded_supernet"]


def mixture_flops(space: Space, macro: Macro) -> float:
    """Return the multiply-accumulates of one image through all operations on every edge."""
    options = int(space.choices.max())
    equal = np.minimum(np.arange(options)[:, None], np.asarray(space.choices)[None] - 1).astype(np.int8)
    each = space.flops(equal, macro).astype(np.float64)  # one operation on all edges
    return float(each.sum() - (options - 1) * each.min())  # the skeleton counts once


class SuperNetwork(Skeleton):
    """All architectures of a space in one network.

    Args:
        space: The search space, see `nasgym.spaces.EdgeLabelled`.
        macro: Channels, cells per stage, classes and input channels.
        affine: Whether batch norms inside cells scale and shift (published searches: no).
        tracked: Whether batch norms inside cells keep running statistics; else evaluation takes those of its batch.

    Attributes:
        allowed: ``bool[edges, options]``: which options an edge has, where edges differ in their number.
    """

    allowed: Tensor

    def __init__(self, space: Space, macro: Macro, *, affine: bool = False, tracked: bool = False) -> None:
        edges = check_edge_labelled(space)
        options = [space.choice_labels(decision) for decision in range(space.num_decisions)]
        super().__init__(macro, lambda width: SuperCell(edges, options, width, affine=affine, tracked=tracked))
        allowed = np.arange(max(map(len, options))) < np.array([len(names) for names in options])[:, None]
        self.register_buffer("allowed", torch.from_numpy(allowed), persistent=False)

    def forward(
        self,
        images: Tensor,
        weights: Tensor | None = None,
        chosen: Sequence[int] | NDArray[np.integer] | None = None,
    ) -> Tensor:
        """Return logits ``[b, classes]`` for normalised images ``[b, in_channels, h, w]``.

        Args:
            images: The images.
            weights: ``float[edges, options]``, how much of each operation each edge takes; the output of an edge is
                their weighted sum.
            chosen: The option of each edge, a genotype. Without ``weights`` the network is that architecture's. With
                them only the chosen operations are computed and weighted; to all others falls a constant one, which
                matters for the gradient alone where their weights are zero, as in published GDAS.
        """
        if weights is None and chosen is None:
            raise TypeError("a super-network needs weights of its operations, or a chosen one per edge, or both.")
        row = None if chosen is None else [int(choice) for choice in chosen]
        x: Tensor = self.stem(images)
        for cell in self.cells:
            x = cell(x, weights, row) if isinstance(cell, SuperCell) else cell(x)
        x = self.lastact(x)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits


def seeded_supernet(
    space: Space, macro: Macro, seed: int, *, affine: bool = False, tracked: bool = False
) -> SuperNetwork:
    """Return a super-network with weights drawn from ``seed``; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return SuperNetwork(space, macro, affine=affine, tracked=tracked)
