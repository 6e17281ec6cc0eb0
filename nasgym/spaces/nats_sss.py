"""The size search space of NATS-Bench: one cell, five layer widths of eight options, 32,768 architectures.

Source: Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", TPAMI 2021, section
3.2; the index order is the one of its published result files.

The network is cell, block, cell, block, cell, and each of the five layers has a number of channels of its own: that
is what is searched. The cell is always `CELL`. Where an architecture string says 24, the layer has
``ceil(24 * macro.channels / 16)`` channels: as published under a macro of 16, a half under one of 8, for small images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture
from nasgym.spaces.base import CellGraph, Genotypes, Indices, Macro, Mask, check_genotypes, check_indices

__all__ = ["CELL", "CHANNELS", "LAYERS", "OFFICIAL_ORDER_SHA256", "NatsSSS"]

CHANNELS = (8, 16, 24, 32, 40, 48, 56, 64)
"""The options of every layer: its channels under a macro of 16."""
LAYERS = ("cell 1", "block 1", "cell 2", "block 2", "cell 3")
"""What each decision sizes, from the image to the classifier; the first also sizes the stem."""
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
"""The cell of every network, as an architecture string of ``nb201``: its index 9930, the best there on CIFAR-100."""
SIZE = len(CHANNELS) ** len(LAYERS)
OFFICIAL_ORDER_SHA256 = "8b99b4c0aabe959924c6fb36c0ee4a3f79362343e36b7752b90deee9409b492f"
"""sha256 of all architecture strings in index order, joined by newlines."""

_PUBLISHED_CHANNELS = 16  # the macro under which options are channels as they are
_PLACE_VALUES = len(CHANNELS) ** np.arange(len(LAYERS) - 1, -1, -1, dtype=np.int64)  # the first layer is slowest
_NUMBER_OF = {str(channels): number for number, channels in enumerate(CHANNELS)}
_ENTRY_CONVS, _INNER_CONVS = 2, 3  # 3x3 convolutions of the cell that read its input, and that read its nodes


class NatsSSS:
    """The size search space of NATS-Bench (see `nasgym.spaces.base.Space` for the contract of every method)."""

    name = "nats-sss"
    size = SIZE
    num_decisions = len(LAYERS)

    @property
    def choices(self) -> NDArray[np.int64]:
        """Options of each decision: eight for each of the five layers."""
        return np.full(self.num_decisions, len(CHANNELS), dtype=np.int64)

    def decision_labels(self) -> tuple[str, ...]:
        """Return the layers, from the image to the classifier."""
        return LAYERS

    def choice_labels(self, decision: int) -> tuple[str, ...]:
        """Return the numbers of channels, the same for every layer."""
        return tuple(_NUMBER_OF)

    def action_mask(self, partial: NDArray[np.integer], step: int) -> Mask:
        """Return ``bool[n, 8]``, all true: every layer may have every size."""
        return np.ones((len(partial), len(CHANNELS)), dtype=np.bool_)

    def is_valid(self, genotypes: NDArray[np.integer]) -> Mask:
        """Return ``bool[n]``: rows whose five entries are in 0..7."""
        rows = check_genotypes(genotypes, self.num_decisions)
        inside: Mask = np.logical_and.reduce((rows >= 0) & (rows < len(CHANNELS)), axis=1)
        return inside

    def index(self, genotypes: NDArray[np.integer]) -> Indices:
        """Return the official index of each architecture, ``int64[n]``. Entries are not checked: see `is_valid`."""
        ranks: Indices = check_genotypes(genotypes, self.num_decisions) @ _PLACE_VALUES
        return ranks

    def from_index(self, indices: NDArray[np.integer] | Sequence[int]) -> Genotypes:
        """Return ``int8[n, 5]``; raises `InvalidArchitecture` outside ``0..32767``."""
        ranks = check_indices(indices, SIZE)
        return (ranks[:, None] // _PLACE_VALUES % len(CHANNELS)).astype(np.int8)

    def to_str(self, genotypes: NDArray[np.integer]) -> list[str]:
        """Return strings of the published form ``8:16:24:32:64``."""
        rows = check_genotypes(genotypes, self.num_decisions)
        wrong = rows[~self.is_valid(rows)]
        if len(wrong):
            raise InvalidArchitecture(
                f"the entries of a genotype are in 0..{len(CHANNELS) - 1}; got {wrong[0].tolist()}."
            )
        return [":".join(str(CHANNELS[number]) for number in row) for row in rows.tolist()]

    def from_str(self, strings: Sequence[str]) -> Genotypes:
        """Parse architecture strings into ``int8[n, 5]``; raises `InvalidArchitecture` naming the fault."""
        if isinstance(strings, str):
            raise InvalidArchitecture(
                f"from_str takes a list of architecture strings; wrap a single one: [{strings!r}]."
            )
        return np.array([_parse(s) for s in strings], dtype=np.int8).reshape(-1, self.num_decisions)

    def canonical(self, genotypes: NDArray[np.integer]) -> Indices:
        """Return the index of each architecture: no two networks are equal."""
        return self.index(genotypes)

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw ``n`` architectures uniformly, with repetition, ``int8[n, 5]``."""
        return rng.integers(0, len(CHANNELS), size=(n, self.num_decisions), dtype=np.int8)

    def mutate(self, rng: np.random.Generator, genotypes: NDArray[np.integer]) -> Genotypes:
        """Give one layer of each architecture, picked uniformly, another of the sizes.

        The published code draws the new size among all eight, so that one child in eight equals its parent; here it
        is drawn among the seven others, as every space promises.
        """
        parents = check_genotypes(genotypes, self.num_decisions)
        rows = np.arange(len(parents))
        layer = rng.integers(0, self.num_decisions, size=len(parents))
        shift = rng.integers(1, len(CHANNELS), size=len(parents))
        children = parents.copy()
        children[rows, layer] = (parents[rows, layer] + shift) % len(CHANNELS)
        return children

    def neighbours(self, genotypes: NDArray[np.integer]) -> list[Genotypes]:
        """Return for each architecture the 35 that differ in one layer, ``int8[35, 5]``, layer by layer."""
        rows = check_genotypes(genotypes, self.num_decisions)
        layer = np.repeat(np.arange(self.num_decisions), len(CHANNELS) - 1)
        shift = np.tile(np.arange(1, len(CHANNELS)), self.num_decisions)
        around = np.repeat(rows[:, None, :], len(layer), axis=1)
        around[:, np.arange(len(layer)), layer] = (rows[:, layer] + shift) % len(CHANNELS)
        return list(around)

    def widths(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        """Return ``int64[n, 5]``: the channels of each layer under a macro, at least 1."""
        options = np.array(CHANNELS)[check_genotypes(genotypes, self.num_decisions)]
        return -(-options * macro.channels // _PUBLISHED_CHANNELS)

    def parameters(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        """Return trainable parameters, as in the published tables."""
        widths = self.widths(genotypes, macro)
        first, last, classes = widths[:, 0], widths[:, -1], macro.classes
        total = 9 * macro.in_channels * first + 2 * first + 2 * last + last * classes + classes
        for layer, (before, width) in enumerate(_steps(widths)):
            if layer % 2:
                total += _block_weights(before, width) + 4 * width
            else:
                total += _cell_weights(before, width) + _cell_norms(before, width)
                again = _cell_weights(width, width) + _cell_norms(width, width)
                total += (macro.cells_per_stage - 1) * again
        return np.asarray(total, dtype=np.int64)

    def flops(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        """Return multiply-accumulates of convolutions and the classifier (its bias included), as published."""
        widths = self.widths(genotypes, macro)
        first, last, classes, side = widths[:, 0], widths[:, -1], macro.classes, macro.resolution
        total = 9 * macro.in_channels * first * side**2 + last * classes + classes
        for layer, (before, width) in enumerate(_steps(widths)):
            if layer % 2:
                side = (side + 1) // 2
                total += side**2 * _block_weights(before, width)
            else:
                again = _cell_weights(width, width)
                total += side**2 * (_cell_weights(before, width) + (macro.cells_per_stage - 1) * again)
        return np.asarray(total, dtype=np.int64)

    def operation_names(self) -> tuple[str, ...]:
        """Return the names of the columns of `computed_operations`: two for each layer."""
        return tuple(f"{layer} {what}" for layer in LAYERS for what in ("multiply-accumulates", "norms"))

    def computed_operations(self, genotypes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return ``int64[n, 10]``: of each layer, per pixel, the multiply-accumulates and the channels normalised.

        These are the numbers under a macro of 16 channels and one cell per stage; others scale the columns.
        """
        counts = []
        for layer, (before, width) in enumerate(_steps(self.widths(genotypes, Macro()))):
            block = layer % 2
            counts.append(_block_weights(before, width) if block else _cell_weights(before, width))
            counts.append(2 * width if block else _cell_norms(before, width) // 2)
        return np.stack(counts, axis=1)

    def graph(self, genotype: NDArray[np.integer]) -> CellGraph:
        """Return one network ``int8[5]`` as a chain whose edges carry channels; ``-1`` is an undecided layer."""
        row = np.asarray(genotype)
        if row.shape != (self.num_decisions,) or not ((row >= -1) & (row < len(CHANNELS))).all():
            raise InvalidArchitecture(
                f"a network to draw is {self.num_decisions} numbers in -1..{len(CHANNELS) - 1}; got {row.tolist()}."
            )
        sizes = [str(CHANNELS[number]) if number >= 0 else "?" for number in row.tolist()]
        edges = ((layer + 1, layer + 2, size) for layer, size in enumerate(sizes))
        return CellGraph(nodes=("image", *LAYERS, "classes"), edges=((0, 1, ""), *edges))


def _steps(widths: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield for each layer the channels that enter and leave it, ``int64[n]`` each."""
    columns = widths.T
    return zip((columns[0], *columns[:-1]), columns, strict=True)


def _block_weights(before: NDArray[np.int64], width: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the weights of a residual block's convolutions: two of 3x3, and one of 1x1 beside them."""
    weights: NDArray[np.int64] = 9 * before * width + 9 * width**2 + before * width
    return weights


def _cell_weights(before: NDArray[np.int64], width: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the weights of a cell's convolutions; a skip that changes the channels is a 1x1 convolution."""
    weights: NDArray[np.int64] = 9 * (_ENTRY_CONVS * before * width + _INNER_CONVS * width**2)
    weights += np.where(before == width, 0, before * width)
    return weights


def _cell_norms(before: NDArray[np.int64], width: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the parameters of a cell's batch norms: two per channel behind each convolution."""
    convolutions = np.where(before == width, 0, 1) + _ENTRY_CONVS + _INNER_CONVS
    return np.asarray(2 * width * convolutions, dtype=np.int64)


def _parse(string: str) -> list[int]:
    if not isinstance(string, str):
        raise InvalidArchitecture(f"a nats-sss architecture is a string; got {type(string).__name__} {string!r}.")
    sizes = string.strip().split(":")
    if len(sizes) != len(LAYERS):
        raise InvalidArchitecture(
            f"{string!r} has {len(sizes)} numbers joined by ':', nats-sss has {len(LAYERS)}: 8:16:24:32:64."
        )
    for size in sizes:
        if size not in _NUMBER_OF:
            raise InvalidArchitecture(f"{size!r} in {string!r} is none of the sizes {', '.join(_NUMBER_OF)}.")
    return [_NUMBER_OF[size] for size in sizes]
