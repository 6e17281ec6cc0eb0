"""Hashes, canonical forms and the enumeration of NAS-Bench-101's cells, beside plain Python in the same run.

    python benchmarks/nb101_cells.py --whole

The peer is the published rule, one cell at a time (`nasgym.spaces.nb101.graphs.hash_graph`). Rounds alternate between
the two; the median counts, in processor seconds on one core. Genotypes are given in three ways: canonical, the same
cells with their vertices in random order, and random matrices as published, of which few keep 7 vertices. ``--whole``
enumerates all cells as well: once by nasgym, once by the published script's way in plain Python (a few minutes).
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from nasgym.spaces import NB101
from nasgym.spaces.base import Genotypes
from nasgym.spaces.nb101.codes import edge_bit, graphs
from nasgym.spaces.nb101.graphs import OPERATIONS, hash_graph
from nasgym.spaces.nb101.hashing import hash_cells
from nasgym.spaces.nb101.table import enumerate_cells

SINGLE = 200  # calls of one cell each
PEER = "plain Python: hash_graph"
Work = dict[str, tuple[Callable[[], object], int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=16_384, help="cells of the sample")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", action="store_true", help="enumerate and hash all cells as well, in both ways")
    arguments = parser.parse_args()
    work = works(NB101(), arguments.cells)
    taken: dict[str, list[float]] = {name: [] for name in work}
    for number in range(arguments.rounds + 1):
        for name, (run, count) in work.items():
            seconds = timed(run)
            if number:  # the first round warms up
                taken[name].append(seconds / count)
    print(
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"{arguments.cells:,} cells, median of {arguments.rounds} rounds"
    )
    plain = statistics.median(taken[PEER])
    for name, rounds in taken.items():
        one = statistics.median(rounds)
        print(f"{name:44} {1 / one:12,.0f} cells/s  ({1 / max(rounds):,.0f} to {1 / min(rounds):,.0f})", end="")
        print(f"{plain / one:10.1f} times plain Python")
    if arguments.whole:
        ours, peer = timed(whole), timed(plainly_whole)
        print(f"{'all cells, enumerate_cells and hash_cells':44} {ours:12.1f} s")
        print(f"{'all cells, plain Python':44} {peer:12.1f} s {peer / ours:38.1f} times as long")


def works(space: NB101, n: int) -> Work:
    """Return what is measured, and of how many cells each is."""
    rng = np.random.default_rng(0)
    given = {
        "canonical": space.sample(rng, n),
        "any order": reordered(space, rng, n),
        "random matrices": space.sample_matrices(rng, n),
    }
    indices, known = space.index(given["canonical"]), graphs()
    graph, labels = space.table.graph(indices), space.table.labels(indices)
    few = [(cell.matrix, [-1, *map(OPERATIONS.index, cell.operations), -2]) for cell in space.cells(indices[:1_000])]
    work: Work = {
        PEER: (lambda: [hash_graph(*cell) for cell in few], len(few)),
        "hash_cells: md5 of many, for the table": (
            lambda: hash_cells(known.codes[graph], labels, known.vertices[graph]),
            n,
        ),
    }
    for name, rows in given.items():
        for method in ("index", "canonical", "hash"):
            work[f"NB101.{method}: {name}"] = (lambda method=method, rows=rows: getattr(space, method)(rows), n)  # type: ignore[misc]
    singly = given["any order"][:SINGLE, None]
    work["NB101.index: any order, one at a time"] = (lambda: [space.index(row) for row in singly], len(singly))
    return work


def reordered(space: NB101, rng: np.random.Generator, n: int) -> Genotypes:
    """Return uniformly drawn cells, the vertices of each in a random order in which edges lead to later ones."""
    rows = []
    for cell in space.cells(rng.integers(0, space.size, size=n)):
        order: list[int] = []
        while len(order) < len(cell.matrix):
            left = [v for v in range(len(cell.matrix)) if v not in order]
            ready = [v for v in left if not cell.matrix[left, v].any()]
            order.append(ready[rng.integers(len(ready))])
        operations = [cell.operations[v - 1] for v in order[1:-1]]
        rows.append(space.from_cell(cell.matrix[np.ix_(order, order)], operations))
    return np.array(rows)


def whole() -> None:
    graph, labels = enumerate_cells()
    hash_cells(graphs().codes[graph], labels, graphs().vertices[graph])


def plainly_whole() -> None:
    """Enumerate as published: hash every labelled matrix, keep the first of each hash."""
    seen: dict[str, tuple[int, tuple[int, ...]]] = {}
    for vertices in range(2, 8):
        for bits, matrix in full_matrices(vertices):
            for labels in product(range(3), repeat=vertices - 2):
                seen.setdefault(hash_graph(matrix, [-1, *labels, -2]), (bits, labels))
    if len(seen) != NB101().size:
        raise AssertionError(f"plain Python finds {len(seen)} cells")


def full_matrices(vertices: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the matrices of at most 9 edges without loose vertices."""
    for bits in range(1 << vertices * (vertices - 1) // 2):
        if bits.bit_count() <= 9:
            rows = [[x < y and bits >> edge_bit(x, y) & 1 for y in range(vertices)] for x in range(vertices)]
            if all(map(any, rows[:-1])) and all(map(any, [*zip(*rows, strict=True)][1:])):
                yield bits, np.array(rows, dtype=np.int8)


def timed(run: Callable[[], object]) -> float:
    """Return the processor seconds of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
