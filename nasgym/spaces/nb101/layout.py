"""Genotypes of cells of up to so many vertices: what their entries mean, and which canonical cells they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture
from nasgym.spaces.base import Genotypes, check_genotypes
from nasgym.spaces.nb101.codes import INNER, Canonical, Codes, canonical, edge_bit, live_vertices, prune
from nasgym.spaces.nb101.costs import graph_edges
from nasgym.spaces.nb101.graphs import MAX_EDGES, MAX_VERTICES, OPERATIONS
from nasgym.spaces.nb101.single import canonical_of_one

__all__ = ["Layout", "layout_of"]

_FEW = 16  # so many genotypes are faster one by one


@dataclass(frozen=True)
class Layout:
    """The entries of a genotype: whether each edge is there, row by row, then the operations of the inner vertices.

    Args:
        vertices: The most vertices of a cell. Among codes of 7 vertices the output is always vertex 6.
    """

    vertices: int

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges as decided: ``(source, target)``."""
        return tuple((x, y) for x in range(self.vertices) for y in range(x + 1, self.vertices))

    @cached_property
    def num_edges(self) -> int:
        """How many entries are edges: the first ones."""
        return len(self.edges)

    @cached_property
    def num_decisions(self) -> int:
        """Length of a genotype."""
        return self.num_edges + self.vertices - 2

    @cached_property
    def options(self) -> NDArray[np.int8]:
        """Options of each entry, ``int8[num_decisions]``."""
        options = np.array([2] * self.num_edges + [len(OPERATIONS)] * (self.vertices - 2), dtype=np.int8)
        options.flags.writeable = False
        return options

    @cached_property
    def bits(self) -> NDArray[np.int32]:
        """What each edge adds to a code, ``int32[num_edges]``."""
        bits = [1 << edge_bit(x, y) for x, y in zip(*self._ends(), strict=True)]
        return np.array(bits, dtype=np.int32)

    @cached_property
    def open_vertices(self) -> tuple[int, ...]:
        """For each edge, the vertices whose edge to the output comes after it, as bits."""
        last = {x: i for i, (x, _) in enumerate(self.edges)}
        return tuple(sum(1 << x for x, at in last.items() if at > i) for i in range(self.num_edges))

    def genotypes(self, cells: Canonical, operations: NDArray[np.int8]) -> Genotypes:
        """Return the genotypes of canonical cells, given their operations, ``int8[n, 5]``."""
        return np.concatenate([self._edges_of_graphs[cells.graph], operations[:, : self.vertices - 2]], axis=1)

    def codes(self, rows: Genotypes) -> Codes:
        """Return the matrices of genotypes as integers, nothing pruned."""
        return rows[:, : self.num_edges].astype(np.int32) @ self.bits

    def canonical(self, rows: Genotypes) -> Canonical:
        """Return canonical cells; what is no cell, or no genotype, has the position -1."""
        if len(rows) <= _FEW:
            found = [canonical_of_one(row.tobytes(), self.vertices) for row in rows]
            return Canonical(*np.array(found, dtype=np.int32).reshape(-1, 2).T)
        inside = np.logical_and.reduce((rows >= 0) & (rows < self.options), axis=1)
        if not inside.all():
            rows = np.where(inside[:, None], rows, np.int8(0))  # without an edge: no cell
        labels = np.zeros((len(rows), INNER), dtype=np.int8)
        labels[:, : self.vertices - 2] = rows[:, self.num_edges :]
        return canonical(*prune(self.codes(rows), labels))

    def checked(self, genotypes: NDArray[np.integer], name: str) -> tuple[Genotypes, Canonical]:
        """Return a batch and its canonical cells.

        Raises:
            InvalidArchitecture: The batch has no such shape, or a row is no cell: says why the first one is none.
        """
        rows = check_genotypes(genotypes, self.num_decisions)
        found = self.canonical(rows)
        if len(rows) and found.graph.min() < 0:
            raise self._fault(rows[int(np.argmin(found.graph >= 0))], name)
        return rows, found

    def _fault(self, wrong: Genotypes, name: str) -> InvalidArchitecture:
        """Say why a genotype is no cell."""
        if ((wrong < 0) | (wrong >= self.options)).any():
            return InvalidArchitecture(
                f"the first {self.num_edges} entries of a genotype of {name} are in 0..1, the others in "
                f"0..{len(OPERATIONS) - 1}; got {wrong.tolist()}."
            )
        codes = self.codes(wrong[None])
        if not live_vertices(codes)[0]:
            return InvalidArchitecture(
                f"the cell is disconnected: no path of edges leads from the input to the output; got {wrong.tolist()}."
            )
        pruned, _ = prune(codes, np.zeros((1, INNER), dtype=np.int8))
        return InvalidArchitecture(
            f"a cell has at most {MAX_EDGES} edges after pruning; {wrong.tolist()} has {int(pruned[0]).bit_count()}."
        )

    @cached_property
    def _edges_of_graphs(self) -> Genotypes:
        """The edges of each matrix of `codes.graphs` as decided here, ``int8[m, num_edges]``."""
        return graph_edges()[:, *self._ends()].astype(np.int8)

    def _ends(self) -> tuple[list[int], list[int]]:
        """Return sources and targets of the edges among 7 vertices."""
        targets = [MAX_VERTICES - 1 if y == self.vertices - 1 else y for _, y in self.edges]
        return [x for x, _ in self.edges], targets


@cache
def layout_of(vertices: int) -> Layout:
    """Return the layout of cells of up to so many vertices; one for all that ask."""
    return Layout(vertices)
