"""How fast a table fills: one network after the other, and by the engines of bundles, side by side.

    python benchmarks/fill.py                       # all ways, each at several numbers of processes and threads
    python benchmarks/fill.py --layouts 2x1 --repeats 5
    python benchmarks/fill.py --space nb101-5

Random cells of nb201/cluttered-digits (or nb101-5) are trained whole, by the recipe of the table. `eager` is PyTorch,
`solo` the engine that `Trainer` takes for a network alone, both one network after the other; the other ways are engines
of bundles. A layout PxT is P processes of T threads each. Everything that happens once (imports, the data set,
compilation, a first training) comes before the clock starts. The ways and layouts take turns, so that a machine with
other work treats them alike; each is repeated, and the medians count. CPU seconds per cell stand beside the cells per
second: they change less where a machine is shared.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

DATASET = "cluttered-digits"
ALONE = ("eager", "solo")
WAYS = (*ALONE, "compiled", "stacked")
SPACES = ("nb201", "nb101-5")
WARM_CELL = 1000


class Layout(NamedTuple):
    """How a machine is divided."""

    processes: int
    threads: int

    @classmethod
    def parse(cls, text: str) -> Layout:
        """Return the layout that prints as ``text``."""
        processes, threads = text.split("x")
        return cls(int(processes), int(threads))

    def __str__(self) -> str:
        return f"{self.processes}x{self.threads}"


class Run(NamedTuple):
    """What one round of a way gave."""

    cells_per_second: float
    cpu_seconds_per_cell: float


_train: Callable[[Sequence[int]], None]


def _start(name: str, way: str, threads: int, ready: Barrier) -> None:
    """Prepare a worker: import, load, compile, train once."""
    global _train
    import torch

    from nasgym.recipes import default_recipe, get_recipe
    from nasgym.spaces import get_space
    from nasgym.training import Trainer, load_dataset
    from nasgym.training.bundle import BundleTrainer, Engine

    torch.set_num_threads(threads)
    space, recipe = get_space(name), get_recipe(default_recipe(DATASET, name))
    data = load_dataset(DATASET, image_size=recipe.image_size)
    given = (space, DATASET, recipe)
    alone = Trainer(*given, device="cpu", data=data, engine="auto" if way == "solo" else "eager")
    bundles = None if way in ALONE else BundleTrainer(*given, device="cpu", data=data, engine=cast(Engine, way))

    def _train(indices: Sequence[int]) -> None:
        rows = space.from_index(list(indices))
        if bundles is not None:
            bundles.train([(row, 0) for row in rows])
        else:
            for row in rows:
                alone(row, 0)

    _train([WARM_CELL])
    ready.wait()


def _work(indices: Sequence[int]) -> float:
    """Train the cells; return the CPU seconds of this process, all threads together."""
    start = time.process_time()
    _train(indices)
    return time.process_time() - start


def measure(space: str, way: str, layout: Layout, cells: Sequence[int], bundle: int) -> Run:
    """Train all cells once and return the speed."""
    size = 1 if way in ALONE else bundle
    chunks = [cells[at : at + size] for at in range(0, len(cells), size)]
    context = get_context("spawn")
    ready = context.Barrier(layout.processes + 1)
    with context.Pool(layout.processes, _start, (space, way, layout.threads, ready)) as pool:
        ready.wait()
        start = time.perf_counter()
        cpu = pool.map(_work, chunks, chunksize=1)
        elapsed = time.perf_counter() - start
    return Run(len(cells) / elapsed, sum(cpu) / len(cells))


def sample_cells(space: str, count: int, seed: int) -> list[int]:
    """Return random cells of the space, of all kinds, as a table has them."""
    from nasgym.spaces import get_space

    return [int(i) for i in np.random.default_rng(seed).choice(get_space(space).size, count, replace=False)]


def hardware() -> str:
    """Return the processor, the number of cores, and the versions that matter."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{name}, {os.cpu_count()} cores{load}; torch {torch.__version__}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = os.cpu_count() or 1
    parser.add_argument("--space", choices=SPACES, default=SPACES[0])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["eager", "solo", "compiled"])
    parser.add_argument("--layouts", nargs="+", type=Layout.parse, default=[Layout(cores, 1), Layout(1, cores)])
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--bundle", type=int, default=3, help="members of a bundle")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    cells = sample_cells(chosen.space, chosen.cells, chosen.seed)
    print(f"{hardware()}\n{len(cells)} random cells of {chosen.space}, {chosen.repeats} repeats, medians")
    runs: dict[tuple[str, Layout], list[Run]] = {}
    for _ in range(chosen.repeats):
        for way in chosen.ways:
            for layout in chosen.layouts:
                run = measure(chosen.space, way, layout, cells, chosen.bundle)
                runs.setdefault((way, layout), []).append(run)
    report(runs)


def report(runs: dict[tuple[str, Layout], list[Run]]) -> None:
    """Print every way at every layout, and the best of each way against the best of each way that trains alone."""
    best: dict[str, Run] = {}
    for (way, layout), own in runs.items():
        speeds = [run.cells_per_second for run in own]
        middle = Run(statistics.median(speeds), statistics.median(run.cpu_seconds_per_cell for run in own))
        spread = f"{min(speeds):.3f} to {max(speeds):.3f}"
        print(
            f"{way:9} {layout}: {middle.cells_per_second:.3f} cells/s ({spread}, n={len(own)}), "
            f"{middle.cpu_seconds_per_cell:.2f} CPU s per cell"
        )
        if way not in best or middle.cells_per_second > best[way].cells_per_second:
            best[way] = middle
    for peer in (way for way in ALONE if way in best):
        for way, run in best.items():
            if way != peer:
                times = run.cells_per_second / best[peer].cells_per_second
                cpu = best[peer].cpu_seconds_per_cell / run.cpu_seconds_per_cell
                print(
                    f"{way} against {peer}, each at its best: {times:.2f} times the cells per second, "
                    f"1/{cpu:.2f} of the CPU"
                )


if __name__ == "__main__":
    main()
