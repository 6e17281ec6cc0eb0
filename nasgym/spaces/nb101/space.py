"""The NAS-Bench-101 search space: 423,624 cells of up to 7 vertices and 9 edges, three operations.

Source: Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019. Pruning, validity and
the hash of a cell are the published ones. A genotype is the published encoding: whether each of the 21 edges is there,
row by row, then the operation of each of the five inner vertices. Many genotypes are one cell: what lies on no path
from the input to the output is pruned, and the order of the vertices does not matter. The index of a cell is the rank
of its hash among all sorted hashes; its canonical form is the one that the published enumeration meets first. Costs,
strings and networks are those of the canonical form, as in the published table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.spaces.base import CellGraph, Genotypes, Indices, Macro, Mask, check_genotypes, check_indices
from nasgym.spaces.nb101 import costs
from nasgym.spaces.nb101.codes import INNER, Canonical, canonical, edge_bit, graphs, live_vertices, prune
from nasgym.spaces.nb101.graphs import (
    MAX_EDGES,
    MAX_VERTICES,
    OPERATIONS,
    as_matrix,
    kept_vertices,
    operation_numbers,
)
from nasgym.spaces.nb101.masks import completable
from nasgym.spaces.nb101.table import SIZES, Table, open_table

__all__ = ["NB101", "Cell"]

_HASH = re.compile("[0-9a-f]{32}")
_SMALLEST = 3  # vertices of the smallest space with something to decide


class Cell(NamedTuple):
    """A cell without loose vertices.

    Attributes:
        matrix: Its edges, ``int8[v, v]``, strictly upper triangular.
        operations: Those of its inner vertices, ``v - 2`` names of `OPERATIONS`.
    """

    matrix: NDArray[np.int8]
    operations: tuple[str, ...]


@dataclass(frozen=True)
class NB101:
    """The NAS-Bench-101 search space (see `nasgym.spaces.base.Space` for the contract of every method).

    Args:
        vertices: The most vertices of a cell, 3 to 7. With fewer than 7 it is a space of its own (``nb101-5``: 2,532
            cells), with genotypes of its own length and its own indices.

    Raises:
        InvalidSetting: ``vertices`` is out of its bounds.
    """

    vertices: int = MAX_VERTICES

    def __post_init__(self) -> None:
        if not _SMALLEST <= self.vertices <= MAX_VERTICES:
            raise InvalidSetting(f"cells of nb101 have {_SMALLEST} to {MAX_VERTICES} vertices; got {self.vertices}.")

    @property
    def name(self) -> str:
        """``"nb101"``, or ``"nb101-5"`` with at most 5 vertices."""
        return "nb101" if self.vertices == MAX_VERTICES else f"nb101-{self.vertices}"

    @property
    def size(self) -> int:
        """Number of cells."""
        return SIZES[self.vertices]

    @property
    def num_edges(self) -> int:
        """Edges that a genotype decides on, 21 for 7 vertices: its first entries."""
        return self.vertices * (self.vertices - 1) // 2

    @property
    def num_decisions(self) -> int:
        """Length of a genotype: the edges and the operations, 26 for 7 vertices."""
        return self.num_edges + self.vertices - 2

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges as decided, row by row: ``(source, target)``."""
        return tuple((x, y) for x in range(self.vertices) for y in range(x + 1, self.vertices))

    @property
    def choices(self) -> NDArray[np.int64]:
        """Options of each decision: two for an edge, three for an operation."""
        return np.array([2] * self.num_edges + [len(OPERATIONS)] * (self.vertices - 2), dtype=np.int64)

    def decision_labels(self) -> tuple[str, ...]:
        """Return ``"source→target"`` for each edge, then ``"vertex 1"`` and so on for the operations."""
        edges = [f"{x}→{y}" for x, y in self.edges]
        return (*edges, *(f"vertex {v}" for v in range(1, self.vertices - 1)))

    def choice_labels(self, decision: int) -> tuple[str, ...]:
        """Return ``("no edge", "edge")``, or the names of the operations."""
        return ("no edge", "edge") if decision < self.num_edges else OPERATIONS

    def action_mask(self, partial: NDArray[np.integer], step: int) -> Mask:
        """Return ``bool[n, 3]``: what can still lead to a path to the output with at most 9 edges after pruning."""
        mask = np.ones((len(partial), len(OPERATIONS)), dtype=np.bool_)
        if step < self.num_edges:
            decided = np.asarray(partial)[:, :step].astype(np.int32) @ self._bits[:step]
            open_vertices = self._open_vertices[step]
            mask[:, 0] = completable(decided, open_vertices)
            mask[:, 1] = completable(decided | self._bits[step], open_vertices)
            mask[:, 2] = False
        return mask

    def is_valid(self, genotypes: NDArray[np.integer]) -> Mask:
        """Return ``bool[n]``: rows with a path from input to output and at most 9 edges after pruning."""
        return self._canonical(check_genotypes(genotypes, self.num_decisions)).graph >= 0

    def index(self, genotypes: NDArray[np.integer]) -> Indices:
        """Return the rank of each cell's hash, ``int64[n]``; raises `InvalidArchitecture` for what is no cell."""
        return self.table.indices(*self._checked_canonical(genotypes))

    def from_index(self, indices: NDArray[np.integer] | Sequence[int]) -> Genotypes:
        """Return the canonical genotypes, ``int8[n, num_decisions]``: vertices that a smaller cell lacks are loose."""
        ranks = check_indices(indices, self.size)
        operations = costs.operations_of(self.table.labels(ranks))[:, : self.vertices - 2]
        return np.concatenate([self._edges_of_graphs[self.table.graph(ranks)], operations], axis=1)

    def hash(self, genotypes: NDArray[np.integer]) -> list[str]:
        """Return the published hash of each cell, 32 hexadecimal digits."""
        digests = self.table.digests[self.index(genotypes)]
        return [digest.tobytes().hex() for digest in digests]

    def to_str(self, genotypes: NDArray[np.integer]) -> list[str]:
        """Return strings such as ``010/001/000+conv3x3-bn-relu``: the canonical matrix row by row, the operations."""
        return [
            "+".join(["/".join("".join(map(str, row)) for row in cell.matrix.tolist()), *cell.operations])
            for cell in self.canonical_cells(genotypes)
        ]

    def from_str(self, strings: Sequence[str]) -> Genotypes:
        """Parse architecture strings, or published hashes, into ``int8[n, num_decisions]``.

        Raises:
            InvalidArchitecture: Names what is wrong.
        """
        if isinstance(strings, str):
            raise InvalidArchitecture(
                f"from_str takes a list of architecture strings; wrap a single one: [{strings!r}]."
            )
        rows = [self._parse(string) for string in strings]
        return np.array(rows, dtype=np.int8).reshape(-1, self.num_decisions)

    def from_cell(self, matrix: object, operations: Sequence[str]) -> Genotypes:
        """Return one genotype ``int8[num_decisions]`` of a cell, its vertices in the order given.

        A cell with too many vertices is pruned first, and kept where the rest fits, as published.

        Args:
            matrix: Its adjacency matrix, lists or an array.
            operations: The operations of its inner vertices (without ``input`` and ``output``).

        Raises:
            InvalidArchitecture: The matrix is none, an operation is unknown, no path leads from input to output, or
                there are too many vertices or more than 9 edges after pruning.
        """
        array = as_matrix(matrix)
        numbers = np.array([0, *operation_numbers(operations, len(array)), 0], dtype=np.int8)
        if len(array) > self.vertices:
            kept = kept_vertices(array)
            if len(kept) > self.vertices:
                raise InvalidArchitecture(
                    f"the cell has {len(kept)} vertices after pruning; {self.name} has at most {self.vertices}."
                )
            array, numbers = array[np.ix_(kept, kept)], numbers[kept]
        v, row = len(array), np.zeros((1, self.num_decisions), dtype=np.int8)
        if v:
            place = [*range(v - 1), self.vertices - 1]
            row[0, : self.num_edges] = [
                array[place.index(x), place.index(y)] if x in place and y in place else 0 for x, y in self.edges
            ]
            row[0, self.num_edges : self.num_edges + v - 2] = numbers[1:-1]
        checked: Genotypes = self._checked(row)[0]
        return checked

    def cells(self, indices: NDArray[np.integer] | Sequence[int]) -> list[Cell]:
        """Return the canonical cells of indices."""
        ranks = check_indices(indices, self.size)
        return _cells(Canonical(self.table.graph(ranks), self.table.labels(ranks)))

    def canonical_cells(self, genotypes: NDArray[np.integer]) -> list[Cell]:
        """Return the canonical cells of genotypes; this needs no hashes."""
        return _cells(self._checked_canonical(genotypes))

    def canonical(self, genotypes: NDArray[np.integer]) -> Indices:
        """Return the index of each cell: equal networks have one."""
        return self.index(genotypes)

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw ``n`` cells uniformly among all, with repetition, ``int8[n, num_decisions]``, in canonical form.

        `sample_matrices` draws as published, which is far from uniform.
        """
        return self.from_index(rng.integers(0, self.size, size=n))

    def sample_matrices(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw ``n`` valid genotypes by the published rule: every edge and operation at random until it is a cell.

        After pruning few have 7 vertices, though 85% of the cells do.
        """
        drawn = np.zeros((0, self.num_decisions), dtype=np.int8)
        while len(drawn) < n:
            fresh = rng.integers(0, self.choices, size=(max(2 * (n - len(drawn)), 8), self.num_decisions)).astype(
                np.int8
            )
            drawn = np.concatenate([drawn, fresh[self.is_valid(fresh)]])
        return drawn[:n]

    def mutate(self, rng: np.random.Generator, genotypes: NDArray[np.integer]) -> Genotypes:
        """Flip each edge with probability 1/7 and redraw each operation with 1/5, until it is another valid genotype.

        The rule of the published search (its mutation rate is 1; the denominators are the vertices and the
        operations); there a child that equals its parent is kept. `mutate_one` is the other published rule.
        """
        parents = self._checked(genotypes)
        chance = np.where(np.arange(self.num_decisions) < self.num_edges, 1 / self.vertices, 1 / (self.vertices - 2))
        choices = self.choices

        def change(rows: Genotypes) -> Genotypes:
            shift = np.where(rng.random(rows.shape) < chance, rng.integers(1, choices, size=rows.shape), 0)
            return ((rows + shift) % choices).astype(np.int8)

        return self._until_valid(parents, change)

    def mutate_one(self, rng: np.random.Generator, genotypes: NDArray[np.integer]) -> Genotypes:
        """Give one decision, picked uniformly, another option, until it is a valid genotype.

        The rule of the published baselines (``nas_benchmarks``), where an invalid child is an evaluation that costs
        nothing instead.
        """

        def change(rows: Genotypes) -> Genotypes:
            at, children = np.arange(len(rows)), rows.copy()
            decision = rng.integers(0, self.num_decisions, size=len(rows))
            options = self.choices[decision]
            children[at, decision] = (rows[at, decision] + rng.integers(1, options)) % options
            return children

        return self._until_valid(self._checked(genotypes), change)

    def neighbours(self, genotypes: NDArray[np.integer]) -> list[Genotypes]:
        """Return for each genotype all valid ones that differ in one decision, ``int8[k, num_decisions]``."""
        rows = self._checked(genotypes)
        others = self.choices - 1
        decision = np.repeat(np.arange(self.num_decisions), others)
        shift = np.concatenate([np.arange(1, k + 1) for k in others.tolist()])
        around = np.repeat(rows[:, None, :], len(decision), axis=1)
        around[:, np.arange(len(decision)), decision] = (rows[:, decision] + shift) % self.choices[decision]
        valid = self.is_valid(around.reshape(-1, self.num_decisions)).reshape(len(rows), len(decision))
        return [near[kept] for near, kept in zip(around, valid, strict=True)]

    def parameters(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        """Return trainable parameters of the canonical cells, as in the published table."""
        return costs.parameters(*self._checked_canonical(genotypes), macro)

    def flops(self, genotypes: NDArray[np.integer], macro: Macro) -> NDArray[np.int64]:
        """Return multiply-accumulates of convolutions and the classifier (its bias included) for one image."""
        return costs.flops(*self._checked_canonical(genotypes), macro)

    def operation_names(self) -> tuple[str, ...]:
        """Return the names of the columns of `computed_operations`."""
        return costs.OPERATION_NAMES

    def computed_operations(self, genotypes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return how much of each operation one cell computes, ``int64[n, 10]``: see `costs.OPERATION_NAMES`."""
        return costs.count_operations(*self._checked_canonical(genotypes))

    def graph(self, genotype: NDArray[np.integer]) -> CellGraph:
        """Return one genotype as it is, its operations as vertices; ``-1`` is undecided, an edge or an operation."""
        row = np.asarray(genotype)
        if row.shape != (self.num_decisions,) or not ((row >= -1) & (row < self.choices)).all():
            raise InvalidArchitecture(
                f"a cell to draw is {self.num_edges} numbers in -1..1 and {self.vertices - 2} in "
                f"-1..{len(OPERATIONS) - 1}; got {row.tolist()}."
            )
        there, operations = row[: self.num_edges].tolist(), row[self.num_edges :].tolist()
        edges = tuple((x, y, "" if e > 0 else "?") for (x, y), e in zip(self.edges, there, strict=True) if e)
        names = (OPERATIONS[op] if op >= 0 else "?" for op in operations)
        return CellGraph(nodes=("in", *names, "out"), edges=edges)

    @property
    def table(self) -> Table:
        """All cells with their hashes; opened, and at the very first call enumerated, when it is needed."""
        return open_table(self.vertices)

    @cached_property
    def _options(self) -> NDArray[np.int8]:
        """The same as `choices`, kept."""
        return self.choices.astype(np.int8)

    @cached_property
    def _bits(self) -> NDArray[np.int32]:
        """The bit of each edge among codes of 7 vertices, where the output is always vertex 6."""
        bits = [1 << edge_bit(x, MAX_VERTICES - 1 if y == self.vertices - 1 else y) for x, y in self.edges]
        return np.array(bits, dtype=np.int32)

    @cached_property
    def _open_vertices(self) -> tuple[int, ...]:
        """For each edge, the vertices whose edge to the output comes after it, as bits."""
        last = {x: i for i, (x, _) in enumerate(self.edges)}
        return tuple(sum(1 << x for x, at in last.items() if at > i) for i in range(self.num_edges))

    @cached_property
    def _edges_of_graphs(self) -> Genotypes:
        """The edges of each matrix of `codes.graphs` as decided here, ``int8[m, num_edges]``."""
        targets = [MAX_VERTICES - 1 if y == self.vertices - 1 else y for _, y in self.edges]
        return costs.graph_edges()[:, [x for x, _ in self.edges], targets].astype(np.int8)

    def _codes(self, rows: Genotypes) -> NDArray[np.int32]:
        return rows[:, : self.num_edges].astype(np.int32) @ self._bits

    def _canonical(self, rows: Genotypes) -> Canonical:
        """Return canonical forms; what is no cell, or no genotype, has the position -1."""
        inside = np.logical_and.reduce((rows >= 0) & (rows < self._options), axis=1)
        if not inside.all():
            rows = np.where(inside[:, None], rows, np.int8(0))  # without an edge: no cell
        labels = np.zeros((len(rows), INNER), dtype=np.int8)
        labels[:, : self.vertices - 2] = rows[:, self.num_edges :]
        return canonical(*prune(self._codes(rows), labels))

    def _checked_canonical(self, genotypes: NDArray[np.integer]) -> Canonical:
        """Return canonical forms, or raise `InvalidArchitecture` for the first row that is no cell."""
        rows = check_genotypes(genotypes, self.num_decisions)
        found = self._canonical(rows)
        if len(rows) and found.graph.min() < 0:
            raise self._fault(rows[int(np.argmin(found.graph >= 0))])
        return found

    def _checked(self, genotypes: NDArray[np.integer]) -> Genotypes:
        """Return the batch, or raise `InvalidArchitecture` for the first row that is no cell."""
        self._checked_canonical(genotypes)
        return check_genotypes(genotypes, self.num_decisions)

    def _fault(self, wrong: Genotypes) -> InvalidArchitecture:
        """Say why a genotype is no cell."""
        if ((wrong < 0) | (wrong >= self._options)).any():
            return InvalidArchitecture(
                f"the first {self.num_edges} entries of a genotype of {self.name} are in 0..1, the others in "
                f"0..{len(OPERATIONS) - 1}; got {wrong.tolist()}."
            )
        codes = self._codes(wrong[None])
        if not live_vertices(codes)[0]:
            return InvalidArchitecture(
                f"the cell is disconnected: no path of edges leads from the input to the output; got {wrong.tolist()}."
            )
        pruned, _ = prune(codes, np.zeros((1, INNER), dtype=np.int8))
        return InvalidArchitecture(
            f"a cell has at most {MAX_EDGES} edges after pruning; {wrong.tolist()} has {int(pruned[0]).bit_count()}."
        )

    def _until_valid(self, parents: Genotypes, change: Callable[[Genotypes], Genotypes]) -> Genotypes:
        """Change all parents, and again those that are no cell then or the same genotype."""
        children = parents.copy()
        pending = np.arange(len(parents))
        while len(pending):
            tried = change(parents[pending])
            good = self.is_valid(tried) & (tried != parents[pending]).any(axis=1)
            children[pending[good]] = tried[good]
            pending = pending[~good]
        return children

    def _parse(self, string: str) -> Genotypes:
        if not isinstance(string, str):
            raise InvalidArchitecture(
                f"an architecture of {self.name} is a string; got {type(string).__name__} {string!r}."
            )
        text = string.strip()
        if _HASH.fullmatch(text):
            return self._from_hash(text)
        matrix, *operations = text.split("+")
        rows = [[int(c) if c in "01" else c for c in row] for row in matrix.split("/")]
        if len(rows) < 2 or any(len(row) != len(rows) or not set(row) <= {0, 1} for row in rows):
            raise InvalidArchitecture(
                f"{string!r} begins with no square matrix of zeros and ones: 010/001/000+conv3x3-bn-relu, or a hash of "
                "32 hexadecimal digits."
            )
        try:
            return self.from_cell(rows, operations)
        except InvalidArchitecture as error:
            raise InvalidArchitecture(f"{string!r}: {error}") from error

    def _from_hash(self, text: str) -> Genotypes:
        digest = np.frombuffer(bytes.fromhex(text), dtype=np.uint8)[None]
        found = self.table.indices_of_hashes(digest)
        if found[0] < 0:
            raise InvalidArchitecture(f"no cell of {self.name} has the hash {text!r}.")
        cell: Genotypes = self.from_index(found)[0]
        return cell


def _cells(canonical: Canonical) -> list[Cell]:
    known = graphs()
    codes, vertices = known.codes[canonical.graph].tolist(), known.vertices[canonical.graph].tolist()
    cells = []
    for code, v, operations in zip(codes, vertices, costs.operations_of(canonical.labels).tolist(), strict=True):
        matrix = np.array([[x < y and code >> edge_bit(x, y) & 1 for y in range(v)] for x in range(v)], dtype=np.int8)
        cells.append(Cell(matrix, tuple(OPERATIONS[op] for op in operations[: v - 2])))
    return cells
