"""What the operations of a network's program are about: numbered operations, values, windows and layers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from nasgym.training.bundle_maps import Links, mean_links, window_links

__all__ = ["Layer", "Op", "Value", "Weight", "Window", "whole_plane", "window_of"]


class Op(IntEnum):
    """The operations, numbered as in the kernels."""

    ZERO = 0
    COPY = 1
    RELU = 2
    RELU_BACKWARD = 3
    GATHER = 4
    CONV = 5
    CONV_GRADIENT = 6
    NORM = 7
    NORM_BACKWARD = 8
    BIAS = 9
    BIAS_GRADIENT = 10
    CROSS_ENTROPY = 11
    SGD = 12
    AFFINE = 13
    FOLD = 14
    MAXIMUM = 15
    MAXIMUM_BACKWARD = 16


@dataclass(eq=False)
class Value:
    """``[side * side][pitch][lanes]`` in the scratch, of which ``channels`` belong to it, and its gradient.

    ``flows`` is false for the images, which need no gradient. ``written`` says whether there is anything in it yet.
    A value may be a `part` of a wider one, its ``whole``, which then is where the gradient is.
    """

    at: int
    side: int
    channels: int
    flows: bool = True
    written: bool = False
    place: int | None = None  # of the gradient, once something has flowed back
    part_of: Value | None = None

    @property
    def whole(self) -> Value:
        """The value that this is a part of: itself, where it is none."""
        return self if self.part_of is None else self.part_of

    @property
    def pitch(self) -> int:
        """Channels from one pixel to the next."""
        return self.whole.channels

    @property
    def gradient(self) -> int:
        """Where the gradient is, laid out like the value."""
        assert self.whole.place is not None, "gradients flow from the loss backwards"
        return self.whole.place + self.at - self.whole.at

    @property
    def pixels(self) -> int:
        """Pixels of the plane."""
        return self.side * self.side

    @property
    def rows(self) -> int:
        """Rows of lanes: pixels times channels."""
        return self.pixels * self.channels


@dataclass(frozen=True)
class Window:
    """The links of one layer's geometry, under a key that names them."""

    key: tuple[object, ...]
    links: Links
    outputs: int  # pixels a side
    taps: int


@cache
def window_of(side: int, kernel: int, stride: int, padding: int) -> Window:
    """Return the windows of a convolution or pooling on a plane of ``side`` pixels a side."""
    links = window_links(side, kernel, stride, padding)
    return Window(("window", side, kernel, stride, padding), links, -(-side // stride), kernel * kernel)


@cache
def whole_plane(side: int) -> Window:
    """Return the one window that is the whole plane."""
    return Window(("whole", side), mean_links(side), 1, 1)


@dataclass(frozen=True)
class Layer:
    """A convolution and its batch norm: their names, output channels, side of the kernel, stride, and a ReLU."""

    conv: str
    norm: str
    outputs: int
    kernel: int
    stride: int = 1
    relu: bool = False


@dataclass(frozen=True)
class Weight:
    """The weight of a convolution in the state, and its geometry."""

    at: int
    outputs: int
    window: Window
