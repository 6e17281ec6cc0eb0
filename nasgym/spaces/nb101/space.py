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
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.spaces.base import CellGraph, Genotypes, Indices, Macro, Mask, check_genotypes, check_indices
from nasgym.spaces.nb101 import costs, variation
from nasgym.spaces.nb101.cells import Cell, cells_of, parse_cell, text_of
from nasgym.spaces.nb101.codes import Canonical
from nasgym.spaces.nb101.graphs import MAX_VERTICES, OPERATIONS, as_matrix, kept_vertices, operation_numbers
from nasgym.spaces.nb101.layout import Layout, layout_of
from nasgym.spaces.nb101.masks import completable
from nasgym.spaces.nb101.table import SIZES, Table, open_table

__all__ = ["NB101", "NB101_SPACES"]

_HASH = re.compile("[0-9a-f]{32}")
_SMALLEST = 3  # vertices of the smallest space with something to decide


@dataclass(frozen=True)
class NB101:
    """The NAS-Bench-101 search space (see `nasgym.spaces.base.Space` for the contract of every method).

    Args:
        vertices: The most vertices of a cell, 3 to 7. With fewer than 7 it is a space of its own (``nb101-5``: 2,532
            cells), with genotypes of its own length and its own indices.

    Raises:
        InvalidSetting: ``vertices`` is no integer or out of its bounds.
    """

    vertices: int = MAX_VERTICES

    def __post_init__(self) -> None:
        if not isinstance(self.vertices, (int, np.integer)) or not _SMALLEST <= self.vertices <= MAX_VERTICES:
            raise InvalidSetting(f"cells of nb101 have {_SMALLEST} to {MAX_VERTICES} vertices; got {self.vertices!r}.")

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

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges as decided, row by row: ``(source, target)``."""
        return self._layout.edges

    @property
    def choices(self) -> NDArray[np.int64]:
        """Options of each decision: two for an edge, three for an operation."""
        return self._layout.options.astype(np.int64)

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
            bits, open_vertices = self._layout.bits, self._layout.open_vertices[step]
            decided = np.asarray(partial)[:, :step].astype(np.int32) @ bits[:step]
            mask[:, 0] = completable(decided, open_vertices)
            mask[:, 1] = completable(decided | bits[step], open_vertices)
            mask[:, 2] = False
        return mask

    def is_valid(self, genotypes: NDArray[np.integer]) -> Mask:
        """Return ``bool[n]``: rows with a path from input to output and at most 9 edges after pruning."""
        return self._layout.canonical(check_genotypes(genotypes, self.num_decisions)).graph >= 0

    def index(self, genotypes: NDArray[np.integer]) -> Indices:
        """Return the rank of each cell's hash, ``int64[n]``; raises `InvalidArchitecture` for what is no cell."""
        return self.table.indices(*self._checked_canonical(genotypes))

    def from_index(self, indices: NDArray[np.integer] | Sequence[int]) -> Genotypes:
        """Return the canonical genotypes, ``int8[n, num_decisions]``: vertices that a smaller cell lacks are loose."""
        ranks = check_indices(indices, self.size)
        cells = Canonical(self.table.graph(ranks), self.table.labels(ranks))
        return self._layout.genotypes(cells, costs.operations_of(cells.labels))

    def hash(self, genotypes: NDArray[np.integer]) -> list[str]:
        """Return the published hash of each cell, 32 hexadecimal digits."""
        digests = self.table.digests[self.index(genotypes)]
        return [digest.tobytes().hex() for digest in digests]

    def to_str(self, genotypes: NDArray[np.integer]) -> list[str]:
        """Return strings such as ``010/001/000+conv3x3-bn-relu``: the canonical matrix row by row, the operations."""
        return [text_of(cell) for cell in self.canonical_cells(genotypes)]

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
        return cells_of(Canonical(self.table.graph(ranks), self.table.labels(ranks)))

    def canonical_cells(self, genotypes: NDArray[np.integer]) -> list[Cell]:
        """Return the canonical cells of genotypes; this needs no hashes."""
        return cells_of(self._checked_canonical(genotypes))

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
        return variation.drawn_until_valid(rng, n, self.choices, self.is_valid)

    def mutate(self, rng: np.random.Generator, genotypes: NDArray[np.integer]) -> Genotypes:
        """Flip each edge with probability 1/7 and redraw each operation with 1/5, until it is another valid genotype.

        The rule of the published search (its mutation rate is 1; the denominators are the vertices and the
        operations); there a child that equals its parent is kept. `mutate_one` is the other published rule.
        """
        edges = np.arange(self.num_decisions) < self.num_edges
        chance = np.where(edges, 1 / self.vertices, 1 / (self.vertices - 2))
        return variation.changed_everywhere(rng, self._checked(genotypes), self.choices, chance, self.is_valid)

    def mutate_one(self, rng: np.random.Generator, genotypes: NDArray[np.integer]) -> Genotypes:
        """Give one decision, picked uniformly, another option, until it is a valid genotype.

        The rule of the published baselines (``nas_benchmarks``), where an invalid child is an evaluation that costs
        nothing instead.
        """
        return variation.changed_in_one(rng, self._checked(genotypes), self.choices, self.is_valid)

    def neighbours(self, genotypes: NDArray[np.integer]) -> list[Genotypes]:
        """Return for each genotype all valid ones that differ in one decision, ``int8[k, num_decisions]``."""
        return variation.neighbours(self._checked(genotypes), self.choices, self.is_valid)

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

    @property
    def _layout(self) -> Layout:
        return layout_of(self.vertices)

    def _checked_canonical(self, genotypes: NDArray[np.integer]) -> Canonical:
        """Return canonical forms, or raise `InvalidArchitecture` for the first row that is no cell."""
        return self._layout.checked(genotypes, self.name)[1]

    def _checked(self, genotypes: NDArray[np.integer]) -> Genotypes:
        """Return the batch, or raise `InvalidArchitecture` for the first row that is no cell."""
        return self._layout.checked(genotypes, self.name)[0]

    def _parse(self, string: str) -> Genotypes:
        if not isinstance(string, str):
            raise InvalidArchitecture(
                f"an architecture of {self.name} is a string; got {type(string).__name__} {string!r}."
            )
        text = string.strip()
        if _HASH.fullmatch(text):
            return self._from_hash(text)
        rows, operations = parse_cell(text)
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


NB101_SPACES = tuple(map(NB101, range(_SMALLEST, MAX_VERTICES + 1)))
"""The whole space and all that are restricted to fewer vertices."""
