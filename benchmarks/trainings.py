"""A CSV file of trainings, one row each: what calibrations train, keep and read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym.results import Evaluation

Job: TypeAlias = tuple[str, int, int]
"""Name of a setting, cell, seed."""
Floats: TypeAlias = NDArray[np.float64]
KEY, ACCURACIES = ("setting", "cell", "seed"), ("train", "valid", "test")


def run(train: Callable[[Job], Sequence[object]], jobs: Sequence[Job], workers: int, table: Path, own: str) -> None:
    """Train what the table misses, and append each row as soon as it is there.

    Args:
        train: Gives the row of a job; found by name in other processes.
        jobs: What the table shall have, in the order in which it is trained.
        workers: Processes that train.
        table: The file.
        own: The column that stands between the accuracies and the seconds.
    """
    done = {(row["setting"], int(row["cell"]), int(row["seed"])) for row in rows(table)}
    missing = [job for job in jobs if job not in done]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool, table.open("a", newline="") as file:
        writer = csv.writer(file)
        if not done:
            writer.writerow((*KEY, *ACCURACIES, own, "cpu_seconds", "valid_by_epoch"))
        for row in pool.map(train, missing):
            writer.writerow(row)
            file.flush()


def row_of(job: Job, result: Evaluation, own: object, seconds: float) -> tuple[object, ...]:
    """Return what the table keeps of a training."""
    by_epoch = " ".join(f"{a:.4f}" for a in result.series["valid_accuracy"].values)
    accuracies = (result.train_accuracy, result.valid_accuracy, result.test_accuracy)
    return (*job, *(f"{a:.4f}" for a in accuracies if a is not None), own, f"{seconds:.2f}", by_epoch)


def rows(table: Path) -> Iterator[dict[str, str]]:
    """Iterate over the rows; a table that is not there has none."""
    if table.is_file():
        with table.open(newline="") as file:
            yield from csv.DictReader(file)


def matrix(table: Path, setting: str, column: str, limit: float = np.inf) -> tuple[list[int], Floats]:
    """Return the cells with every seed below ``limit`` that a setting has, and a column, ``float64[cells, seeds]``."""
    found: dict[int, dict[int, float]] = {}
    for row in rows(table):
        if row["setting"] == setting and int(row["seed"]) < limit:
            found.setdefault(int(row["cell"]), {})[int(row["seed"])] = float(row[column])
    seeds = max((len(by_seed) for by_seed in found.values()), default=0)
    cells = [cell for cell, by_seed in found.items() if len(by_seed) == seeds]
    return cells, np.array([[found[cell][s] for s in sorted(found[cell])] for cell in cells])


def spread(values: Floats) -> str:
    """Say how values lie."""
    low, quarter, middle, three, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    return f"{low:.3f} to {high:.3f}, quartiles {quarter:.3f} {middle:.3f} {three:.3f}"
