"""First weights of nb101 networks, drawn from a seed without building the modules; see `nasgym.networks.initial`."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from nasgym.networks.nb101 import KERNELS, TRUNCATED_STD, cell_channels
from nasgym.spaces import Macro
from nasgym.spaces.nb101 import Cell

__all__ = ["nb101_initial_weights", "trained_tensors"]

_STAGES = 3


def nb101_initial_weights(cell: Cell, macro: Macro, seed: int) -> dict[str, Tensor]:
    """Return the ``state_dict`` of an `NB101Network` just built under ``seed``, bit for bit.

    Args:
        cell: Its matrix and operations, without loose vertices.
        macro: The skeleton.
        seed: Of the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for name, shape in trained_tensors(cell, macro):
        tensor = weights[name] = torch.zeros(shape)
        if len(shape) == 4:
            tensor.uniform_(generator=generator)  # what PyTorch draws and the published rule overwrites
            std = math.sqrt(1 / math.prod(shape[1:])) / TRUNCATED_STD
            nn.init.trunc_normal_(tensor, std=std, a=-2 * std, b=2 * std, generator=generator)
        elif name == "classifier.weight":
            tensor.uniform_(generator=generator)
            torch.empty(shape[0]).uniform_(generator=generator)
            nn.init.xavier_uniform_(tensor, generator=generator)
        elif name.endswith("norm.weight"):
            tensor.fill_(1.0)
        elif name.endswith("norm.bias"):
            norm = name.removesuffix("bias")
            weights[f"{norm}running_mean"], weights[f"{norm}running_var"] = torch.zeros(shape), torch.ones(shape)
            weights[f"{norm}num_batches_tracked"] = torch.tensor(0)
    return weights


def trained_tensors(cell: Cell, macro: Macro) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the trained tensors of a network in the order in which its modules are built: names and shapes.

    Raises:
        InvalidSetting: There are fewer channels than vertices that share them.
    """
    edges, before = np.asarray(cell.matrix) != 0, macro.channels
    yield from _conv_norm("stem", (macro.channels, macro.in_channels, 3, 3))
    for stage in range(_STAGES):
        width = macro.channels << stage
        for i in range(macro.cells_per_stage):
            name, inputs = f"stages.{stage}.{i + 1 if stage else i}", width if i else before
            channels = cell_channels(cell, inputs, width)
            for k, operation in enumerate(cell.operations):
                if kernel := KERNELS.get(operation):
                    yield from _conv_norm(f"{name}.operations.{k}", (*channels[k + 1 : k + 2] * 2, kernel, kernel))
            for v in np.flatnonzero(edges[0]).tolist():
                yield from _conv_norm(f"{name}.projections.{v}", (channels[v], inputs, 1, 1))
        before = width
    yield "classifier.weight", (macro.classes, before)
    yield "classifier.bias", (macro.classes,)


def _conv_norm(name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.conv.weight", shape
    yield f"{name}.norm.weight", shape[:1]
    yield f"{name}.norm.bias", shape[:1]
