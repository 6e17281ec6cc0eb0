"""The cell of a super-network: all operations on every edge, and three ways to compute it.

The operations are the modules of `nasgym.networks.nb201`. What edges from one node share is computed once: its ReLU,
its pooling.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasgym.networks.nb201 import ReluConvBn, live_edges, operation, sum_live

__all__ = ["SuperCell"]


class SuperCell(nn.Module):
    """All operations on every edge; the output is the last node.

    Args:
        edges: ``(source, target)`` of each edge.
        options: The names of the operations on each edge.
        channels: Channels of every node.
        affine: Whether batch norms scale and shift.
        tracked: Whether batch norms keep running statistics.
    """

    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        options: Sequence[Sequence[str]],
        channels: int,
        *,
        affine: bool,
        tracked: bool,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(operation(name, channels, affine=affine, tracked=tracked) for name in names)
            for names in options
        )
        self._edges, self._options = tuple(edges), tuple(map(tuple, options))
        self._nodes = max(target for _, target in edges) + 1

    def forward(self, x: Tensor, weights: Tensor | None = None, chosen: Sequence[int] | None = None) -> Tensor:
        """Map ``[b, channels, h, w]`` to the same shape; see `SuperNetwork.forward`."""
        if weights is None:
            assert chosen is not None, "SuperNetwork.forward() has checked"
            return self._one(x, chosen)
        return self._mixed(x, weights) if chosen is None else self._gated(x, weights, chosen)

    def _one(self, x: Tensor, chosen: Sequence[int]) -> Tensor:
        names = [options[choice] for options, choice in zip(self._options, chosen, strict=True)]
        return sum_live(x, [self._layer(e, choice) for e, choice in enumerate(chosen)], live_edges(names, self._edges))

    def _mixed(self, x: Tensor, weights: Tensor) -> Tensor:
        nodes = [_Node(x)]
        for target in range(1, self._nodes):
            terms = [
                weights[edge, choice] * nodes[source].through(name, self._layer(edge, choice))
                for edge, source in self._into(target)
                for choice, name in enumerate(self._options[edge])
                if name != "none"
            ]
            nodes.append(_Node(torch.stack(terms).sum(dim=0) if terms else torch.zeros_like(x)))
        return nodes[-1].value

    def _gated(self, x: Tensor, weights: Tensor, chosen: Sequence[int]) -> Tensor:
        nodes = [_Node(x)]
        for target in range(1, self._nodes):
            total = torch.zeros_like(x)
            for edge, source in self._into(target):
                choice = chosen[edge]
                name, weight = self._options[edge][choice], weights[edge, choice]
                others = weights[edge].sum() - weight
                if name != "none":
                    total = total + weight * nodes[source].through(name, self._layer(edge, choice))
                total = total + others
            nodes.append(_Node(total))
        return nodes[-1].value

    def _into(self, node: int) -> list[tuple[int, int]]:
        """Return ``(edge, source)`` of the edges into a node."""
        return [(edge, source) for edge, (source, target) in enumerate(self._edges) if target == node]

    def _layer(self, edge: int, choice: int) -> nn.Module:
        layers = self.layers[edge]
        assert isinstance(layers, nn.ModuleList)
        return layers[choice]


class _Node:
    """A value, and what is made of it once for all edges that leave it."""

    def __init__(self, value: Tensor) -> None:
        self.value = value
        self._shared: dict[str, Tensor] = {}

    def through(self, name: str, layer: nn.Module) -> Tensor:
        """Return the value behind an operation."""
        if name == "skip_connect":
            return self.value
        if isinstance(layer, ReluConvBn):
            if "relu" not in self._shared:
                self._shared["relu"] = functional.relu(self.value)
            return layer.after_relu(self._shared["relu"])
        if name not in self._shared:  # pooling has no weights
            self._shared[name] = layer(self.value)
        return self._shared[name]
