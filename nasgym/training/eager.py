"""One network alone by PyTorch, operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nasgym.recipes import Recipe
from nasgym.training.loop import Batches, Rate, Score, evaluate, make_optimizer, train_epoch

__all__ = ["EagerNetwork"]

_EVALUATION_BATCH = {"cpu": 250, "cuda": 2000}  # images; on a CPU what fits into its cache, see docs/training.md


class EagerNetwork:
    """A network with its optimiser: a bundle of one.

    Args:
        network: The network; it is moved to the device, channels last.
        recipe: The optimiser, its momentum and weight decay, and how batch norms average.
        device: Where it is trained.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, device: torch.device) -> None:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = recipe.norm_momentum
        self.network: nn.Module = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = make_optimizer(self.network, recipe)
        self.evaluation_batch = _EVALUATION_BATCH.get(device.type, 1000)

    def train_epoch(self, batches: Batches, rate: Rate) -> list[Score]:
        """Take one step per batch ``[1, b, ...]``; see `nasgym.training.loop.train_epoch`."""
        own = ((images[0], labels[0]) for images, labels in batches)
        return [train_epoch(self.network, self._optimizer, own, rate)]

    def evaluate(self, batches: Batches) -> list[Score]:
        """Return the score over all batches ``[b, ...]``, in evaluation mode."""
        return [evaluate(self.network, batches)]

    def state(self) -> dict[str, Any]:
        """Return all that changes in a training."""
        return {"network": self.network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
