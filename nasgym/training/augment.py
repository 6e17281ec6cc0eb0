"""Batches as tensor code on the device: the order of an epoch, random crops, flips, normalisation.

All randomness of an epoch is drawn beforehand on the CPU from the seed and the number of the epoch. So the order of
the data is the same on every device, a resumed training needs no generator state, and a bundle of networks can give
each member the data it would see alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nasgym.training.images import ImageData, Split

__all__ = ["EpochPlan", "Pixels", "TrainPixels", "plan_epoch", "resolve_padding"]

_DATA_STREAM = 1  # keeps the data's random numbers apart from any other use of the seed


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """What is random in one epoch, of one training ``[n]`` or of several ``[m, n]``.

    Attributes:
        order: ``int64``, a permutation of the training images.
        top: ``int64``, the first row of each crop in the padded image, by position in the epoch; None: no crops.
        left: ``int64``, the first column of it.
        flip: ``bool``, which images are mirrored; None: none.
    """

    order: Tensor
    top: Tensor | None
    left: Tensor | None
    flip: Tensor | None

    @classmethod
    def stack(cls, plans: Sequence[EpochPlan]) -> EpochPlan:
        """Return the plans of several trainings as one."""

        def column(parts: Sequence[Tensor | None]) -> Tensor | None:
            known = [part for part in parts if part is not None]
            return torch.stack(known) if known else None

        optional = ([p.top for p in plans], [p.left for p in plans], [p.flip for p in plans])
        return cls(torch.stack([p.order for p in plans]), *map(column, optional))

    def to(self, device: torch.device) -> EpochPlan:
        """Return the plan on another device."""
        moved = [None if t is None else t.to(device) for t in (self.top, self.left, self.flip)]
        return EpochPlan(self.order.to(device), *moved)


def plan_epoch(size: int, seed: int, epoch: int, padding: int, flip: bool) -> EpochPlan:
    """Draw the plan of one epoch on the CPU; it depends on nothing but the arguments.

    Args:
        size: Number of training images.
        seed: The seed of the training.
        epoch: Which epoch, from 0.
        padding: Pixels of zero padding on each side before the crop; 0: no crops.
        flip: Whether images are mirrored with probability one half.
    """
    state = np.random.SeedSequence([seed, _DATA_STREAM, epoch]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
    order = torch.randperm(size, generator=generator)
    top = left = mirrored = None
    if padding:
        top, left = torch.randint(2 * padding + 1, (2, size), generator=generator)
    if flip:
        mirrored = torch.rand(size, generator=generator) < 0.5
    return EpochPlan(order, top, left, mirrored)


def resolve_padding(padding: int | None, side: int) -> int:
    """Return the padding of random crops: an eighth of the side where a recipe leaves it open (4 at 32, 2 at 16)."""
    return side // 8 if padding is None else padding


class Pixels:
    """One split on a device, with its normalisation.

    Args:
        split: The images and labels.
        data: The data set, for mean and std.
        device: Where everything lives from now on.
    """

    def __init__(self, split: Split, data: ImageData, device: torch.device) -> None:
        self.images, self.labels = split.images.to(device), split.labels.to(device)
        self._mean = torch.tensor(data.mean, device=device).view(1, -1, 1, 1)
        self._scale = 1.0 / torch.tensor(data.std, device=device).view(1, -1, 1, 1)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def normalise(self, images: Tensor) -> Tensor:
        """Return ``float32`` images with mean 0 and standard deviation 1 for ``uint8[b, c, h, w]``."""
        return (images.float() - self._mean) * self._scale

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised images and labels in stored order, ``size`` at a time, the rest at the end."""
        for at in range(0, len(self), size):
            yield self.normalise(self.images[at : at + size]), self.labels[at : at + size]


class TrainPixels(Pixels):
    """The training split on a device, with random crops and flips.

    Args:
        data: The data set.
        device: Where everything lives from now on.
        padding: Pixels of zero padding (black, before normalisation, as published) around an image.
    """

    def __init__(self, data: ImageData, device: torch.device, padding: int) -> None:
        super().__init__(data.train, data, device)
        side = data.resolution
        padded = functional.pad(self.images, [padding] * 4) if padding else self.images
        self._windows = padded.unfold(2, side, 1).unfold(3, side, 1)  # a view: [n, c, 2p + 1, 2p + 1, side, side]

    def planned(self, plan: EpochPlan, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the normalised, augmented batches of one epoch; the last one is smaller where sizes do not divide.

        A plan of several trainings gives images ``[m, b, c, h, w]`` and labels ``[m, b]``.
        """
        for at in range(0, plan.order.shape[-1], size):
            part = (..., slice(at, at + size))
            chosen = plan.order[part]
            if plan.top is None or plan.left is None:
                images = self.images[chosen]
            else:
                images = self._windows[chosen, :, plan.top[part], plan.left[part]]
            if plan.flip is not None:
                images = torch.where(plan.flip[part][..., None, None, None], images.flip(-1), images)
            yield self.normalise(images), self.labels[chosen]
