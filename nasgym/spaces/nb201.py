"""The NAS-Bench-201 cell: 4 nodes, 6 edges, 5 operations, 15,625 architectures.

Source: Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020,
section 2; the index order is the one of its published result files.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture, near_names
from nasgym.spaces import nb201_classes
from nasgym.spaces.base import CellGraph, Genotypes, Indices, Macro, Mask, check_genotypes, check_indices
from nasgym.spaces.nb201_operations import OPERATION_NAMES, count_operations

__all__ = ["EDGES", "NB201", "OFFICIAL_ORDER_SHA256", "OPERATIONS"]

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The options of every edge, in the order of the published files."""
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""``(source node, target node)`` of each decision, in the order in which the architecture string lists them."""
NUM_NODES = 4
SIZE = len(OPERATIONS) ** len(EDGES)
OFFICIAL_ORDER_SHA256 = "83abc799e45cf34e9d2163654668ab998b9a54d01c39e72ca1f71f2cdf356d84"
"""sha256 of all architecture strings in index order, joined by newlines."""

_SHUFFLE_SEED = 88  # the published list is the lexicographic product, shuffled once with this seed
_PLACE_VALUES = len(OPERATIONS) ** np.arange(len(EDGES) - 1, -1, -1, dtype=np.int64)  # the first edge is slowest
_CONV_1X1, _CONV_3X3 = OPERATIONS.index("nor_conv_1x1"), OPERATIONS.index("nor_conv_3x3")


@cache
def _lexicographic_of_index() -> Indices:
    """Return ``int64[SIZE]``: the lexicographic rank of the architecture at each official index."""
    ranks = list(range(SIZE))
    random.Random(_SHUFFLE_SEED).shuffle(ranks)
    return np.array(ranks, dtype=np.int64)


@cache
def _index_of_lexicographic() -> Indices:
    """Return ``int64[SIZE]``: the official index of each lexicographic rank."""
    inverse = np.empty(SIZE, dtype=np.int64)
    inverse[_lexicographic_of_index()] = np.arange(SIZE)
    return inverse


class NB201:
    """The NAS-Bench-201 search space (see `nasgym.spaces.base.Space` for the contract of every method)."""

    name = "nb201"
    size = SIZE
    num_decisions = len(EDGES)
    cell_edges = EDGES

    @property
    def choices(self) -> NDArray[np.int64]:
        """Options of each decision: five on each of the six edges."""
        return np.full(self.num_decisions, len(OPERATIONS), dtype=np.int64)

    def decision_labels(self) -> tuple[str, ...]:
        """Return ``"source→target"`` for each edge."""
        return tuple(f"{source}→{target}" for source, target in EDGES)

    def choice_labels(self, decision: int) -> tuple[str, ...]:
        """Return the operation names, the same on every edge."""
        return OPERATIONS

    def action_mask(self, partial: NDArray[np.integer], step: int) -> Mask:
        """Return ``bool[n, 5]``, all true: every operation is allowed on every edge."""
        return np.ones((len(partial), len(OPERATIONS)), dtype=np.bool_)

    def is_valid(self, genotypes: NDArray[np.integer]) -> Mask:
        """Return ``bool[n]``: rows whose six entries are operation numbers."""
        rows = check_genotypes(genotypes, self.num_decisions)
        inside: Mask = np.logical_and.reduce(rows.view(np.uint8) < len(OPERATIONS), axis=1)  # negative ones are large
        return inside

    def index(self, genotypes: NDArray[np.integer]) -> Indices:
        """Return the official index of each architecture, ``int64[n]``. Entries are not checked: see `is_valid`."""
        ranks: Indices = check_genotypes(genotypes, self.num_decisions) @ _PLACE_VALUES
        return _index_of_lexicographic()[ranks]

    def from_index(self, indices: NDArray[np.integer] | Sequence[int]) -> Genotypes:
        """Return ``int8[n, 6]``; raises `InvalidArchitecture` outside ``0..15624``."""
        ranks = _lexicographic_of_index()[check_indices(indices, SIZE)]
        return (ranks[:, None] // _PLACE_VALUES % len(OPERATIONS)).astype(np.int8)

    def to_str(self, genotypes: NDArray[np.integer]) -> list[str]:
        """Return strings of the published form ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""
        rows = check_genotypes(genotypes, self.num_decisions)
        wrong = rows[~self.is_valid(rows)]
        if len(wrong):
            raise InvalidArchitecture(
                f"the entries of a genotype are in 0..{len(OPERATIONS) - 1}; got {wrong[0].tolist()}."
            )
        return [_format([OPERATIONS[op] for op in row]) for row in rows.tolist()]

    def from_str(self, strings: Sequence[str]) -> Genotypes:
        """Parse architecture strings into ``int8[n, 6]``; raises `InvalidArchitecture` naming the fault."""
        if isinstance(strings, str):
            raise InvalidArchitecture(
                f"from_str takes a list of architecture strings; wrap a single one: [{strings!r}]."
            )
        return np.array([_parse(s) for s in strings], dtype=np.int8).reshape(-1, self.num_decisions)

    def canonical(self, genotypes: NDArray[np.integer]) -> Indices:
        """Return the index of each architecture's class representative, the lowest index of the class.

        Zero inputs are propagated, skips are looked through, sums are orderless (5,773 classes). Members of a class
        compute the same of the same weights, but for one thing: a convolution of zeros counts as zero, as in the
        published rule, while the batch norm behind it adds a trained bias per channel.
        """
        return nb201_classes.representatives()[self.index(genotypes)]

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw ``n`` architectures uniformly, with repetition, ``int8[n, 6]``."""
        return rng.integers(0, len(OPERATIONS), size=(n, self.num_decisions), dtype=np.int8)

    def mutate(self, rng: np.random.Generator, genotypes: NDArray[np.integer]) -> Genotypes:
        """Give one edge of each architecture another operation.

        The published rule: a node is picked uniformly among the three, then one of its incoming edges, then one of
        the four other operations (NAS-Bench-201, regularized evolution); edge 0→1 is thus picked once in three.
        """
        parents = check_genotypes(genotypes, self.num_decisions)
        rows = np.arange(len(parents))
        node = rng.integers(1, NUM_NODES, size=len(parents))
        edge = node * (node - 1) // 2 + rng.integers(0, node)
        shift = rng.integers(1, len(OPERATIONS), size=len(parents))
        children = parents.copy()
        children[rows, edge] = (parents[rows, edge] + shift) % len(OPERATIONS)
        return children

    def neighbours(self, genotypes: NDArray[np.integer]) -> list[Genotypes]:
        """Return for each architecture the 24 that differ on one edge, ``int8[24, 6]``, edge by edge."""
        rows = check_genotypes(genotypes, self.num_decisions)
        others = len(OPERATIONS) - 1
        edge = np.repeat(np.arange(self.num_decisions), others)
        shift = np.tile(np.arange(1, len(OPERATIONS)), self.num_decisions)
        around = np.repeat(rows[:, None, :], len(edge), axis=1)
        around[:, np.arange(len(edge)), edge] = (rows[:, edge] + shift) % len(OPERATIONS)
        return list(around)

    def parameters(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        """Return trainable parameters, every edge counted, dead ones too, as in the published tables."""
        n1, n3 = self._convolutions(genotypes)
        c, k = macro.channels, macro.classes
        fixed = 9 * macro.in_channels * c + 2 * c + 2 * 4 * c + 4 * c * k + k
        total = np.full(len(n1), fixed, dtype=np.int64)
        for stage in range(3):
            width = c << stage
            total += macro.cells_per_stage * (n3 * (9 * width**2 + 2 * width) + n1 * (width**2 + 2 * width))
            if stage:
                before = width // 2
                total += 9 * before * width + 9 * width**2 + 4 * width + before * width
        return total

    def flops(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        """Return multiply-accumulates of convolutions and the classifier (its bias included), as published."""
        n1, n3 = self._convolutions(genotypes)
        c, k, side = macro.channels, macro.classes, macro.resolution
        total = np.full(len(n1), 9 * macro.in_channels * c * side**2 + 4 * c * k + k, dtype=np.int64)
        for stage in range(3):
            width = c << stage
            if stage:
                side, before = (side + 1) // 2, width // 2
                total += side**2 * (9 * before * width + 9 * width**2 + before * width)
            total += macro.cells_per_stage * side**2 * width**2 * (9 * n3 + n1)
        return total

    def operation_names(self) -> tuple[str, ...]:
        """Return the names of the columns of `computed_operations`."""
        return OPERATION_NAMES

    def computed_operations(self, genotypes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return how often one cell computes each operation, ``int64[n, 8]``: see `OPERATION_NAMES` there."""
        return count_operations(check_genotypes(genotypes, self.num_decisions))

    def graph(self, genotype: NDArray[np.integer]) -> CellGraph:
        """Return one cell ``int8[6]`` as a graph; ``-1`` is an undecided edge."""
        row = np.asarray(genotype)
        if row.shape != (self.num_decisions,) or not ((row >= -1) & (row < len(OPERATIONS))).all():
            raise InvalidArchitecture(
                f"a cell to draw is {self.num_decisions} numbers in -1..{len(OPERATIONS) - 1}; got {row.tolist()}."
            )
        ops = [OPERATIONS[op] if op >= 0 else "?" for op in row.tolist()]
        edges = tuple((s, t, op) for (s, t), op in zip(EDGES, ops, strict=True))
        return CellGraph(nodes=("in", "1", "2", "out"), edges=edges)

    def _convolutions(self, genotypes: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = check_genotypes(genotypes, self.num_decisions)
        return (rows == _CONV_1X1).sum(axis=1), (rows == _CONV_3X3).sum(axis=1)


def order_sha256() -> str:
    """Return the sha256 of all architecture strings in index order; equals `OFFICIAL_ORDER_SHA256`."""
    space = NB201()
    return hashlib.sha256("\n".join(space.to_str(space.from_index(np.arange(SIZE)))).encode()).hexdigest()


def _format(ops: Sequence[str]) -> str:
    nodes: list[list[str]] = [[] for _ in range(NUM_NODES - 1)]
    for (source, target), op in zip(EDGES, ops, strict=True):
        nodes[target - 1].append(f"{op}~{source}")
    return "+".join(f"|{'|'.join(inputs)}|" for inputs in nodes)


def _parse(string: str) -> list[int]:
    if not isinstance(string, str):
        raise InvalidArchitecture(f"an nb201 architecture is a string; got {type(string).__name__} {string!r}.")
    nodes = string.strip().split("+")
    if len(nodes) != NUM_NODES - 1:
        raise InvalidArchitecture(
            f"{string!r} has {len(nodes)} nodes joined by '+', nb201 has {NUM_NODES - 1}: "
            "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|."
        )
    return [op for target, text in enumerate(nodes, start=1) for op in _parse_node(string, text, target)]


def _parse_node(string: str, text: str, target: int) -> list[int]:
    if len(text) < 2 or text[0] != "|" or text[-1] != "|":
        raise InvalidArchitecture(f"node {target} of {string!r} must stand between bars, |op~0|...; got {text!r}.")
    inputs = text[1:-1].split("|")
    if len(inputs) != target:
        raise InvalidArchitecture(f"node {target} of {string!r} has {len(inputs)} inputs, it needs {target}.")
    return [_parse_input(string, item, source) for source, item in enumerate(inputs)]


def _parse_input(string: str, item: str, source: int) -> int:
    op, _, written_source = item.partition("~")
    if written_source != str(source):
        raise InvalidArchitecture(f"{item!r} in {string!r} must end in '~{source}': inputs are listed in node order.")
    if op not in OPERATIONS:
        near = near_names(op, OPERATIONS, limit=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InvalidArchitecture(f"unknown operation {op!r} in {string!r}.{hint} Known: {', '.join(OPERATIONS)}.")
    return OPERATIONS.index(op)
