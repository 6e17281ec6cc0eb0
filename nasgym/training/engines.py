"""The engines: three ways to train one network or many, equal up to rounding, and which of them is taken where.

``"compiled"`` runs a network through kernels in C (CPU, nb201 and nb101), ``"eager"`` through PyTorch, operation by
operation (any device, any space), ``"stacked"`` trains all networks of a bundle as one `BundleNetwork` (any device,
nb201).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from nasgym.errors import InvalidSetting
from nasgym.networks.initial import seeded_network
from nasgym.recipes import Recipe
from nasgym.spaces import Macro, Space
from nasgym.training.bundle_compiler import load_kernels
from nasgym.training.bundle_spaces import COMPILED, native_network
from nasgym.training.bundle_stacked import StackedNetworks
from nasgym.training.eager import EagerNetwork
from nasgym.training.loop import Batches, Rate, Score

__all__ = ["Engine", "Networks", "build_networks", "bundle_engine", "check_engine", "is_small", "solo_engine"]

Engine: TypeAlias = Literal["auto", "compiled", "stacked", "eager"]

_STACKED = ("nb201",)  # the search spaces that `BundleNetwork` knows
_WORTH_THREADS = 1 << 20  # activations of a layer for one batch; the recipes of CIFAR have 4 million


class Networks(Protocol):
    """Networks in training, one or several: weights, optimiser, batch-norm statistics."""

    @property
    def evaluation_batch(self) -> int:
        """Images per batch of an evaluation."""
        ...

    def train_epoch(self, batches: Batches, rate: Rate) -> list[Score]:
        """Take one step per batch at the learning rate ``rate``; return each network's running averages.

        Images are ``[m, b, c, h, w]``, labels ``[m, b]``, for ``m`` networks.
        """
        ...

    def evaluate(self, batches: Batches) -> list[Score]:
        """Return each network's score over batches that all see: images ``[b, c, h, w]``, labels ``[b]``."""
        ...

    def state(self) -> dict[str, Any]:
        """Return all that changes in a training, as tensors and plain values."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to where `state` was taken."""
        ...


def solo_engine(space: Space, recipe: Recipe, device: torch.device, side: int) -> Engine:
    """Return the engine that trains one network alone: the faster one, as measured in docs/training.md.

    Where one thread of a CPU trains it, because it is small or because PyTorch has no more threads, that is
    ``"compiled"``; without a compiler it is ``"eager"``, as it is for large networks on several threads and elsewhere.

    Args:
        space: The search space.
        recipe: How to train.
        device: Where.
        side: Of the images, in pixels.
    """
    one_thread = is_small(recipe, device, side) or torch.get_num_threads() == 1
    return "compiled" if one_thread and is_plain(recipe) and _has_kernels(space, device) else "eager"


def bundle_engine(space: Space, recipe: Recipe, device: torch.device) -> Engine:
    """Return the engine that trains many networks at once: the fastest that can, as measured in docs/bundles.md."""
    if not is_plain(recipe):
        return "eager"
    if _has_kernels(space, device):
        return "compiled"
    return "eager" if device.type == "cpu" or space.name not in _STACKED else "stacked"


def is_small(recipe: Recipe, device: torch.device, side: int) -> bool:
    """Tell whether threads of a CPU would wait for each other longer than they compute."""
    return device.type == "cpu" and recipe.batch_size * recipe.channels * side**2 < _WORTH_THREADS


def is_plain(recipe: Recipe) -> bool:
    """Tell whether a recipe has the optimiser, the schedule and the batch norms that every engine knows."""
    return (recipe.optimizer, recipe.schedule, recipe.norm_momentum) == ("sgd", "cosine", 0.1)


def check_engine(engine: Engine, space: Space, device: torch.device) -> None:
    """Raise `InvalidSetting` where the engine cannot be used."""
    if engine not in get_args(Engine):
        raise InvalidSetting(f"engines are {', '.join(get_args(Engine))}; got {engine!r}.")
    if engine in ("auto", "eager"):
        return
    known = COMPILED if engine == "compiled" else _STACKED
    if space.name not in known:
        raise InvalidSetting(
            f"the engine {engine!r} knows the search spaces {', '.join(known)}; got {space.name!r}. Take 'eager'."
        )
    if engine == "compiled" and device.type != "cpu":
        raise InvalidSetting(f"the engine 'compiled' runs on the CPU; got the device {str(device)!r}. Take 'stacked'.")
    if engine == "compiled" and load_kernels() is None:
        raise InvalidSetting("the engine 'compiled' needs a C compiler (cc, gcc or clang, or one named by CC).")


def build_networks(
    engine: Engine,
    space: Space,
    genotypes: NDArray[np.integer],
    seeds: Sequence[int],
    macro: Macro,
    recipe: Recipe,
    device: torch.device,
) -> Networks:
    """Return networks of an engine, with weights drawn from their seeds.

    Args:
        engine: Any but ``"auto"``; only ``"stacked"`` takes more than one network.
        space: The search space.
        genotypes: ``int8[m, num_decisions]``.
        seeds: One per network.
        macro: The skeleton.
        recipe: Batch size, momentum and weight decay.
        device: Where they are trained.

    Raises:
        InvalidSetting: The recipe has something that only ``"eager"`` knows, and the engine is another.
    """
    if engine != "eager" and not is_plain(recipe):
        raise InvalidSetting(
            f"the engine {engine!r} knows SGD, a cosine by epoch and batch norms with a momentum of 0.1; the recipe "
            f"{recipe.name!r} has {recipe.optimizer}, {recipe.schedule} and {recipe.norm_momentum}. Take 'eager'."
        )
    if engine == "stacked":
        return StackedNetworks(genotypes, macro, recipe, seeds, device)
    (genotype,), (seed,) = genotypes, seeds
    if engine == "eager":
        return EagerNetwork(seeded_network(space, genotype, macro, seed), recipe, device)
    kernels = load_kernels()
    assert kernels is not None, "check_engine() has looked"
    return native_network(kernels, space, genotype, seed, macro, recipe)


def _has_kernels(space: Space, device: torch.device) -> bool:
    return space.name in COMPILED and device.type == "cpu" and load_kernels() is not None
