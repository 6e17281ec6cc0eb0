"""The embedded data set ``cluttered-digits``: real handwritten digits among fragments of others and noise.

After the cluttered translated MNIST of Mnih et al., "Recurrent Models of Visual Attention", 2014. The digits are the
1,797 of scikit-learn (8 by 8 pixels, from the UCI repository). Everything is integer arithmetic on numpy's frozen
`RandomState` stream with explicit integer types, so the images are the same on every platform, for ever; their
fingerprint stands in `nasgym.recipes.DATASETS`. How the numbers below were chosen: docs/cluttered-digits.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray

from nasgym.training.images import ImageData, Split

__all__ = ["Clutter", "cluttered_digits"]

_DIGIT_SIDE = 8  # pixels
_CLASSES = 10
_SCALE = 15  # scikit-learn's 0..16 becomes 0..240
_NOISE_TERMS = 4  # a sum of so many uniform integers is nearly normal

Bytes: TypeAlias = NDArray[np.uint8]
_Ints: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True)
class Clutter:
    """The numbers that make the images.

    Attributes:
        canvas: Side of an image in pixels.
        fragments: Pieces of other digits in each image.
        fragment_side: Side of a piece in pixels.
        noise: Each pixel gets the sum of four uniform integers in ``-noise..noise``
            (standard deviation about ``1.15 * noise``, of 255).
        sizes: Images in the train, valid and test split.
        sources: How many of the 1,797 digits each split draws from; no digit serves two splits.
        seed: Of the random stream.
    """

    canvas: int = 12
    fragments: int = 2
    fragment_side: int = 4
    noise: int = 33
    sizes: tuple[int, int, int] = (3000, 3000, 1000)
    sources: tuple[int, int, int] = (897, 450, 450)
    seed: int = 2014


def cluttered_digits(clutter: Clutter | None = None) -> ImageData:
    """Return the data set ``cluttered-digits`` (or, for calibration, one made with other numbers)."""
    made = clutter or Clutter()
    stream = RandomState(made.seed)
    images, labels = _digits()
    order = stream.permutation(len(labels))
    ends = np.cumsum(made.sources)
    parts = np.split(order, ends)
    train, valid, test = (
        _split(stream, made, images[part], labels[part], size) for part, size in zip(parts[:3], made.sizes, strict=True)
    )
    return ImageData.of("cluttered-digits", tuple(str(c) for c in range(_CLASSES)), (train, valid, test))


def _digits() -> tuple[Bytes, NDArray[np.int64]]:
    """Return scikit-learn's digits as ``uint8[1797, 8, 8]`` in 0..240, and their labels."""
    from sklearn.datasets import load_digits  # slow to import, and only this data set needs it

    bunch = load_digits()
    return bunch.images.astype(np.uint8) * np.uint8(_SCALE), bunch.target.astype(np.int64)


def _split(stream: RandomState, made: Clutter, digits: Bytes, labels: NDArray[np.int64], size: int) -> Split:
    """Make ``size`` images, the classes in turn, from the digits of one split."""
    by_class = [np.flatnonzero(labels == c) for c in range(_CLASSES)]
    canvas: Bytes = np.zeros((size, made.canvas, made.canvas), dtype=np.uint8)
    wanted = np.arange(size) % _CLASSES
    for image, label in zip(canvas, wanted, strict=True):
        for _ in range(made.fragments):
            _paste(stream, image, _fragment(stream, digits[_below(stream, len(digits))], made.fragment_side))
        _paste(stream, image, digits[by_class[label][_below(stream, len(by_class[label]))]])
    shape = (_NOISE_TERMS, *canvas.shape)
    noise: _Ints = stream.randint(-made.noise, made.noise + 1, size=shape, dtype=np.int32).sum(axis=0, dtype=np.int32)
    noisy = np.clip(canvas.astype(np.int32) + noise, 0, 255).astype(np.uint8)
    return Split(torch.from_numpy(noisy[:, None]), torch.from_numpy(wanted.astype(np.int64)))


def _fragment(stream: RandomState, digit: Bytes, side: int) -> Bytes:
    """Cut a random square out of a digit."""
    top, left = (_below(stream, _DIGIT_SIDE - side + 1) for _ in range(2))
    return digit[top : top + side, left : left + side]


def _paste(stream: RandomState, image: Bytes, piece: Bytes) -> None:
    """Lay a piece at a random place of the image; the brighter pixel wins."""
    top, left = (_below(stream, len(image) - len(piece) + 1) for _ in range(2))
    window = image[top : top + len(piece), left : left + len(piece)]
    np.maximum(window, piece, out=window)


def _below(stream: RandomState, bound: int) -> int:
    """Return a uniform integer in ``0..bound-1``; the type is explicit, since the default differs by platform."""
    return int(stream.randint(0, bound, dtype=np.int32))
