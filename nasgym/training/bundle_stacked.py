"""A whole bundle by PyTorch: every step of all members is one step of a `BundleNetwork`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nasgym.networks.bundle import BundleNetwork
from nasgym.recipes import Recipe
from nasgym.spaces import Macro
from nasgym.training.loop import Score, make_optimizer

__all__ = ["StackedNetworks"]


class StackedNetworks:
    """The networks of a bundle with their optimiser, whose rule works on each weight by itself.

    Args:
        genotypes: ``int8[m, 6]``.
        macro: The skeleton.
        recipe: Momentum and weight decay.
        seeds: Of each member's weights.
        device: Where they are trained.
    """

    evaluation_batch = 250  # images of each member

    def __init__(
        self, genotypes: NDArray[np.integer], macro: Macro, recipe: Recipe, seeds: Sequence[int], device: torch.device
    ) -> None:
        self.network = BundleNetwork(genotypes, macro, seeds).to(device)
        self._optimizer = make_optimizer(self.network, recipe)

    def train_epoch(self, batches: Sequence[Iterable[tuple[Tensor, Tensor]]], rate: float) -> list[Score]:
        """Take one step per batch, each member on its own batches; return running averages in train mode."""
        self.network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        sums = _Sums()
        for step in zip(*batches, strict=True):
            images, labels = (torch.stack(parts) for parts in zip(*step, strict=True))
            self._optimizer.zero_grad(set_to_none=True)
            logits = self.network(images)
            losses = _losses(logits, labels)
            torch.autograd.backward(losses.mean(dim=1).sum())
            self._optimizer.step()
            sums.add(logits.detach(), labels, losses.detach())
        return sums.scores()

    @torch.inference_mode()
    def evaluate(self, batches: Iterable[tuple[Tensor, Tensor]]) -> list[Score]:
        """Return each member's score over all batches, in evaluation mode."""
        self.network.eval()
        sums = _Sums()
        for images, labels in batches:
            logits = self.network(images)
            everyone = labels.expand(len(logits), -1)
            sums.add(logits, everyone, _losses(logits, everyone))
        return sums.scores()


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each image, ``[m, b]``, for ``[m, b, classes]`` and ``[m, b]``."""
    flat = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return flat.view(labels.shape)


class _Sums:
    """Correct answers and losses by member, summed on the device without a host synchronisation."""

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, Tensor]] = []
        self._count = 0

    def add(self, logits: Tensor, labels: Tensor, losses: Tensor) -> None:
        """Add one batch."""
        self._parts.append(((logits.argmax(dim=2) == labels).sum(dim=1), losses.sum(dim=1)))
        self._count += labels.shape[1]

    def scores(self) -> list[Score]:
        """Read the sums; this waits for the device."""
        correct, loss = (torch.stack(parts).sum(dim=0).tolist() for parts in zip(*self._parts, strict=True))
        return [Score(c / self._count, s / self._count) for c, s in zip(correct, loss, strict=True)]
