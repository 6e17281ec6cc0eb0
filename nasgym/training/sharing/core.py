"""The super-network in training: its images, its optimiser, its random numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from nasgym.networks.supernet import SuperNetwork, mixture_flops, seeded_supernet
from nasgym.recipes import Recipe
from nasgym.spaces import Space
from nasgym.training.augment import Pixels, TrainPixels, plan_epoch, resolve_padding
from nasgym.training.halves import halves
from nasgym.training.images import ImageData, Split
from nasgym.training.loop import Score, Sums
from nasgym.training.sharing.meter import Meter
from nasgym.training.sharing.schedule import Schedule

__all__ = ["Batch", "SharedTraining", "SharingReport"]

Batch: TypeAlias = tuple[Tensor, Tensor]
"""Normalised images ``[b, c, h, w]`` and labels ``[b]``, on the device."""

_ARCHITECTURE, _NUMPY, _TORCH, _SCORES = 2, 3, 4, 5  # streams of random numbers; 1 is the weights' images
_PASSES = 3.0  # a step costs a pass forward and two backward
_SAMPLES = 256  # architectures over which operations are averaged


@dataclass(frozen=True)
class SharingReport:
    """One epoch of a super-network.

    Attributes:
        epoch: Completed epochs, from 1.
        epochs: Epochs of the whole training.
        accuracy: Of the weights' steps, a running average, a fraction.
        loss: Likewise, nats.
        seconds: Charged so far.
        genotype: What the search would settle on now; empty where it does not know yet.
    """

    epoch: int
    epochs: int
    accuracy: float
    loss: float
    seconds: float
    genotype: tuple[int, ...]


class SharedTraining:
    """A super-network, trained on one data set. All random numbers are drawn from the seed and the epoch.

    Args:
        space: The search space, see `nasgym.spaces.EdgeLabelled`.
        data: The data set.
        recipe: The skeleton and the augmentation; how long and how fast is the schedule's.
        schedule: How to train.
        seed: Of weights, images and whatever the learner draws.
        device: Where.
        meter: What is charged.

    Attributes:
        network: The super-network.
        rng: The generator of the running epoch, for choices.
        generator: The same for tensors, on the CPU.
    """

    def __init__(
        self,
        space: Space,
        data: ImageData,
        recipe: Recipe,
        schedule: Schedule,
        *,
        seed: int,
        device: torch.device,
        meter: Meter | None = None,
    ) -> None:
        self.space, self.schedule, self.seed, self.device = space, schedule, seed, device
        self.meter = meter or Meter()
        self.recipe, self.macro = recipe, recipe.macro(len(data.classes), data.channels, data.resolution)
        network = seeded_supernet(space, self.macro, seed, affine=schedule.affine, tracked=schedule.tracked)
        self.network: SuperNetwork = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.weights = list(self.network.parameters())
        self.optimizer = torch.optim.SGD(
            self.weights,
            lr=schedule.learning_rate,
            momentum=schedule.momentum,
            nesterov=schedule.momentum > 0,
            weight_decay=schedule.weight_decay,
            foreach=True,  # the fused step does not take weights that had no gradient so far
        )
        own, held = _parts(data, schedule.architecture_images)
        self._padding = resolve_padding(recipe.crop_padding, data.resolution)
        self._own, self._held = (TrainPixels(replace(data, train=s), device, self._padding) for s in (own, held))
        self._scored = Pixels(data.valid if schedule.architecture_images == "valid" else held, data, device)
        self._sums: Sums | None = None
        self.mixture_operations = mixture_flops(space, self.macro)
        drawn = space.sample(np.random.default_rng(0), _SAMPLES)
        self.sampled_operations = float(space.flops(drawn, self.macro).mean())
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """Set the learning rate and the generators of an epoch."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(epoch)
        self.rng = np.random.default_rng([self.seed, _NUMPY, epoch])
        state = np.random.SeedSequence([self.seed, _TORCH, epoch]).generate_state(1, np.uint64)[0]
        self.generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
        self._sums = None

    @property
    def images(self) -> int:
        """Images that the weights are trained on."""
        return len(self._own)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.images // self.schedule.batch)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the augmented batches of one epoch for the weights, the last one smaller."""
        yield from self._stream(self._own, self.seed, epoch)

    def held_batches(self, epoch: int) -> Iterator[Batch]:
        """Yield augmented batches for the architecture without end, other ones every epoch."""
        turn = 0
        while True:
            yield from self._stream(self._held, _derived(self.seed, _ARCHITECTURE, turn), epoch)
            turn += 1

    def scoring_batches(self) -> Iterator[Batch]:
        """Yield validation batches for scoring without end, not augmented, in an order drawn from the seed."""
        rng, size = np.random.default_rng([self.seed, _SCORES]), self.schedule.evaluation_batch
        while True:
            order = torch.from_numpy(rng.permutation(len(self._scored))).to(self.device)
            for at in range(0, len(order) - min(size, len(order)) + 1, size):
                rows = order[at : at + size]
                yield self._scored.normalise(self._scored.images[rows]), self._scored.labels[rows]

    def update(
        self, batch: Batch, weights: Tensor | None = None, chosen: Sequence[int] | NDArray[np.integer] | None = None
    ) -> None:
        """Take one step on the weights; the arguments are those of `SuperNetwork.forward`.

        Operations that took no part get no gradient and stay as they are.
        """
        images, labels = batch
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.network(images, weights, chosen)
        loss = functional.cross_entropy(logits, labels)
        torch.autograd.backward(loss)
        if self.schedule.clip:
            clip_grad_norm_(self.weights, self.schedule.clip)
        self.optimizer.step()
        self._sums = self._sums or Sums(self.device)
        self._sums.add(logits.detach(), labels, loss.detach())

    def score(self) -> Score | None:
        """Read the running averages of the epoch, None before its first step; this waits for the device."""
        return None if self._sums is None else self._sums.score()

    @torch.no_grad()
    def accuracy(self, batch: Batch, chosen: Sequence[int] | NDArray[np.integer]) -> Tensor:
        """Return the accuracy of one architecture with shared weights, in evaluation mode; a scalar on the device.

        It is NaN where a logit is not finite.
        """
        self.network.eval()
        images, labels = batch
        logits = self.network(images, chosen=chosen)
        self.network.train()
        return torch.where(logits.isfinite().all(), (logits.argmax(dim=1) == labels).float().mean(), math.nan)

    def training_operations(self, per_image: float, batches: float = 1.0) -> float:
        """Return the multiply-accumulates of steps on some batches, forward and backward."""
        return _PASSES * per_image * batches * self.schedule.batch

    @property
    def scoring_operations(self) -> float:
        """Multiply-accumulates of scoring one architecture."""
        return self.sampled_operations * min(self.schedule.evaluation_batch, len(self._scored))

    def state(self) -> dict[str, Any]:
        """Return all that changes in a training but what the learner holds."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "meter": self.meter.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.meter.load_state(state["meter"])

    def _stream(self, pixels: TrainPixels, seed: int, epoch: int) -> Iterator[Batch]:
        plan = plan_epoch(len(pixels), seed, epoch, self._padding, self.recipe.flip).to(self.device)
        return pixels.planned(plan, self.schedule.batch)


def _derived(seed: int, *keys: int) -> int:
    return int(np.random.SeedSequence([seed, *keys]).generate_state(1, np.uint32)[0])


def _parts(data: ImageData, images: str) -> tuple[Split, Split]:
    """Return what the weights and what the architecture are trained on."""
    if images == "valid":
        return data.train, data.valid
    first, second = (torch.from_numpy(rows) for rows in halves(len(data.train)))
    own, held = (Split(data.train.images[rows], data.train.labels[rows]) for rows in (first, second))
    return own, held
