"""Seconds of a whole published-protocol study: 500 runs of regularized evolution, 20,000 simulated seconds each.

    python benchmarks/study_speed.py

The study runs in one process and includes everything that `nasgym compare` does: opening the store, the runs, their
files, scores, statistics and the picture. The peer is a bare loop of the same search over two Python lists, without
space, store, task, clock or records. The table is made up (15,625 cells of about 112 seconds), so that nothing has to
be imported; what a run costs does not depend on the numbers. Both are measured in turn, in processor seconds.
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nasgym.results import Evaluation, Series, TableKey
from nasgym.spaces import get_space
from nasgym.store import Store
from nasgym.study import StudyDesign, TaskSpec, analyse, run_study, write_report
from nasgym.testing import made_up_accuracies

TASK, BUDGET, LIMIT = "nb201/cifar10", 20_000.0, 10.0
POPULATION, SAMPLE = 10, 3
PARTS = ((0,), (1, 2), (3, 4, 5))  # the edges that enter each node


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    accuracies, seconds = made_up_table()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "store", accuracies, seconds)
        numbers = iter(range(1 + arguments.repeats))

        def study() -> int:
            return whole_study(folder / "store", folder / f"study-{next(numbers)}", arguments.runs)

        def bare() -> int:
            return sum(bare_loop(accuracies.tolist(), seconds.tolist(), seed) for seed in range(arguments.runs))

        study()  # imports, the font cache of the picture, the file cache
        taken = [(measure(bare), measure(study)) for _ in range(arguments.repeats)]
    peer, ours = (statistics.median(s for s, _ in column) for column in zip(*taken, strict=True))
    evaluations = taken[0][1][1]
    print(
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, {arguments.repeats} repeats"
    )
    print(f"bare loop    {peer:6.2f} s for {arguments.runs} runs, {taken[0][0][1]:,} evaluations")
    print(f"whole study  {ours:6.2f} s for {arguments.runs} runs, {evaluations:,} evaluations: {ours / peer:.1f} times")
    print(f"per evaluation {1e6 * ours / evaluations:.1f} us; held: under {LIMIT:.0f} s for 500 runs: {ours < LIMIT}")


def measure(work: Callable[[], int]) -> tuple[float, int]:
    """Return processor seconds and what the work returned."""
    start = time.process_time()
    done = work()
    return time.process_time() - start, done


def whole_study(store: Path, out: Path, runs: int) -> int:
    """Do what `nasgym compare` does and return the number of evaluations."""
    spec = TaskSpec(TASK, protocol="nats-tss", budget=BUDGET, on_missing="error", store=str(store))
    study = run_study(StudyDesign((spec,), ("regularized_evolution",), runs), out)
    write_report(analyse(study))
    return int(study.sets[0].lengths.sum())


def bare_loop(accuracies: list[float], seconds: list[float], seed: int) -> int:
    """Search as one would write it down for these two lists alone; return the number of evaluations."""
    rng, spent, evaluations = random.Random(seed), 0.0, 0
    population: deque[tuple[float, list[int]]] = deque(maxlen=POPULATION)
    while spent < BUDGET:
        if len(population) < POPULATION:
            cell = [rng.randrange(5) for _ in range(6)]
        else:
            cell = list(max(rng.choices(population, k=SAMPLE))[1])
            edge = rng.choice(rng.choice(PARTS))
            cell[edge] = (cell[edge] + rng.randrange(1, 5)) % 5
        index = 0
        for operation in cell:
            index = 5 * index + operation
        population.append((accuracies[index], cell))
        spent += seconds[index]
        evaluations += 1
    return evaluations


def made_up_table() -> tuple[np.ndarray, np.ndarray]:
    """Return accuracies and seconds of all cells, ``float64[15625]`` each."""
    space = get_space("nb201")
    accuracies = made_up_accuracies(space, space.from_index(np.arange(space.size)))
    return accuracies, 112 + 20 * np.random.default_rng(0).normal(size=space.size).clip(-3, 3)


def fill(path: Path, accuracies: np.ndarray, seconds: np.ndarray) -> None:
    """Fill the tables that the protocol searches and scores."""
    store, size = Store(path), get_space("nb201").size
    for recipe, epochs in (("nb201-12", 12), ("nb201-200", 200)):
        key = TableKey("nb201", "cifar10", recipe)
        store.ensure_table(key, size)
        store.put(key, (evaluation(i, a, s, epochs) for i, (a, s) in enumerate(zip(accuracies, seconds, strict=True))))
    store.close()


def evaluation(index: int, accuracy: float, seconds: float, epochs: int) -> Evaluation:
    series = {
        "valid_accuracy": Series.of(accuracy, epochs, "fraction"),
        "train_seconds": Series.of(seconds, epochs, "seconds"),
    }
    return Evaluation(index, 0, epochs, series, provenance={"tool": "made up"})


if __name__ == "__main__":
    main()
