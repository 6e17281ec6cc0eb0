"""Seconds of a whole published-protocol study: 500 runs of regularized evolution, 20,000 simulated seconds each.

    python benchmarks/study_speed.py

The study runs in one process and includes everything that `nasgym compare` does: opening the store, the runs, their
files, scores, statistics and the picture. The table is made up (15,625 cells of about 112 seconds), so that nothing
has to be imported; what a run costs does not depend on the numbers. `benchmarks/agents.py` times the same runs alone,
and a bare loop. Processor seconds; the first study warms up and is not counted.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from nasgym.results import Evaluation, Series, TableKey
from nasgym.spaces import get_space
from nasgym.store import Store
from nasgym.study import StudyDesign, TaskSpec, analyse, run_study, write_report
from nasgym.testing import made_up_accuracies

TASK, BUDGET = "nb201/cifar10", 20_000.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    accuracies, seconds = made_up_table()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "store", accuracies, seconds)
        taken = [timed_study(folder, number, arguments.runs) for number in range(1 + arguments.repeats)][1:]
    seconds, evaluations = statistics.median(s for s, _ in taken), taken[0][1]
    print(
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, {arguments.repeats} repeats"
    )
    print(f"whole study  {seconds:.2f} s for {arguments.runs} runs, {evaluations:,} evaluations")
    print(f"per evaluation {1e6 * seconds / evaluations:.1f} us")


def timed_study(folder: Path, number: int, runs: int) -> tuple[float, int]:
    """Return processor seconds of one study and the number of its evaluations."""
    start = time.process_time()
    evaluations = whole_study(folder / "store", folder / f"study-{number}", runs)
    return time.process_time() - start, evaluations


def whole_study(store: Path, out: Path, runs: int) -> int:
    """Do what `nasgym compare` does and return the number of evaluations."""
    spec = TaskSpec(TASK, protocol="nats-tss", budget=BUDGET, on_missing="error", store=str(store))
    study = run_study(StudyDesign((spec,), ("regularized_evolution",), runs), out)
    write_report(analyse(study))
    return int(study.sets[0].lengths.sum())


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
