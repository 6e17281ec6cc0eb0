"""The NAS-Bench-101 network: a stem, three stages of equal cells with pooling between, and a classifier.

Source: Ying et al., ICML 2019, and its published code. First weights and batch norms are the published ones, too: the
published momentum of 0.997 is 0.003 as PyTorch counts it; a recipe may say another (`Recipe.norm_momentum`).
"""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.spaces import Macro
from nasgym.spaces.nb101 import NB101_SPACES, Cell
from nasgym.spaces.nb101.costs import vertex_channels

__all__ = [
    "KERNELS",
    "TRUNCATED_STD",
    "ConvBnRelu",
    "NB101Cell",
    "NB101Network",
    "cell_channels",
    "nb101_network",
]

KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}
"""The sides of convolutions; any other operation is a pooling."""

_NORM_MOMENTUM = 0.003
_STAGES = 3
TRUNCATED_STD = 0.87962566103423978  # of a standard normal cut off at two standard deviations
_SPACES = {space.num_decisions: space for space in NB101_SPACES}


class ConvBnRelu(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, momentum=_NORM_MOMENTUM)
        std = math.sqrt(1 / (inputs * kernel**2)) / TRUNCATED_STD
        nn.init.trunc_normal_(self.conv.weight, std=std, a=-2 * std, b=2 * std)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, inputs, h, w]`` to ``[b, outputs, h, w]``."""
        out: Tensor = torch.relu_(self.norm(self.conv(x)))
        return out


class NB101Cell(nn.Module):
    """One cell: the operations of its inner vertices, and a projection for each edge that leaves the input.

    A vertex takes the sum of what its edges bring, cut to its channels; the output joins the channels of the vertices
    before it, and adds the projected input where there is an edge.

    Args:
        cell: Its matrix and operations, without loose vertices.
        inputs: Channels that enter.
        outputs: Channels that leave.

    Raises:
        InvalidSetting: There are fewer channels than vertices that share them.
    """

    def __init__(self, cell: Cell, inputs: int, outputs: int) -> None:
        super().__init__()
        edges, last = np.asarray(cell.matrix) != 0, len(cell.matrix) - 1
        self._channels = cell_channels(cell, inputs, outputs)
        inner = self._channels[1:-1]
        before: list[list[int]] = [(np.flatnonzero(edges[1:, v]) + 1).tolist() for v in range(last + 1)]
        self._sources = before  # of each vertex the inner ones with an edge to it
        self.operations = nn.ModuleList(_operation(op, c) for op, c in zip(cell.operations, inner, strict=True))
        self.projections = nn.ModuleDict(
            {str(v): ConvBnRelu(inputs, self._channels[v], 1) for v in np.flatnonzero(edges[0]).tolist()}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, inputs, h, w]`` to ``[b, outputs, h, w]``."""
        values: list[Tensor] = [x]
        for v, operation in enumerate(self.operations, start=1):
            terms = [values[u][:, : self._channels[v]] for u in self._sources[v]]
            values.append(operation(reduce(torch.add, terms + self._projected(v, x))))
        last = len(self._channels) - 1
        joined = [torch.cat([values[u] for u in self._sources[last]], dim=1)] if self._sources[last] else []
        return reduce(torch.add, joined + self._projected(last, x))

    def _projected(self, vertex: int, x: Tensor) -> list[Tensor]:
        return [self.projections[str(vertex)](x)] if str(vertex) in self.projections else []


class NB101Network(nn.Module):
    """The network of one cell.

    Args:
        cell: Its matrix and operations, without loose vertices; it may be larger than those of the search space.
        macro: Channels, cells per stage, classes and input channels.

    Raises:
        InvalidSetting: There are fewer channels than vertices that share them.
    """

    def __init__(self, cell: Cell, macro: Macro) -> None:
        super().__init__()
        before = width = macro.channels
        self.stem = ConvBnRelu(macro.in_channels, width, 3)
        self.stages = nn.ModuleList()
        for stage in range(_STAGES):
            width = macro.channels << stage
            cells = [NB101Cell(cell, before if i == 0 else width, width) for i in range(macro.cells_per_stage)]
            pool = [nn.MaxPool2d(2, stride=2, ceil_mode=True)] if stage else []
            self.stages.append(nn.Sequential(*pool, *cells))
            before = width
        self.classifier = nn.Linear(width, macro.classes)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def features(self, images: Tensor) -> Tensor:
        """Return what the classifier sees, ``[b, 4 * channels]``, for normalised images ``[b, c, h, w]``."""
        x: Tensor = self.stem(images)
        for stage in self.stages:
            x = stage(x)
        return x.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``[b, classes]`` for normalised images ``[b, in_channels, h, w]``."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def cell_channels(cell: Cell, inputs: int, outputs: int) -> list[int]:
    """Return the channels of all vertices of a cell: what enters, those of the inner vertices, what leaves.

    Raises:
        InvalidSetting: There are fewer channels than vertices that share them.
    """
    edges = np.asarray(cell.matrix) != 0
    inner: list[int] = vertex_channels(edges[None], inputs, outputs)[0].tolist()
    if 0 in inner:
        shared = int(edges[1:-1, -1].sum())
        raise InvalidSetting(
            f"{shared} vertices of the cell share {outputs} channels: take a recipe with {shared} channels or more."
        )
    return [inputs, *inner, outputs]


def nb101_network(genotype: NDArray[np.integer], macro: Macro) -> NB101Network:
    """Return the network of one genotype of ``nb101`` or of a space of fewer vertices, in its canonical form.

    Raises:
        InvalidArchitecture: It is no genotype, or no valid cell.
        InvalidSetting: There are fewer channels than vertices that share them.
    """
    row = np.asarray(genotype)
    if row.ndim != 1 or len(row) not in _SPACES:
        raise InvalidArchitecture(f"an nb101 network needs one genotype of {sorted(_SPACES)} numbers; got {row.shape}.")
    (cell,) = _SPACES[len(row)].canonical_cells(row[None])
    return NB101Network(cell, macro)


def _operation(name: str, channels: int) -> nn.Module:
    if name in KERNELS:
        return ConvBnRelu(channels, channels, KERNELS[name])
    return nn.MaxPool2d(3, stride=1, padding=1)
