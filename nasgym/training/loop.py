"""One epoch of training, one pass of evaluation: sums stay on the device and are read once per pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasgym.recipes import Recipe
from nasgym.training.rmsprop import RMSProp

__all__ = [
    "Batches",
    "Rate",
    "Score",
    "Sums",
    "evaluate",
    "learning_rate",
    "make_optimizer",
    "rate_of_epoch",
    "train_epoch",
]

Batches: TypeAlias = Iterable[tuple[Tensor, Tensor]]
"""Images and labels, on the device."""
Rate: TypeAlias = float | Sequence[float]
"""The learning rate of an epoch, or of each of its steps."""


@dataclass(frozen=True)
class Score:
    """Mean accuracy (a fraction) and cross-entropy (nats) of one pass over a split."""

    accuracy: float
    loss: float

    @property
    def finite(self) -> bool:
        """Whether the loss is a number: a diverged network has none."""
        return math.isfinite(self.loss)


class Sums:
    """Correct answers and loss, summed on the device without a host synchronisation."""

    def __init__(self, device: torch.device) -> None:
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._loss = torch.zeros((), dtype=torch.float32, device=device)
        self._count = 0

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add one batch; ``loss`` is its mean."""
        self._correct += (logits.argmax(dim=1) == labels).sum()
        self._loss += loss * len(labels)
        self._count += len(labels)

    def score(self) -> Score:
        """Read the sums; this waits for the device."""
        return Score(int(self._correct) / self._count, float(self._loss) / self._count)


def learning_rate(recipe: Recipe, epoch: float) -> float:
    """Return the learning rate after so many epochs: a cosine from the recipe's rate towards zero."""
    return recipe.learning_rate / 2 * (1 + math.cos(math.pi * epoch / recipe.epochs))


def rate_of_epoch(recipe: Recipe, epoch: int, images: int) -> Rate:
    """Return the learning rate of an epoch (from 0) of so many images, or that of each step, as the recipe says."""
    if recipe.schedule == "cosine":
        return learning_rate(recipe, epoch)
    steps = math.ceil(images / recipe.batch_size)
    return [learning_rate(recipe, epoch + step / steps) if epoch or step else 0.0 for step in range(steps)]


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over all parameters."""
    if recipe.optimizer == "rmsprop":
        return RMSProp(
            network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def train_epoch(network: nn.Module, optimizer: torch.optim.Optimizer, batches: Batches, rate: Rate) -> Score:
    """Take one step per batch at the learning rate ``rate``; return running averages in train mode, as published."""
    network.train()
    sums: Sums | None = None
    for step, (images, labels) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rate[step] if isinstance(rate, Sequence) else rate
        sums = sums or Sums(images.device)
        optimizer.zero_grad(set_to_none=True)
        logits = network(images)
        loss = functional.cross_entropy(logits, labels)
        torch.autograd.backward(loss)
        optimizer.step()
        sums.add(logits.detach(), labels, loss.detach())
    assert sums is not None, "an epoch has at least one batch"
    return sums.score()


@torch.inference_mode()
def evaluate(network: nn.Module, batches: Batches) -> Score:
    """Return the score of a network over all batches, in evaluation mode."""
    network.eval()
    sums: Sums | None = None
    for images, labels in batches:
        sums = sums or Sums(images.device)
        logits = network(images)
        sums.add(logits, labels, functional.cross_entropy(logits, labels))
    assert sums is not None, "a split has at least one image"
    return sums.score()
