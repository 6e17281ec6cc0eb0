"""Maps between the pixels of two planes: which pixel of one a convolution or a pooling reads for which of the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Links", "mean_links", "window_links"]


class Links(NamedTuple):
    """Who reads whom, one entry per pair of pixels.

    Attributes:
        output: ``int32[k]``, pixels of the output plane.
        input: ``int32[k]``, pixels of the input plane.
        tap: ``int32[k]``, places in the window, row by row.
    """

    output: NDArray[np.int32]
    input: NDArray[np.int32]
    tap: NDArray[np.int32]

    def forward(self, pixels: int) -> NDArray[np.int32]:
        """Return the map by output pixel, with pairs (input pixel, tap)."""
        return _map(self.output, self.input, self.tap, pixels)

    def backward(self, pixels: int) -> NDArray[np.int32]:
        """Return the map by input pixel, with pairs (output pixel, tap)."""
        return _map(self.input, self.output, self.tap, pixels)

    def by_tap(self, taps: int) -> NDArray[np.int32]:
        """Return the map by tap, with pairs (output pixel, input pixel)."""
        return _map(self.tap, self.output, self.input, taps)

    def shares(self) -> NDArray[np.float32]:
        """Return the weight of each link in a mean over each window, in the order of `forward`: ``float32[k]``."""
        order = np.argsort(self.output, kind="stable")
        return (1.0 / np.bincount(self.output))[self.output[order]].astype(np.float32)

    def shares_backward(self) -> NDArray[np.float32]:
        """Return the same weights in the order of `backward`."""
        order = np.argsort(self.input, kind="stable")
        return (1.0 / np.bincount(self.output))[self.output[order]].astype(np.float32)


def window_links(side: int, kernel: int, stride: int, padding: int) -> Links:
    """Return what windows of ``kernel`` pixels a side read; what lies outside the plane is left out.

    The output has ``ceil(side / stride)`` pixels a side, which is what all layers of the networks have.
    """
    outputs = -(-side // stride)
    row, column, down, right = np.indices((outputs, outputs, kernel, kernel)).reshape(4, -1)
    y, x = row * stride + down - padding, column * stride + right - padding
    inside = (y >= 0) & (y < side) & (x >= 0) & (x < side)
    found = (row * outputs + column, y * side + x, down * kernel + right)
    return Links(*(part[inside].astype(np.int32) for part in found))


def mean_links(side: int) -> Links:
    """Return the links of a mean over the whole plane."""
    pixels = np.arange(side * side, dtype=np.int32)
    return Links(np.zeros_like(pixels), pixels, np.zeros_like(pixels))


def _map(rows: NDArray[np.int32], first: NDArray[np.int32], second: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Return ``int32``: ``count + 1`` starts, then the pairs, ordered by row."""
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))])
    return np.concatenate([starts, np.stack([first, second], axis=1)[order].ravel()]).astype(np.int32)
