"""Follows the network of an nb201 cell for the compiled kernels; see `nasgym.networks.NB201Network`."""

from __future__ import annotations

from collections.abc import Sequence

from nasgym.networks.bundle_cells import live_edges
from nasgym.spaces import Macro
from nasgym.spaces.nb201 import NUM_NODES
from nasgym.training.bundle_program import Program, write_program
from nasgym.training.bundle_state import ALIGNED
from nasgym.training.bundle_values import Layer, Value, Weight, whole_plane, window_of
from nasgym.training.bundle_writer import Writer

__all__ = ["nb201_program"]

_STAGES = 3


def nb201_program(genotype: Sequence[int], macro: Macro, lanes: int) -> Program:
    """Return the program of one cell's network for batches of up to ``lanes`` images (a multiple of `LANES`)."""
    return write_program(lambda writer: _write_network(writer, genotype, macro), _most_weights(macro), lanes)


def _most_weights(macro: Macro) -> int:
    """Return the floats that the weights of the largest cell take, with room for alignment."""
    widths = [macro.channels << stage for stage in range(_STAGES)]
    cells = sum(macro.cells_per_stage * 6 * (9 * w * w + 4 * ALIGNED + 2 * w) for w in widths)
    blocks = sum(9 * w * w // 2 + 10 * w * w + 8 * ALIGNED + 4 * w for w in widths[1:])
    ends = 9 * macro.in_channels * widths[0] + (macro.classes + 4) * (widths[-1] + 1) + 4 * widths[0]
    return -(-(cells + blocks + ends + 16 * ALIGNED) // ALIGNED) * ALIGNED


def _write_network(writer: Writer, genotype: Sequence[int], macro: Macro) -> Value:
    """Write the network from the images to the loss; return the place of the images."""
    images = writer.images(macro)
    x = writer.conv_norm(images, Layer("stem.0", "stem.1", macro.channels, 3))
    at = 0
    for stage in range(_STAGES):
        if stage:
            x = _write_block(writer, x, f"cells.{at}")
            at += 1
        for _ in range(macro.cells_per_stage):
            x = _write_cell(writer, x, genotype, f"cells.{at}")
            at += 1
    x = writer.average(writer.relu(writer.norm(x, "lastact.0")), whole_plane(x.side))
    writer.loss(writer.linear(x, "classifier", macro.classes))
    return images


def _write_block(writer: Writer, x: Value, name: str) -> Value:
    """Write the residual block between two stages."""
    outputs = 2 * x.channels
    first = Layer(f"{name}.conv_a.op.1", f"{name}.conv_a.op.2", outputs, 3, stride=2)
    second = Layer(f"{name}.conv_b.op.1", f"{name}.conv_b.op.2", outputs, 3)
    out = writer.conv_norm(writer.relu(writer.conv_norm(writer.relu(x), first)), second)
    half = writer.average(x, window_of(x.side, 2, 2, 0))
    place = window_of(half.side, 1, 1, 0)
    weight = writer.state.weight(f"{name}.downsample.1.weight", (outputs, x.channels, 1, 1))
    return writer.conv(half, Weight(weight, outputs, place), into=out)


def _write_cell(writer: Writer, x: Value, genotype: Sequence[int], name: str) -> Value:
    """Write the edges of a cell that matter; a node with nothing but a skip is its source itself."""
    nodes, rectified = {0: x}, dict[int, Value]()
    for target in range(1, NUM_NODES):
        edges = [edge for edge in live_edges(genotype) if edge.target == target]
        if [edge.work for edge in edges] == ["skip"]:
            nodes[target] = nodes[edges[0].source]
            continue
        out: Value | None = None
        for edge in sorted(edges, key=lambda edge: edge.work == "skip"):  # what is written first need not be added to
            source, layer = nodes.get(edge.source, x), f"{name}.layers.{edge.edge}.op"
            if edge.work == "skip":
                out = writer.copy(source, out)
            elif edge.work == "pool":
                out = writer.average(source, window_of(x.side, 3, 1, 1), out)
            elif edge.work == "bias":
                out = writer.bias(f"{layer}.2", x, out)
            else:
                if edge.source not in rectified:
                    rectified[edge.source] = writer.relu(source)
                kernel = 3 if edge.work == "conv3" else 1
                out = writer.conv_norm(
                    rectified[edge.source], Layer(f"{layer}.1", f"{layer}.2", x.channels, kernel), out
                )
        if out is not None:
            nodes[target] = out
    return nodes.get(NUM_NODES - 1) or writer.zeros(x)
