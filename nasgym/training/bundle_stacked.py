"""A whole bundle by PyTorch: every step of all members is one step of a `BundleNetwork`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nasgym.networks.bundle import BundleNetwork
from nasgym.recipes import Recipe
from nasgym.spaces import Macro
from nasgym.training.loop import Batches, Rate, Score, make_optimizer

__all__ = ["StackedNetworks"]

_EVALUATION_BATCH = {"cpu": 250, "cuda": 1000}  # images of each member; few and large calls where they cost most


class StackedNetworks:
    """The networks of a bundle with their optimiser, whose rule works on each weight by itself.

    Args:
        genotypes: ``int8[m, 6]``.
        macro: The skeleton.
        recipe: Momentum and weight decay.
        seeds: Of each member's weights.
        device: Where they are trained.
    """

    def __init__(
        self, genotypes: NDArray[np.integer], macro: Macro, recipe: Recipe, seeds: Sequence[int], device: torch.device
    ) -> None:
        self.network = BundleNetwork(genotypes, macro, seeds).to(device)
        self._optimizer = make_optimizer(self.network, recipe)
        self.evaluation_batch = _EVALUATION_BATCH.get(device.type, 500)

    def train_epoch(self, batches: Batches, rate: Rate) -> list[Score]:
        """Take one step per batch ``[m, b, ...]``; return running averages in train mode."""
        self.network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = rate  # one for an epoch: build_networks() has looked
        sums = _Sums()
        for images, labels in batches:
            self._optimizer.zero_grad(set_to_none=True)
            logits = self.network(images)
            losses = _losses(logits, labels)
            torch.autograd.backward(losses.mean(dim=1).sum())
            self._optimizer.step()
            sums.add(logits.detach(), labels, losses.detach())
        return sums.scores()

    @torch.inference_mode()
    def evaluate(self, batches: Batches) -> list[Score]:
        """Return each member's score over all batches, in evaluation mode."""
        self.network.eval()
        sums = _Sums()
        for images, labels in batches:
            logits = self.network(images)
            everyone = labels.expand(len(logits), -1)
            sums.add(logits, everyone, _losses(logits, everyone))
        return sums.scores()

    def state(self) -> dict[str, Any]:
        """Return all that changes in a training."""
        return {"network": self.network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each image, ``[m, b]``, for ``[m, b, classes]`` and ``[m, b]``."""
    flat = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return flat.view(labels.shape)


class _Sums:
    """Correct answers and losses by member, summed on the device without a host synchronisation."""

    def __init__(self) -> None:
        self._correct: Tensor | None = None
        self._loss: Tensor | None = None
        self._count = 0

    def add(self, logits: Tensor, labels: Tensor, losses: Tensor) -> None:
        """Add one batch."""
        correct, loss = (logits.argmax(dim=2) == labels).sum(dim=1), losses.sum(dim=1)
        self._correct = correct if self._correct is None else self._correct + correct
        self._loss = loss if self._loss is None else self._loss + loss
        self._count += labels.shape[1]

    def scores(self) -> list[Score]:
        """Read the sums; this waits for the device."""
        assert self._correct is not None and self._loss is not None, "a pass has at least one batch"
        pairs = zip(self._correct.tolist(), self._loss.tolist(), strict=True)
        return [Score(correct / self._count, loss / self._count) for correct, loss in pairs]
