"""Hashes, canonical forms and the enumeration of NAS-Bench-101's cells, beside plain Python in the same run.

    python benchmarks/nb101_cells.py --whole

The peer is the published rule, one cell at a time (`nasgym.spaces.nb101.graphs.hash_graph`). Rounds alternate between
the two; the median counts, in processor seconds on one core. The published enumeration hashes all 1,293,208 labelled
graphs; what the peer would take for them is reckoned from the sample. ``--whole`` enumerates all cells by nasgym, too.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np

from nasgym.spaces import NB101
from nasgym.spaces.nb101.codes import graphs
from nasgym.spaces.nb101.graphs import OPERATIONS, hash_graph
from nasgym.spaces.nb101.hashing import hash_cells
from nasgym.spaces.nb101.table import enumerate_cells

LABELLED = 1_293_208


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=16_384, help="cells of the sample")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", action="store_true", help="enumerate and hash all cells as well")
    arguments = parser.parse_args()
    space, known = NB101(), graphs()
    genotypes = space.sample_matrices(np.random.default_rng(1), arguments.cells)
    uniform = space.index(space.sample(np.random.default_rng(0), arguments.cells))
    graph, labels = space.table.graph(uniform), space.table.labels(uniform)
    few = [(cell.matrix, [-1, *map(OPERATIONS.index, cell.operations), -2]) for cell in space.cells(uniform[:1_000])]
    work: dict[str, tuple[Callable[[], object], int]] = {
        "plain Python: hash": (lambda: [hash_graph(*cell) for cell in few], len(few)),
        "hash_cells: the same rule on many": (
            lambda: hash_cells(known.codes[graph], labels, known.vertices[graph]),
            arguments.cells,
        ),
        "NB101.canonical, .index: of any genotype": (lambda: space.index(genotypes), arguments.cells),
        "NB101.hash: looked up": (lambda: space.hash(genotypes), arguments.cells),
    }
    taken: dict[str, list[float]] = {name: [] for name in work}
    for number in range(arguments.rounds + 1):
        for name, (run, count) in work.items():
            seconds = timed(run)
            if number:
                taken[name].append(seconds / count)
    print(
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, {arguments.rounds} rounds"
    )
    plain = statistics.median(taken["plain Python: hash"])
    for name, rounds in taken.items():
        one = statistics.median(rounds)
        print(f"{name:42} {1 / one:12,.0f} cells/s   {plain / one:8.1f} times plain Python")
    print(f"{'plain enumeration, reckoned':42} {plain * LABELLED:12.0f} s")
    if arguments.whole:
        print(f"{'enumerate_cells and hash_cells, all':42} {timed(whole):12.1f} s")


def whole() -> None:
    graph, labels = enumerate_cells()
    hash_cells(graphs().codes[graph], labels, graphs().vertices[graph])


def timed(run: Callable[[], object]) -> float:
    """Return the processor seconds of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
