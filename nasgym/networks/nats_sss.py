"""The network of the NATS-Bench size space: a stem, cell, block, cell, block, cell, and a classifier.

Module names are those of the published code (``xautodl``), so that published ``state_dict`` files load.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nasgym.errors import InvalidArchitecture
from nasgym.networks.nb201 import ReluConvBn, ResidualBlock
from nasgym.spaces import Macro, NatsSSS

__all__ = ["NatsSSSNetwork", "SizedCell"]


class _ConvBn(nn.Module):
    """The skip between unequal numbers of channels: a 1x1 convolution and batch norm, without ReLU, as published."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, inputs, h, w]`` to ``[b, outputs, h, w]``."""
        out: Tensor = self.bn(self.conv(x))
        return out


class SizedCell(nn.Module):
    """The cell `nasgym.spaces.nats_sss.CELL`: edges that leave the input go from ``inputs`` to ``outputs`` channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        entry, inner = (inputs, outputs, 3), (outputs, outputs, 3)
        skip = nn.Identity() if inputs == outputs else _ConvBn(inputs, outputs)
        convolutions = (ReluConvBn(*sizes) for sizes in (entry, entry, inner, inner, inner))
        self.layers = nn.ModuleList(convolutions)
        self.layers.insert(3, skip)  # edges in the order 0→1, 0→2, 1→2, 0→3, 1→3, 2→3

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, inputs, h, w]`` to ``[b, outputs, h, w]``."""
        edges = list(self.layers)
        rectified = functional.relu(x)
        first = functional.relu(_after_relu(edges[0], rectified))
        second = _after_relu(edges[1], rectified) + _after_relu(edges[2], first)
        out: Tensor = edges[3](x) + _after_relu(edges[4], first) + edges[5](second)
        return out


class NatsSSSNetwork(nn.Module):
    """The network of one size.

    Args:
        genotype: ``int8[5]``, see `nasgym.spaces.NatsSSS`.
        macro: What scales the channels (see `NatsSSS.widths`), cells per stage, classes and input channels.
    """

    def __init__(self, genotype: NDArray[np.integer], macro: Macro) -> None:
        super().__init__()
        space, row = NatsSSS(), np.asarray(genotype)
        if row.shape != (space.num_decisions,) or not space.is_valid(row[None])[0]:
            raise InvalidArchitecture(f"a nats-sss network needs {space.num_decisions} sizes; got {row.tolist()}.")
        widths: list[int] = space.widths(row[None], macro)[0].tolist()
        first, last = widths[0], widths[-1]
        self.stem = nn.Sequential(nn.Conv2d(macro.in_channels, first, 3, padding=1, bias=False), nn.BatchNorm2d(first))
        self.cells = nn.ModuleList()
        for layer, (before, width) in enumerate(pairwise([first, *widths])):
            if layer % 2:
                self.cells.append(ResidualBlock(before, width))
            else:
                self.cells.append(SizedCell(before, width))
                self.cells.extend(SizedCell(width, width) for _ in range(macro.cells_per_stage - 1))
        self.lastact = nn.Sequential(nn.BatchNorm2d(last), nn.ReLU(inplace=True))
        self.classifier = nn.Linear(last, macro.classes)

    def features(self, images: Tensor) -> Tensor:
        """Return what the classifier sees, ``[b, channels of the last layer]``, for normalised images."""
        x: Tensor = self.stem(images)
        for cell in self.cells:
            x = cell(x)
        x = self.lastact(x)
        return x.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``[b, classes]`` for normalised images ``[b, in_channels, h, w]``."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def _after_relu(edge: nn.Module, rectified: Tensor) -> Tensor:
    assert isinstance(edge, ReluConvBn)
    return edge.after_relu(rectified)
