"""Writes the operations of one network: forward, and for training backward too.

Each value knows how its gradient flows back, so the backward half is the forward half in reverse.
`bundle_kernels.c` explains layout, maps and operations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nasgym.spaces import Macro
from nasgym.training.bundle_state import State
from nasgym.training.bundle_values import Layer, Op, Value, Weight, Window, window_of

__all__ = ["EvaluationWriter", "TrainingWriter", "Writer"]


class Writer(ABC):
    """Writes the operations of the forward half; what differs in training and in evaluation is left to its heirs.

    A method that takes ``into`` writes into that value, or adds to it where something is written in it already; without
    it writes a new one. It returns the value.

    Args:
        state: Where weights and constants lie.
        lanes: Images per batch at most.
    """

    def __init__(self, state: State, lanes: int) -> None:
        self.state, self.lanes, self.scratch = state, lanes, 0
        self.ops: list[list[int]] = []
        self._free: dict[int, list[int]] = {}

    def emit(self, op: Op, *arguments: int) -> None:
        """Append an operation."""
        self.ops.append([op, *arguments])

    def take(self, rows: int) -> int:
        """Return a place for so many rows of lanes in the scratch."""
        if self._free.get(rows):
            return self._free[rows].pop()
        self.scratch += rows * self.lanes
        return ~(self.scratch - rows * self.lanes)

    def give(self, at: int, rows: int) -> None:
        """Let the place be used again."""
        self._free.setdefault(rows, []).append(at)

    def value(self, side: int, channels: int) -> Value:
        """Return a value that is about to be written."""
        return Value(self.take(side * side * channels), side, channels)

    def images(self, macro: Macro) -> Value:
        """Return the place of a batch of images, which need no gradient."""
        rows = macro.resolution**2 * macro.in_channels
        return Value(self.take(rows), macro.resolution, macro.in_channels, flows=False, written=True)

    def part(self, x: Value, first: int, channels: int) -> Value:
        """Return some of a value's channels as a value: what is written there, and its gradient, are the whole's."""
        if (first, channels) == (0, x.channels):
            return x
        at = x.at - first * self.lanes  # places in the scratch are turned over
        return Value(at, x.side, channels, written=x.written, part_of=x.whole)

    @abstractmethod
    def flows(self, out: Value, source: Value | None, write: Callable[[int, int], None]) -> None:
        """Say that ``out`` is written now, and how its gradient reaches ``source``; an evaluation has none.

        Args:
            out: What is written or added to.
            source: What it is computed from; None: weights alone.
            write: Emits the operations, given the place of the source's gradient and whether to add to it.
        """

    def zeros(self, like: Value) -> Value:
        """Write zeros."""
        out = self.value(like.side, like.channels)
        self.emit(Op.ZERO, out.at, out.rows * self.lanes)
        return out

    def relu(self, x: Value) -> Value:
        """Write the positive part."""
        out = self.value(x.side, x.channels)
        self.emit(Op.RELU, x.at, out.at, x.rows)
        self.flows(out, x, lambda at, add: self.emit(Op.RELU_BACKWARD, out.at, out.gradient, at, x.rows, add))
        return out

    def copy(self, x: Value, into: Value | None = None) -> Value:
        """Write or add the value itself."""
        out = into or self.value(x.side, x.channels)
        shape = x.pixels, x.channels
        self.emit(Op.COPY, x.at, out.at, shape[0], out.written, shape[1], x.pitch, out.pitch)
        self.flows(
            *(out, x), lambda at, add: self.emit(Op.COPY, out.gradient, at, shape[0], add, shape[1], out.pitch, x.pitch)
        )
        return out

    def average(self, x: Value, window: Window, into: Value | None = None) -> Value:
        """Write the mean over each window, of the pixels that lie in the plane."""
        out, links, key = into or self.value(window.outputs, x.channels), window.links, window.key
        forward = self.state.table((key, "forward"), lambda: links.forward(out.pixels))
        shares = self.state.constant((key, "shares"), links.shares())
        self.emit(Op.GATHER, forward, shares, x.at, out.at, out.pixels, x.channels, out.written)

        def write(at: int, add: int) -> None:
            backward = self.state.table((key, "backward"), lambda: links.backward(x.pixels))
            shares = self.state.constant((key, "shares backward"), links.shares_backward())
            self.emit(Op.GATHER, backward, shares, out.gradient, at, x.pixels, x.channels, add)

        self.flows(out, x, write)
        return out

    @abstractmethod
    def maximum(self, x: Value, window: Window, into: Value | None = None) -> Value:
        """Write the largest of each window, of the pixels that lie in the plane; ``into`` holds nothing yet."""

    def conv(
        self, x: Value, weight: Weight, into: Value | None = None, bias: int | None = None, relu: bool = False
    ) -> Value:
        """Write a convolution; ``bias`` is the place of one to add, and ``relu`` (without gradients) comes last."""
        window, channels = weight.window, (x.channels, weight.outputs)
        out, links, key = into or self.value(window.outputs, weight.outputs), window.links, window.key
        forward = self.state.table((key, "forward"), lambda: links.forward(out.pixels))
        self.emit(
            *(Op.CONV, forward, x.at, weight.at, bias or 0, out.at),
            *(out.pixels, *channels, 0, out.written, bias is not None, relu, x.pitch, out.pitch),
        )

        def write(at: int, add: int) -> None:
            gradient, taps = out.gradient, window.taps
            by_tap = self.state.table((key, "taps"), lambda: links.by_tap(taps))
            place = self.state.gradient(weight.at)
            self.emit(Op.CONV_GRADIENT, by_tap, x.at, gradient, place, taps, *channels, x.pitch)
            if x.flows:
                backward = self.state.table((key, "backward"), lambda: links.backward(x.pixels))
                pitches = out.pitch, x.pitch
                self.emit(
                    Op.CONV, backward, gradient, weight.at, 0, at, x.pixels, *channels[::-1], 1, add, 0, 0, *pitches
                )

        self.flows(out, x, write)
        return out

    def bias(self, name: str, like: Value, into: Value | None) -> Value:
        """Write a convolution of zero: the bias of its batch norm, everywhere."""
        out, at = into or self.value(like.side, like.channels), self.state.weight(f"{name}.bias", (like.channels,))
        self.emit(Op.BIAS, at, out.at, out.pixels, out.channels, out.written)
        gradient = self.state.gradient(at)
        self.flows(
            *(out, None),
            lambda *_: self.emit(Op.BIAS_GRADIENT, out.gradient, gradient, out.pixels, out.channels),
        )
        return out

    def linear(self, x: Value, name: str, outputs: int) -> Value:
        """Write a linear layer with bias, on a plane of one pixel."""
        at = self.state.weight(f"{name}.weight", (outputs, x.channels))
        bias = self.state.weight(f"{name}.bias", (outputs,))
        out, gradient = self.conv(x, Weight(at, outputs, window_of(1, 1, 1, 0)), bias=bias), self.state.gradient(bias)
        self.flows(out, None, lambda *_: self.emit(Op.BIAS_GRADIENT, out.gradient, gradient, 1, outputs))
        return out

    @abstractmethod
    def norm(self, x: Value, name: str) -> Value:
        """Write a batch norm."""

    @abstractmethod
    def conv_norm(self, x: Value, layer: Layer, into: Value | None = None) -> Value:
        """Write a convolution, its batch norm and, where the layer has one, its ReLU."""

    def loss(self, logits: Value) -> None:
        """Write the cross-entropy."""
        out = self.take(logits.rows)
        self.emit(Op.CROSS_ENTROPY, logits.at, out, logits.channels)
        logits.place = out


@dataclass(frozen=True)
class _Flow:
    """How a gradient flows back through one operation, and whether that was the first to write its value."""

    out: Value
    source: Value | None
    first: bool
    write: Callable[[int, int], None]


class TrainingWriter(Writer):
    """Writes forward, backward and the step of the optimiser."""

    def __init__(self, state: State, lanes: int) -> None:
        super().__init__(state, lanes)
        self._tape: list[_Flow] = []

    def flows(self, out: Value, source: Value | None, write: Callable[[int, int], None]) -> None:
        """Remember it until `finish`."""
        self._tape.append(_Flow(out, source, not out.whole.written, write))
        out.written = out.whole.written = True

    def maximum(self, x: Value, window: Window, into: Value | None = None) -> Value:
        """Write the largest of each window, and remember where it was."""
        assert into is None or not into.written, "a maximum is written, not added"
        out, links, key = into or self.value(window.outputs, x.channels), window.links, window.key
        forward = self.state.table((key, "forward"), lambda: links.forward(out.pixels))
        place = self.take(out.rows)
        self.emit(Op.MAXIMUM, forward, x.at, out.at, place, out.pixels, x.channels, x.pitch, 1, out.pitch)

        def write(at: int, add: int) -> None:
            backward = self.state.table((key, "backward"), lambda: links.backward(x.pixels))
            shape = x.pixels, x.channels, out.pitch, x.pitch
            self.emit(Op.MAXIMUM_BACKWARD, backward, place, out.gradient, at, *shape, add)

        self.flows(out, x, write)
        return out

    def norm(self, x: Value, name: str, into: Value | None = None, relu: bool = False) -> Value:
        """Write a batch norm by the statistics of the batch, and a ReLU where asked."""
        out, channels = into or self.value(x.side, x.channels), x.channels
        scale, bias, running = _norm_places(self.state, name, channels)
        saved = self.state.constant((name, "saved"), np.zeros(2 * channels, dtype=np.float32))
        shape = x.pixels, channels
        self.emit(Op.NORM, x.at, out.at, *shape, scale, bias, saved, running, out.written, relu, out.pitch)
        gradients = self.state.gradient(scale), self.state.gradient(bias)

        def write(at: int, add: int) -> None:
            assert not add, "nothing but its batch norm reads a convolution"
            weights = scale, saved, *gradients, bias
            self.emit(Op.NORM_BACKWARD, out.gradient, x.at, at, *shape, *weights, relu, out.pitch)

        self.flows(out, x, write)
        return out

    def conv_norm(self, x: Value, layer: Layer, into: Value | None = None) -> Value:
        """Write a convolution, its batch norm and its ReLU."""
        return self.norm(self.conv(x, _weight(self.state, x, layer)), layer.norm, into, layer.relu)

    def finish(self) -> None:
        """Write the backward half and the step of the optimiser."""
        for flow in reversed(self._tape):
            whole = flow.out.whole
            if whole.place is None:
                continue  # a cell that gives zero or a constant: nothing flows through it
            if flow.source is None or not flow.source.flows:
                flow.write(0, 0)
            else:
                add = self._gradient_is_written(flow.source)
                flow.write(flow.source.gradient, int(add))
            if flow.first:
                self.give(whole.place, whole.rows)
        self.emit(Op.SGD, 0, self.state.gradient(0), 2 * self.state.gradient(0), self.state.weights)

    def _gradient_is_written(self, source: Value) -> bool:
        """Tell whether something has flowed to ``source`` already; what flows to a part first finds zeros."""
        whole = source.whole
        if whole.place is not None:
            return True
        whole.place = self.take(whole.rows)
        if source is not whole:
            self.emit(Op.ZERO, whole.place, whole.rows * self.lanes)
        return source is not whole


class EvaluationWriter(Writer):
    """Writes the forward half with every batch norm folded into the convolution before it."""

    def __init__(self, state: State, lanes: int) -> None:
        super().__init__(state, lanes)
        self.folding: list[list[int]] = []

    def flows(self, out: Value, source: Value | None, write: Callable[[int, int], None]) -> None:
        """Write nothing: an evaluation has no gradients."""
        out.written = out.whole.written = True

    def maximum(self, x: Value, window: Window, into: Value | None = None) -> Value:
        """Write the largest of each window."""
        assert into is None or not into.written, "a maximum is written, not added"
        out, links = into or self.value(window.outputs, x.channels), window.links
        forward = self.state.table((window.key, "forward"), lambda: links.forward(out.pixels))
        self.emit(Op.MAXIMUM, forward, x.at, out.at, 0, out.pixels, x.channels, x.pitch, 0, out.pitch)
        out.written = out.whole.written = True
        return out

    def norm(self, x: Value, name: str) -> Value:
        """Write a batch norm by the running statistics."""
        out = self.value(x.side, x.channels)
        out.written = True
        self.emit(Op.AFFINE, x.at, out.at, x.pixels, x.channels, *_norm_places(self.state, name, x.channels))
        return out

    def conv_norm(self, x: Value, layer: Layer, into: Value | None = None) -> Value:
        """Write a convolution with its batch norm folded into it, and its ReLU."""
        weight, outputs = _weight(self.state, x, layer), layer.outputs
        rows = weight.window.taps * x.channels
        folded = self.state.constant((layer.conv, "folded"), np.zeros(rows * outputs, dtype=np.float32))
        shift = self.state.constant((layer.conv, "shift"), np.zeros(outputs, dtype=np.float32))
        places = _norm_places(self.state, layer.norm, outputs)
        self.folding.append([Op.FOLD, weight.at, rows, outputs, *places, folded, shift])
        return self.conv(x, Weight(folded, outputs, weight.window), into, bias=shift, relu=layer.relu)


def _norm_places(state: State, name: str, channels: int) -> tuple[int, int, int]:
    """Return the places of scale, bias and running statistics."""
    scale, bias = (state.weight(f"{name}.{kind}", (channels,)) for kind in ("weight", "bias"))
    return scale, bias, state.statistics(name, channels)


def _weight(state: State, x: Value, layer: Layer) -> Weight:
    window = window_of(x.side, layer.kernel, layer.stride, layer.kernel // 2)
    at = state.weight(f"{layer.conv}.weight", (layer.outputs, x.channels, layer.kernel, layer.kernel))
    return Weight(at, layer.outputs, window)
