"""Calibrate the recipe of nb101 cells on the embedded data set: does it rank them, and at what cost?

Trains random cells of nb101-5 with several seeds under the settings below, by the compiled kernels on one thread each,
and prints how well one seed ranks the cells like another. Every training is appended to the CSV file at once; started
again, it goes on where it was.

    python benchmarks/nb101_digits.py run --settings final --cells 60 --seeds 2 --jobs 2
    python benchmarks/nb101_digits.py report
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr
from trainings import Floats, Job, matrix, row_of, rows, run, spread

from nasgym.recipes import Recipe, default_recipe, get_recipe
from nasgym.spaces import NB101

if TYPE_CHECKING:
    from nasgym.training.bundle import BundleTrainer

DATASET = "cluttered-digits"
SPACE = NB101(5)
CELL_SEED = 0
TABLE = Path(__file__).resolve().with_suffix(".csv")

FINAL = get_recipe(default_recipe(DATASET, SPACE.name))


def _setting(**changes: object) -> Recipe:
    return replace(FINAL, **changes)  # type: ignore[arg-type]


SETTINGS: Mapping[str, Recipe] = MappingProxyType(
    {
        "final": FINAL,  # 12 channels, a rate of 0.2
        "8 channels": _setting(channels=8),
        "rate 0.1": _setting(learning_rate=0.1),
        "rate 0.05": _setting(learning_rate=0.05),
    }
)


def cells(count: int) -> list[int]:
    """Return the first ``count`` different indices of a seeded random draw."""
    drawn = np.random.default_rng(CELL_SEED).integers(0, SPACE.size, 4 * count)
    return list(dict.fromkeys(drawn.tolist()))[:count]


def train(job: Job) -> tuple[object, ...]:
    """Train one cell with one seed and return a row of the table; trainers are kept between calls."""
    import torch

    from nasgym.training.bundle import BundleTrainer

    torch.set_num_threads(1)
    name, index, seed = job
    if name not in _TRAINERS:
        _TRAINERS[name] = BundleTrainer(SPACE, DATASET, SETTINGS[name], device="cpu", engine="compiled")
    start = time.process_time()
    (result,) = _TRAINERS[name].train([(SPACE.from_index([index])[0], seed)])
    seconds = time.process_time() - start
    return row_of(job, result, int(result.diverged), seconds)


_TRAINERS: dict[str, BundleTrainer] = {}


def report(table: Path) -> None:
    """Print every setting in the table."""
    for name in dict.fromkeys(row["setting"] for row in rows(table)):
        valid, test, fitted = (matrix(table, name, column)[1] for column in ("valid", "test", "train"))
        seconds, diverged = (matrix(table, name, column)[1] for column in ("cpu_seconds", "diverged"))
        print(f"\n{name}: {len(valid)} cells, {valid.shape[1]} seeds, {int(diverged.sum())} diverged")
        for split, a in (("valid", valid), ("test", test), ("train", fitted)):
            print(f"  {split} accuracy, mean over seeds: {spread(a.mean(axis=1))}")
        print(f"  CPU seconds of one training: mean {seconds.mean():.2f}, largest {seconds.max():.2f}")
        print(f"  valid with test: rho {spearmanr(valid.mean(axis=1), test.mean(axis=1))[0]:.3f}")
        if valid.shape[1] > 1:
            _print_noise(valid)
            _print_epochs(table, name)


def _print_noise(valid: Floats) -> None:
    means = valid.mean(axis=1)
    for part, a in (("all", valid), ("upper half", valid[means >= np.median(means)])):
        noise = a.var(axis=1, ddof=1).mean() ** 0.5
        rho = spearmanr(a[:, 0], a[:, 1])[0]
        print(f"  {part}: rho of seed 0 with seed 1 {rho:.3f}, standard deviation of a seed {noise:.4f}")


def _print_epochs(table: Path, name: str) -> None:
    """Print how seed 0 after each epoch ranks the cells like seed 1 at the end."""
    of_setting = [row for row in rows(table) if row["setting"] == name]
    final = {row["cell"]: float(row["valid"]) for row in of_setting if row["seed"] == "1"}
    early = {row["cell"]: row["valid_by_epoch"].split() for row in of_setting if row["seed"] == "0"}
    shared = sorted(final.keys() & early.keys())
    curves, last = np.array([early[c] for c in shared], dtype=np.float64), np.array([final[c] for c in shared])
    print("  rho by epoch:", " ".join(f"{spearmanr(curve, last)[0]:.2f}" for curve in curves.T))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("run", "report"))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=["final"], metavar="NAME")
    parser.add_argument("--cells", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--table", type=Path, default=TABLE)
    chosen = parser.parse_args()
    if chosen.do == "run":
        seeds = range(chosen.seeds)
        jobs = [(name, cell, seed) for name in chosen.settings for seed in seeds for cell in cells(chosen.cells)]
        run(train, jobs, chosen.jobs, chosen.table, "diverged")
    else:
        report(chosen.table)


if __name__ == "__main__":
    main()
