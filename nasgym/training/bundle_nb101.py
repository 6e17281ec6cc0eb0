"""Follows the network of an nb101 cell for the compiled kernels; see `nasgym.networks.nb101.NB101Network`.

The vertices with an edge to the output write straight into their channels of it, and what is cut to the first channels
is read where it lies. Only what meets is copied: into a sum, and where an output that the input is added to has
channels that other vertices read too.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from nasgym.networks.initial_nb101 import trained_tensors
from nasgym.networks.nb101 import KERNELS, cell_channels
from nasgym.spaces import Macro
from nasgym.spaces.nb101 import Cell
from nasgym.training.bundle_program import Program, write_program
from nasgym.training.bundle_state import rounded
from nasgym.training.bundle_values import Layer, Value, whole_plane, window_of
from nasgym.training.bundle_writer import Writer

__all__ = ["nb101_program"]

_STAGES = 3


def nb101_program(cell: Cell, macro: Macro, lanes: int) -> Program:
    """Return the program of one cell's network for batches of up to ``lanes`` images (a multiple of `LANES`)."""
    weights = sum(rounded(int(np.prod(shape))) for _, shape in trained_tensors(cell, macro))
    return write_program(lambda writer: _write_network(writer, cell, macro), weights, lanes)


def _write_network(writer: Writer, cell: Cell, macro: Macro) -> Value:
    """Write the network from the images to the loss; return the place of the images."""
    images = writer.images(macro)
    x = writer.conv_norm(images, _layer("stem", macro.channels, 3))
    for stage in range(_STAGES):
        if stage:
            x = writer.maximum(x, window_of(x.side, 2, 2, 0))
        for i in range(macro.cells_per_stage):
            place = i + 1 if stage else i  # the pooling is the first module of its stage
            x = _Writing(writer, cell, x, macro.channels << stage, f"stages.{stage}.{place}").output()
    writer.loss(writer.linear(writer.average(x, whole_plane(x.side)), "classifier", macro.classes))
    return images


class _Writing:
    """One cell, being written: ``x`` enters it."""

    def __init__(self, writer: Writer, cell: Cell, x: Value, outputs: int, name: str) -> None:
        self._writer, self._cell, self._x, self._outputs, self._name = writer, cell, x, outputs, name
        self._edges = np.asarray(cell.matrix) != 0
        self._last = len(cell.matrix) - 1
        self._channels = cell_channels(cell, x.channels, outputs)
        self._values: dict[int, Value] = {}

    def output(self) -> Value:
        """Write the cell; return what leaves it."""
        joined = self._inner()
        if not self._edges[0, self._last]:
            assert joined is not None, "a path leads to the output"
            return joined
        if joined is not None and self._edges[1:-1, 1:-1][self._edges[1:-1, -1]].any():
            joined = self._writer.copy(joined)  # others read what the input may not be added to
        return self._projected(self._last, joined)

    def _inner(self) -> Value | None:
        """Write the inner vertices; return the channels that those before the output join."""
        feeding = [v for v in range(1, self._last) if self._edges[v, self._last]]
        joined = self._writer.value(self._x.side, self._outputs) if feeding else None
        parts: dict[int, Value] = {}
        if joined is not None:  # all of its parts are made before there is anything in it
            starts = accumulate((self._channels[v] for v in feeding), initial=0)
            parts = {
                v: self._writer.part(joined, start, self._channels[v])
                for v, start in zip(feeding, starts, strict=False)
            }
        for v in range(1, self._last):
            self._values[v] = self._operation(v, self._input(v), parts.get(v))
        return joined

    def _operation(self, vertex: int, x: Value, into: Value | None) -> Value:
        kernel = KERNELS.get(self._cell.operations[vertex - 1])
        if kernel is None:
            return self._writer.maximum(x, window_of(x.side, 3, 1, 1), into)
        name = f"{self._name}.operations.{vertex - 1}"
        return self._writer.conv_norm(x, _layer(name, self._channels[vertex], kernel), into)

    def _input(self, vertex: int) -> Value:
        """Write the sum of what a vertex is brought, cut to its channels; of a single one there is nothing to write."""
        sources = [u for u in range(1, vertex) if self._edges[u, vertex]]
        terms = [self._writer.part(self._values[u], 0, self._channels[vertex]) for u in sources]
        projected = bool(self._edges[0, vertex])
        if len(terms) == 1 and not projected:
            return terms[0]
        total = self._projected(vertex, None) if projected else self._writer.copy(terms.pop(0))
        for term in terms:
            self._writer.copy(term, total)
        return total

    def _projected(self, vertex: int, into: Value | None) -> Value:
        """Write or add the input of the cell, through the 1x1 convolution of its edge to a vertex."""
        layer = _layer(f"{self._name}.projections.{vertex}", self._channels[vertex], 1)
        return self._writer.conv_norm(self._x, layer, into)


def _layer(name: str, outputs: int, kernel: int) -> Layer:
    return Layer(f"{name}.conv", f"{name}.norm", outputs, kernel, relu=True)
