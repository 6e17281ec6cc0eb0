"""A data set in memory: uint8 images and labels of three splits, and the fingerprint that identifies them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nasgym.errors import InvalidSetting

__all__ = ["ImageData", "Split", "fingerprint_of"]


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split.

    Attributes:
        images: ``uint8[n, channels, side, side]``, 0 to 255.
        labels: ``int64[n]``, the class of each image.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        """Check types and shapes at the door."""
        shape = self.images.shape
        square = self.images.ndim == 4 and shape[2] == shape[3]
        if self.images.dtype != torch.uint8 or not square or self.labels.shape != shape[:1]:
            raise InvalidSetting(
                "a split needs uint8 images [n, channels, side, side] and n labels; got "
                f"{self.images.dtype} {tuple(self.images.shape)} and {tuple(self.labels.shape)}."
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class ImageData:
    """A whole data set in memory.

    Attributes:
        name: The id it was loaded by.
        classes: The name of each class, in label order.
        train: What networks are trained on.
        valid: What agents see.
        test: What a study looks up after the run.
        mean: Mean of each channel, in units of 0 to 255.
        std: Standard deviation of each channel, in units of 0 to 255.
        fingerprint: sha256 over images and labels of all splits, see `fingerprint_of`.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    valid: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str

    @classmethod
    def of(
        cls,
        name: str,
        classes: tuple[str, ...],
        splits: tuple[Split, Split, Split],
        statistics: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    ) -> ImageData:
        """Build a data set from its train, valid and test split.

        ``statistics`` (mean and std per channel, of 255) default to those of the training images.
        """
        train, valid, test = splits
        mean, std = _statistics(train.images) if statistics is None else statistics
        return cls(name, classes, train, valid, test, mean, std, fingerprint_of(*splits))

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self.train.images.shape[1]

    @property
    def resolution(self) -> int:
        """Height and width of an image in pixels."""
        return self.train.images.shape[2]


def fingerprint_of(train: Split, valid: Split, test: Split) -> str:
    """Return the sha256 over shapes, images and labels (little-endian int64) of the three splits, in this order."""
    digest = hashlib.sha256()
    for split in (train, valid, test):
        digest.update(repr(tuple(split.images.shape)).encode())
        digest.update(split.images.numpy().tobytes())
        digest.update(split.labels.numpy().astype("<i8").tobytes())
    return digest.hexdigest()


def _statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, from exact counts of the 256 pixel values."""
    mean, std, values = [], [], np.arange(256)
    for channel in images.numpy().swapaxes(0, 1):
        counts = np.bincount(channel.reshape(-1), minlength=256)
        average = int(counts @ values) / channel.size
        variance = int(counts @ values**2) / channel.size - average**2
        mean.append(average)
        std.append(max(variance, 1.0) ** 0.5)  # a constant channel is divided by one, not by zero
    return tuple(mean), tuple(std)
