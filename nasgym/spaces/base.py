"""What every search space offers: the contract that environments, agents, tables and tasks are written over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture

__all__ = ["CellGraph", "Genotypes", "Indices", "Macro", "Mask", "Space", "check_genotypes", "check_indices"]

Genotypes: TypeAlias = NDArray[np.int8]
"""Architectures as choices, ``int8[n, num_decisions]``."""
Indices: TypeAlias = NDArray[np.int64]
"""Architectures as integers, ``int64[n]``, each in ``0..size-1``."""
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Macro:
    """The skeleton that a cell is repeated in.

    Attributes:
        channels: Output channels of the stem; each later stage doubles them.
        cells_per_stage: Cells in each of the three stages (``N``).
        classes: Outputs of the classifier.
        in_channels: Channels of the input images.
        resolution: Height and width of the input images in pixels.
    """

    channels: int = 16
    cells_per_stage: int = 5
    classes: int = 10
    in_channels: int = 3
    resolution: int = 32


@dataclass(frozen=True)
class CellGraph:
    """A cell as a labelled directed graph, for drawing.

    Attributes:
        nodes: The label of each node, inputs first, the output last.
        edges: ``(source, target, label)`` by position in ``nodes``; an undecided edge has the label ``"?"``.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[int, int, str], ...]


@runtime_checkable
class Space(Protocol):
    """A search space. Every method takes a batch of ``n`` architectures and no method keeps state."""

    @property
    def name(self) -> str:
        """The id of the space, such as ``"nb201"``."""

    @property
    def size(self) -> int:
        """Number of architectures."""

    @property
    def choices(self) -> NDArray[np.int64]:
        """Options of each decision, ``int64[num_decisions]``."""

    @property
    def num_decisions(self) -> int:
        """Length of a genotype."""

    def decision_labels(self) -> tuple[str, ...]:
        """Return a readable name for each decision (``"0→1"``)."""

    def choice_labels(self, decision: int) -> tuple[str, ...]:
        """Return the names of the options of one decision."""

    def action_mask(self, partial: NDArray[np.integer], step: int) -> Mask:
        """Return ``bool[n, max(choices)]``: the choices that can still lead to a valid architecture.

        Args:
            partial: ``int8[n, num_decisions]``; the first ``step`` columns are decided, the others are not read.
            step: The decision that is about to be taken.
        """

    def is_valid(self, genotypes: NDArray[np.integer]) -> Mask:
        """Return ``bool[n]``: which rows are architectures of this space."""

    def index(self, genotypes: NDArray[np.integer]) -> Indices:
        """Return the integer of each architecture. Rows must be valid."""

    def from_index(self, indices: NDArray[np.integer] | Sequence[int]) -> Genotypes:
        """Return the genotypes of integers; raises `InvalidArchitecture` outside ``0..size-1``."""

    def to_str(self, genotypes: NDArray[np.integer]) -> list[str]:
        """Return the architecture strings."""

    def from_str(self, strings: Sequence[str]) -> Genotypes:
        """Parse architecture strings; raises `InvalidArchitecture` naming what is wrong."""

    def canonical(self, genotypes: NDArray[np.integer]) -> Indices:
        """Return for each architecture the index of its class representative: equal networks have equal ones."""

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw ``n`` architectures uniformly, with repetition."""

    def mutate(self, rng: np.random.Generator, genotypes: NDArray[np.integer]) -> Genotypes:
        """Return one published mutation of each architecture (always a different, valid one)."""

    def neighbours(self, genotypes: NDArray[np.integer]) -> list[Genotypes]:
        """Return, for each architecture, all valid ones that differ in one decision, ``int8[k, num_decisions]``."""

    def parameters(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        """Return the number of trainable parameters of each network."""

    def flops(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        """Return multiply-accumulates of convolutions and the classifier for one image."""

    def operation_names(self) -> tuple[str, ...]:
        """Return what `computed_operations` counts: the names of its columns."""

    def computed_operations(self, genotypes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return ``int64[n, k]``: how much of each operation a network really computes, what costs nothing left out.

        The time that an architecture takes is close to a sum over these counts (`nasgym.costs`): equal ones cost the
        same. They need no common unit; a cell repeated through the network is counted once.
        """

    def graph(self, genotype: NDArray[np.integer]) -> CellGraph:
        """Return one architecture ``int8[num_decisions]`` as a graph to draw; ``-1`` is an undecided choice."""


def check_genotypes(genotypes: NDArray[np.integer], num_decisions: int) -> Genotypes:
    """Return the batch as ``int8[n, num_decisions]``, or raise `InvalidArchitecture` naming the shape."""
    array = np.asarray(genotypes)
    if array.ndim != 2 or array.shape[1] != num_decisions:
        raise InvalidArchitecture(
            f"a batch of genotypes has the shape (n, {num_decisions}); got {array.shape}. "
            "Wrap a single genotype as genotype[None]."
        )
    if array.dtype.kind not in "iu":
        raise InvalidArchitecture(f"genotypes are integers; got an array of {array.dtype}.")
    if array.dtype == np.int8:
        return array
    return np.clip(array, -128, 127).astype(np.int8)  # no space has 128 choices: what is too large stays invalid


def check_indices(indices: NDArray[np.integer] | Sequence[int], size: int) -> Indices:
    """Return the batch as ``int64[n]``, or raise `InvalidArchitecture` naming the shape or the value out of bounds."""
    array = np.asarray(indices)
    if array.ndim != 1:
        raise InvalidArchitecture(
            f"a batch of indices has the shape (n,); got {array.shape}. Wrap a single one as [i]."
        )
    huge = array.dtype == object and all(type(index) is int for index in array)  # beyond 64 bits: out of bounds
    if array.size and not huge and not np.issubdtype(array.dtype, np.integer):
        raise InvalidArchitecture(f"architecture indices are integers; got an array of {array.dtype}.")
    outside = array[(array < 0) | (array >= size)]
    if outside.size:
        raise InvalidArchitecture(f"architecture index {outside[0]} is outside 0..{size - 1}.")
    return array.astype(np.int64, copy=False)
