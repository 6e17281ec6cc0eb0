"""The NAS-Bench-201 network: a stem, three stages of equal cells with a residual block between, and a classifier.

Module names are those of the published code (``xautodl``), so that published ``state_dict`` files load. All six edges
of a cell are instantiated and count as parameters. The forward pass leaves out what cannot matter, without changing
outputs, gradients or the batch-norm statistics of what does:

- an edge ``none`` adds nothing (the published ``x.mul(0.)`` would spread NaN and infinity, this does not);
- a node that cannot reach the output of its cell is not computed;
- a node without any input is zero; skips and poolings of zero are zero, and a convolution of zero is exactly the
  bias of its batch norm.

Weights that are left out get no gradient; in the published code some get a gradient of zeros, and then decay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nasgym.errors import InvalidArchitecture
from nasgym.spaces import NB201, Macro
from nasgym.spaces.nb201 import EDGES, NUM_NODES, OPERATIONS

__all__ = ["Cell", "NB201Network", "ReluConvBn", "ResidualBlock", "Skeleton", "live_edges", "operation", "sum_live"]

Edges: TypeAlias = Sequence[tuple[int, int]]
_STAGES = 3


class ReluConvBn(nn.Module):
    """ReLU, convolution without bias, batch norm (``op.1`` and ``op.2`` hold the weights).

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        kernel: Side of the kernel.
        stride: Of the convolution.
        affine: Whether the batch norm scales and shifts.
        tracked: Whether it keeps running statistics; else it takes those of the batch in evaluation too.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, affine: bool = True, tracked: bool = True
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        norm = nn.BatchNorm2d(outputs, affine=affine, track_running_stats=tracked)
        self.op = nn.Sequential(nn.ReLU(inplace=False), conv, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, inputs, h, w]`` to ``[b, outputs, h / stride, w / stride]``."""
        out: Tensor = self.op(x)
        return out

    def after_relu(self, rectified: Tensor) -> Tensor:
        """The same for an input that is rectified already: nodes share one ReLU among their outgoing edges."""
        out: Tensor = self.op[2](self.op[1](rectified))
        return out

    def of_zero(self, like: Tensor) -> Tensor:
        """Return what an input of zeros gives in the shape of ``like``: the bias of the batch norm, everywhere."""
        norm = self.op[2]
        assert isinstance(norm, nn.BatchNorm2d)
        if not norm.affine:
            return torch.zeros_like(like)
        return norm.bias.view(1, -1, 1, 1).expand_as(like)


class Zero(nn.Module):
    """The operation ``none``."""

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros in the shape of ``x``."""
        return torch.zeros_like(x)


def operation(name: str, channels: int, *, affine: bool = True, tracked: bool = True) -> nn.Module:
    """Return the module of an operation of `OPERATIONS`; the switches as for `ReluConvBn`."""
    if name == "none":
        return Zero()
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return ReluConvBn(channels, channels, kernel=3 if name == "nor_conv_3x3" else 1, affine=affine, tracked=tracked)


def needed_nodes(ops: Sequence[str], edges: Edges = EDGES) -> frozenset[int]:
    """Return the nodes of a cell that reach its output, the last node, through edges other than ``none``."""
    needed = {max(target for _, target in edges)}
    for (source, target), op in sorted(zip(edges, ops, strict=True), key=lambda item: -item[0][1]):
        if target in needed and op != "none":
            needed.add(source)
    return frozenset(needed)


def live_edges(ops: Sequence[str], edges: Edges = EDGES) -> list[list[tuple[int, int]]]:
    """Return for each node its incoming edges that matter, as ``(source, number of the edge)``."""
    needed = needed_nodes(ops, edges)
    live = [target in needed and op != "none" for (_, target), op in zip(edges, ops, strict=True)]
    return [
        [(source, edge) for edge, (source, target) in enumerate(edges) if target == node and live[edge]]
        for node in range(max(target for _, target in edges) + 1)
    ]


