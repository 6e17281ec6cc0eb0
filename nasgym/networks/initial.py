"""First weights, drawn from a seed as PyTorch's modules draw them.

`initial_weights` draws them without building the modules, from a generator of its own: a bundle of hundreds of
networks needs them quickly, and from any thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nasgym.networks.build import build_network
from nasgym.spaces import Macro, Space
from nasgym.spaces.nb201 import OPERATIONS

__all__ = ["initial_weights", "seeded_network"]

_STAGES = 3
_GAIN = math.sqrt(2.0 / (1 + math.sqrt(5) ** 2))
_KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}


def seeded_network(space: Space | str, genotype: NDArray[np.integer], macro: Macro, seed: int) -> nn.Module:
    """Return the network of one architecture with weights drawn from ``seed``; the global generator is left as it was.

    Args and errors as for `build_network`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build_network(space, genotype, macro)


def initial_weights(genotype: NDArray[np.integer], macro: Macro, seed: int) -> dict[str, Tensor]:
    """Return the ``state_dict`` of an `NB201Network` just built under ``seed``, bit for bit.

    Args:
        genotype: ``int8[6]``, an architecture of nb201.
        macro: The skeleton.
        seed: Of the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for name, shape in _layers(genotype, macro):
        if len(shape) == 1:  # a batch norm
            weights[f"{name}.weight"], weights[f"{name}.bias"] = torch.ones(shape), torch.zeros(shape)
            weights[f"{name}.running_mean"], weights[f"{name}.running_var"] = torch.zeros(shape), torch.ones(shape)
            weights[f"{name}.num_batches_tracked"] = torch.tensor(0)
            continue
        fan = math.prod(shape[1:])
        bound = math.sqrt(3.0) * (_GAIN / math.sqrt(fan))  # 1 / sqrt(fan), but rounded as PyTorch does
        weights[f"{name}.weight"] = torch.empty(shape).uniform_(-bound, bound, generator=generator)
        if len(shape) == 2:
            bound = 1 / math.sqrt(fan)
            weights[f"{name}.bias"] = torch.empty(shape[0]).uniform_(-bound, bound, generator=generator)
    return weights


def _layers(genotype: NDArray[np.integer], macro: Macro) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield each layer in the order in which the modules are built: its name and the shape of its weight."""
    edges = [(edge, _KERNELS.get(OPERATIONS[op])) for edge, op in enumerate(genotype.tolist())]
    width, at = macro.channels, 0
    yield from _conv_norm("stem", (width, macro.in_channels, 3, 3), (0, 1))
    for stage in range(_STAGES):
        if stage:
            yield from _conv_norm(f"cells.{at}.conv_a.op", (2 * width, width, 3, 3))
            yield from _conv_norm(f"cells.{at}.conv_b.op", (2 * width, 2 * width, 3, 3))
            yield f"cells.{at}.downsample.1", (2 * width, width, 1, 1)
            width, at = 2 * width, at + 1
        for _ in range(macro.cells_per_stage):
            for edge, kernel in edges:
                if kernel is not None:
                    yield from _conv_norm(f"cells.{at}.layers.{edge}.op", (width, width, kernel, kernel))
            at += 1
    yield "lastact.0", (width,)
    yield "classifier", (macro.classes, width)


def _conv_norm(
    name: str, shape: tuple[int, ...], parts: tuple[int, int] = (1, 2)
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.{parts[0]}", shape
    yield f"{name}.{parts[1]}", shape[:1]
