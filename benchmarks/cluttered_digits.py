"""Calibrate the embedded data set: does it rank architectures, and at what cost?

Trains random connected NAS-Bench-201 cells (those with a path from input to output) with several seeds under the
settings below, one thread each, and prints how well the mean of some seeds ranks the cells like the mean of others.
Every training is appended to the CSV file at once; started again, it goes on where it was.

    python benchmarks/cluttered_digits.py run --settings final --cells 100 --seeds 6 --jobs 2
    python benchmarks/cluttered_digits.py report --seeds 4
    python benchmarks/cluttered_digits.py plot
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr
from trainings import Floats, Job, matrix, row_of, rows, run, spread

from nasgym.recipes import DATASETS, Recipe, get_recipe
from nasgym.spaces import NB201
from nasgym.training.digits import Clutter

if TYPE_CHECKING:
    from nasgym.training import Trainer

DATASET = "cluttered-digits"
ALL_NONE = 1651  # the index of the cell of nothing but `none`, the representative of all cells without a path
CELL_SEED = 0
HERE = Path(__file__).resolve().parent
TABLE = HERE / "cluttered_digits.csv"
IMAGES = HERE.parent / "docs" / "images"


@dataclass(frozen=True)
class Setting:
    """A way to make the images and to train on them.

    Attributes:
        clutter: How the images are made.
        recipe: How networks are trained.
    """

    clutter: Clutter
    recipe: Recipe


FINAL = Setting(Clutter(), get_recipe(DATASETS[DATASET].recipe))


def _setting(clutter: Mapping[str, object] = MappingProxyType({}), **recipe: object) -> Setting:
    return Setting(replace(FINAL.clutter, **clutter), replace(FINAL.recipe, **recipe))  # type: ignore[arg-type]


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        "final": FINAL,
        "final, one by one": FINAL,  # with --engine solo: bundles give the same up to rounding
        "1,500 images, 12 epochs": _setting({"sizes": (1500, 3000, 1000)}, epochs=12),
        "12 epochs": _setting(epochs=12),
        "learning rate 0.05": _setting(learning_rate=0.05),
    }
)


def connected_cells(count: int) -> list[int]:
    """Return the indices of the first ``count`` different connected cells of a seeded random draw."""
    space = NB201()
    drawn = space.sample(np.random.default_rng(CELL_SEED), 20 * count)
    dead = space.canonical(space.from_index([ALL_NONE]))[0]
    alive = space.index(drawn[space.canonical(drawn) != dead])
    return list(dict.fromkeys(alive.tolist()))[:count]


def train(job: Job, engine: str) -> tuple[object, ...]:
    """Train one cell with one seed and return a row of the table; data sets are kept between calls."""
    import torch

    from nasgym.training import Trainer
    from nasgym.training.bundle import BundleTrainer
    from nasgym.training.digits import cluttered_digits

    torch.set_num_threads(1)
    name, index, seed = job
    setting, space = SETTINGS[name], NB201()
    if name not in _TRAINERS:
        kind, way = (Trainer, "eager") if engine == "solo" else (BundleTrainer, "auto")
        data = cluttered_digits(setting.clutter)
        _TRAINERS[name] = kind(space, DATASET, setting.recipe, device="cpu", data=data, engine=way)
    trainer, genotype = _TRAINERS[name], space.from_index([index])[0]
    start = time.process_time()
    result = trainer.train([(genotype, seed)])[0] if isinstance(trainer, BundleTrainer) else trainer(genotype, seed)
    seconds = time.process_time() - start
    return row_of(job, result, engine, seconds)


_TRAINERS: dict[str, Trainer] = {}


def agreement(accuracies: Floats, size: int) -> tuple[float, float]:
    """Return how the mean of ``size`` seeds ranks like the mean of ``size`` others: Spearman's rho.

    The first value is that of the first seeds against the next ones, the second is the mean over all such pairs.
    """
    seeds = range(accuracies.shape[1])
    rhos = [
        spearmanr(accuracies[:, list(a)].mean(axis=1), accuracies[:, list(b)].mean(axis=1))[0]
        for a in itertools.combinations(seeds, size)
        for b in itertools.combinations([s for s in seeds if s not in a], size)
        if a < b
    ]
    return float(rhos[0]), float(np.mean(rhos))


def upper_half(accuracies: Floats) -> Floats:
    """Return the rows of the cells at or above the median of their mean over all seeds."""
    means = accuracies.mean(axis=1)
    upper: Floats = accuracies[means >= np.median(means)]
    return upper


def reliability(accuracies: Floats) -> float:
    """Return the share of variance between cells in the variance of a mean of three seeds (an estimate)."""
    noise = accuracies.var(axis=1, ddof=1).mean()
    signal = max(accuracies.mean(axis=1).var(ddof=1) - noise / accuracies.shape[1], 0.0)
    return float(signal / (signal + noise / 3))


def report(table: Path, limit: int) -> None:
    """Print every setting in the table, by its seeds below ``limit``."""
    for name in dict.fromkeys(row["setting"] for row in rows(table)):
        cells, valid = matrix(table, name, "valid", limit)
        seeds = valid.shape[1]
        _, test = matrix(table, name, "test", limit)
        _, train_accuracy = matrix(table, name, "train", limit)
        _, seconds = matrix(table, name, "cpu_seconds", limit)
        print(f"\n{name}: {len(cells)} connected cells, {seeds} seeds")
        for split, a in (("valid", valid), ("test", test)):
            print(f"  {split} accuracy of cells (mean over seeds): {spread(a.mean(axis=1))}")
        print(f"  train accuracy: mean {train_accuracy.mean():.3f}")
        print(f"  CPU seconds of one training, one thread: mean {seconds.mean():.1f}, largest {seconds.max():.1f}")
        if seeds < 2:
            continue
        for part, a in (("all", valid), ("upper half", upper_half(valid))):
            for size in range(1, seeds // 2 + 1):
                first, average = agreement(a, size)
                print(f"  {part}: rho of mean of {size} with mean of {size}: {first:.3f} (all pairs {average:.3f})")
            noise = a.var(axis=1, ddof=1).mean() ** 0.5
            print(f"  {part}: standard deviation of a seed {noise:.4f}, reliability of three {reliability(a):.3f}")
        print(f"  valid with test, means over seeds: rho {spearmanr(valid.mean(axis=1), test.mean(axis=1))[0]:.3f}")
        _by_epoch(table, name, cells)
        if name != "final":
            _beside_final(table, name)


def _beside_final(table: Path, name: str) -> None:
    """Print how a setting ranks the cells that it shares with the final one, by the means of the seeds there are."""
    means = [_means(table, setting) for setting in (name, "final")]
    shared = sorted(means[0].keys() & means[1].keys())
    a, b = (np.array([m[cell] for cell in shared]) for m in means)
    upper = b >= np.median(b)
    both = [f"{spearmanr(x, y)[0]:.3f}" for x, y in ((a, b), (a[upper], b[upper]))]
    print(f"  with the final setting on {len(shared)} shared cells: rho {both[0]}, in the upper half {both[1]}")


def _means(table: Path, setting: str) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for row in rows(table):
        if row["setting"] == setting:
            found.setdefault(int(row["cell"]), []).append(float(row["valid"]))
    return {cell: float(np.mean(accuracies)) for cell, accuracies in found.items()}


def _by_epoch(table: Path, name: str, cells: list[int]) -> None:
    """Print how the valid accuracy of one seed after each epoch ranks like the final mean over the other seeds."""
    first: dict[int, list[float]] = {}
    others: dict[int, list[float]] = {}
    for row in rows(table):
        if row["setting"] == name:
            curve = [float(a) for a in row["valid_by_epoch"].split()]
            if row["seed"] == "0":
                first[int(row["cell"])] = curve
            else:
                others.setdefault(int(row["cell"]), []).append(curve[-1])
    a, final = np.array([first[c] for c in cells]), np.array([np.mean(others[c]) for c in cells])
    print("  rho by epoch:", " ".join(f"{spearmanr(a[:, e], final)[0]:.2f}" for e in range(a.shape[1])))


def plot(table: Path, folder: Path, limit: int) -> None:
    """Draw sample images, and the two means of seeds against each other."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from nasgym.training.digits import cluttered_digits

    folder.mkdir(parents=True, exist_ok=True)
    images = cluttered_digits().train.images[:40, 0].numpy()
    sheet = images.reshape(4, 10, 12, 12).transpose(0, 2, 1, 3).reshape(48, 120)
    plt.imsave(folder / "cluttered-digits.png", np.kron(sheet, np.ones((6, 6), dtype=np.uint8)), cmap="gray")
    _, valid = matrix(table, "final", "valid", limit)
    half = valid.shape[1] // 2
    first, second = 100 * valid[:, :half].mean(axis=1), 100 * valid[:, half : 2 * half].mean(axis=1)
    upper = valid.mean(axis=1) >= np.median(valid.mean(axis=1))
    figure, axes = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
    for part, label in ((upper, "upper half"), (~upper, "lower half")):
        axes.scatter(first[part], second[part], s=14, label=label)
    axes.set(
        xlabel=f"valid accuracy, mean of seeds 0 to {half - 1} (%)",
        ylabel=f"mean of seeds {half} to {2 * half - 1} (%)",
        title=f"{len(valid)} random connected cells",
    )
    axes.legend()
    figure.savefig(folder / "cluttered-digits-ranks.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("run", "report", "plot"))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=["final"], metavar="NAME")
    parser.add_argument("--cells", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--engine", choices=("bundle", "solo"), default="bundle", help="bundles are faster")
    parser.add_argument("--table", type=Path, default=TABLE)
    chosen = parser.parse_args()
    if chosen.do == "run":
        seeds, cells = range(chosen.seeds), connected_cells(chosen.cells)
        jobs = [(name, cell, seed) for name in chosen.settings for seed in seeds for cell in cells]
        run(partial(train, engine=chosen.engine), jobs, chosen.jobs, chosen.table, "engine")
    elif chosen.do == "report":
        report(chosen.table, chosen.seeds)
    else:
        plot(chosen.table, IMAGES, chosen.seeds)


if __name__ == "__main__":
    main()