def sum_live(x: Tensor, layers: Sequence[nn.Module], incoming: Sequence[Sequence[tuple[int, int]]]) -> Tensor:
    """Return the last node of a cell, computing what matters.

    Args:
        x: The first node, ``[b, channels, h, w]``.
        layers: The operation on each edge.
        incoming: See `live_edges`.
    """
    nodes: list[Tensor | None] = [x, *[None] * (len(incoming) - 1)]
    rectified: dict[int, Tensor] = {}
    for target in range(1, len(incoming)):
        terms: list[Tensor] = []
        for source, edge in incoming[target]:
            value, layer = nodes[source], layers[edge]
            if not isinstance(layer, ReluConvBn):
                terms.extend([] if value is None else [layer(value)])
            elif value is None:
                terms.append(layer.of_zero(x))
            else:
                if source not in rectified:
                    rectified[source] = functional.relu(value)
                terms.append(layer.after_relu(rectified[source]))
        nodes[target] = _total(terms) if terms else None
    return torch.zeros_like(x) if nodes[-1] is None else nodes[-1]


class Cell(nn.Module):
    """One cell: four nodes, an operation on each of six edges, the output is the last node.

    Args:
        ops: Six operation names in the order of the architecture string.
        channels: Channels of every node.
        skip_dead: Leave out what cannot matter; the result is the same.
    """

    def __init__(self, ops: Sequence[str], channels: int, skip_dead: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleList(operation(op, channels) for op in ops)
        self.skip_dead = skip_dead
        self._incoming = live_edges(ops)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, channels, h, w]`` to the same shape."""
        return sum_live(x, list(self.layers), self._incoming) if self.skip_dead else self._whole(x)

    def _whole(self, x: Tensor) -> Tensor:
        nodes = [x]
        for target in range(1, NUM_NODES):
            edges = [(s, e) for e, (s, t) in enumerate(EDGES) if t == target]
            nodes.append(_total([self.layers[e](nodes[s]) for s, e in edges]))
        return nodes[-1]


def _total(terms: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, terms)


class ResidualBlock(nn.Module):
    """The block between stages: doubles the channels and halves the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_a = ReluConvBn(inputs, outputs, kernel=3, stride=2)
        self.conv_b = ReluConvBn(outputs, outputs, kernel=3)
        # odd sides keep their last row, as the strided convolution beside it does; even sides are unchanged by it
        pool = nn.AvgPool2d(2, stride=2, padding=0, ceil_mode=True)
        self.downsample = nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, inputs, h, w]`` to ``[b, outputs, ceil(h / 2), ceil(w / 2)]``."""
        residual: Tensor = self.downsample(x)
        block: Tensor = self.conv_b(self.conv_a(x))
        return residual + block


class Skeleton(nn.Module):
    """A stem, three stages of cells with a residual block between, and a classifier, made in this order.

    Args:
        macro: Channels, cells per stage, classes and input channels.
        cell: Makes a cell of so many channels.
    """

    def __init__(self, macro: Macro, cell: Callable[[int], nn.Module]) -> None:
        super().__init__()
        width = macro.channels
        self.stem = nn.Sequential(nn.Conv2d(macro.in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.cells = nn.ModuleList()
        for stage in range(_STAGES):
            if stage:
                self.cells.append(ResidualBlock(width, 2 * width))
                width *= 2
            self.cells.extend(cell(width) for _ in range(macro.cells_per_stage))
        self.lastact = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.classifier = nn.Linear(width, macro.classes)


class NB201Network(Skeleton):
    """The network of one cell.

    Args:
        genotype: ``int8[6]``, see `nasgym.spaces.NB201`.
        macro: Channels, cells per stage, classes and input channels.
        skip_dead: Leave out of the forward pass what cannot matter; the result is the same.
    """

    def __init__(self, genotype: NDArray[np.integer], macro: Macro, skip_dead: bool = True) -> None:
        row = np.asarray(genotype)
        if row.shape != (len(EDGES),) or not NB201().is_valid(row[None])[0]:
            raise InvalidArchitecture(f"an nb201 network needs {len(EDGES)} operation numbers; got {row.tolist()}.")
        ops = [OPERATIONS[op] for op in row.tolist()]
        super().__init__(macro, lambda width: Cell(ops, width, skip_dead))

    def features(self, images: Tensor) -> Tensor:
        """Return what the classifier sees, ``[b, 4 * channels]``, for normalised images ``[b, c, h, w]``."""
        x: Tensor = self.stem(images)
        for cell in self.cells:
            x = cell(x)
        x = self.lastact(x)
        return x.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``[b, classes]`` for normalised images ``[b, in_channels, h, w]``."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
