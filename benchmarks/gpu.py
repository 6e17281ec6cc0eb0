r"""What nasgym does on a GPU: how fast a table fills, what a training costs, whether accuracies are as published.

    python benchmarks/gpu.py fill --out OUT
    python benchmarks/gpu.py speed --out OUT --images CIFAR10.tar.xz --bandwidth 4.3e12
    python benchmarks/gpu.py rank --out OUT --images CIFAR10.tar.xz --official RESULTS.csv.gz

It runs in a checkout where torch, numpy and Pillow are installed, without gymnasium and lmdb too. Every part prints as
it goes. ``fill`` and ``rank`` stop by themselves after ``--seconds``: what they trained is kept in a file under
``--out``, and the same command goes on there. `nasgym import results` takes the file of ``fill`` into a store.

``fill`` fills nb201/cluttered-digits in bundles and prints trainings per second; the first bundle, which warms the
device up, is left out of the last figure. ``speed`` trains, whole and by the recipe nb201-12, the cell that computes
nearest to the average of the space, alone by each engine, and bundles of random cells. Its seconds are those that go by
for the whole training, evaluations included; its images are those trained on, per second of training. Its share of the
memory's bandwidth is the time that it takes at ``--bandwidth`` to read once what a step keeps for its backward pass, in
the time of a step. ``rank`` trains random cells by nb201-12 and compares their validation accuracies with those
that were published.

The images come as ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg`` in an archive, which does not tell their published
order. So the training images are halved by the rule of the published halves, class after class: halves of the published
size, of other images; trainings on them have a recipe of another name, ``gpu-rank``.

``--small`` replaces the recipe by one of one epoch and two channels: whether everything runs, on any machine.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import platform
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from nasgym.errors import DeviceMemoryExhausted
from nasgym.networks.initial import seeded_network
from nasgym.recipes import Recipe, get_recipe
from nasgym.results import Evaluation
from nasgym.results_file import read_results
from nasgym.spaces import NB201, Genotypes
from nasgym.store import Cell
from nasgym.training import ImageData, Split, load_dataset
from nasgym.training.bundle import BundleTrainer
from nasgym.training.cifar import FORMATS
from nasgym.training.devices import describe, resolve_device
from nasgym.training.engines import Engine
from nasgym.training.fill import FillProgress, cells_of, fill
from nasgym.training.fill_results import FileResults
from nasgym.training.halves import halves

SPACE, CIFAR10 = NB201(), "cifar10"
SMALL = {"name": "small", "epochs": 1, "channels": 2, "cells_per_stage": 1, "batch_size": 16}


class TimeIsUp(Exception):
    """Ends a filling whose next bundle might not end in time."""


def cifar10(archive: Path) -> ImageData:
    """Return the images of an archive, their training images halved."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        whole = load_dataset(f"imagefolder:{folder}", image_size=32)
    # what was split off for validation goes back to its class
    images, labels = (torch.cat(pair) for pair in zip(_parts(whole.train), _parts(whole.valid), strict=True))
    order = labels.argsort(stable=True)
    first, second = (order[torch.from_numpy(half)] for half in halves(len(order)))
    form = FORMATS[CIFAR10]
    splits = Split(images[first], labels[first]), Split(images[second], labels[second]), whole.test
    return ImageData.of(CIFAR10, whole.classes, splits, (form.mean, form.std))


def _parts(split: Split) -> tuple[Tensor, Tensor]:
    return split.images, split.labels


class Clock:
    """Prints how a filling goes, and ends it in time."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._reports = seconds, [FillProgress(0, 0, 0, 0, 0.0)]

    def __call__(self, report: FillProgress) -> None:
        """Look at the time after a bundle."""
        longest = max(b.seconds - a.seconds for a, b in zip(self._reports, [*self._reports[1:], report], strict=True))
        self._reports.append(report)
        done = f"{report.done} of {report.total} trained, {report.failed} failed, {report.seconds:.1f} s"
        print(f"{done}, {report.cells_per_second:.2f} per second", flush=True)
        if report.seconds + longest > self._seconds and report.done + report.failed < report.total:
            raise TimeIsUp

    @property
    def speed(self) -> float:
        """Cells per second after the first bundle; no number where there was but one."""
        if len(self._reports) < 3:
            return float("nan")
        first, last = self._reports[1], self._reports[-1]
        return (last.done - first.done) / (last.seconds - first.seconds)


def filled(recipe: Recipe, data: ImageData, cells: Sequence[Cell], path: Path, given: argparse.Namespace) -> None:
    """Train those of the cells that the file misses, as many as the time allows."""
    clock = Clock(given.seconds)
    with suppress(TimeIsUp):
        fill(
            *(SPACE, data.name, recipe, cells, FileResults(path)),
            members=given.members[0],
            workers=1,
            device=given.device,
            data=data,
            on_progress=clock,
        )
    print(f"{path}: {clock.speed:.2f} trainings per second after the first bundle of {given.members[0]}")


def run_fill(given: argparse.Namespace) -> None:
    """Fill the table of the embedded data set, or some of its cells."""
    recipe = chosen_recipe("cluttered-digits-10", given)
    cells = cells_of(SPACE, range(given.seeds), unique=given.unique, limit=given.cells)
    filled(recipe, load_dataset("cluttered-digits"), cells, given.out / f"fill-{recipe.name}.results", given)


# ---- what a training costs


def average_cell() -> NDArray[np.int8]:
    """Return the genotype whose counts of operations really computed are nearest to their averages."""
    every = SPACE.from_index(np.arange(SPACE.size))
    counts = SPACE.computed_operations(every).astype(np.float64)
    spread = np.where(counts.std(axis=0) > 0, counts.std(axis=0), 1.0)
    nearest: NDArray[np.int8] = every[(((counts - counts.mean(axis=0)) / spread) ** 2).sum(axis=1).argmin()]
    return nearest


def activation_bytes(row: NDArray[np.int8], recipe: Recipe, data: ImageData, device: torch.device) -> int:
    """Return the bytes that one step of a cell alone keeps for its backward pass, weights not counted."""
    macro = recipe.macro(len(data.classes), data.channels, data.resolution)
    network = seeded_network(SPACE, row, macro, 0).to(device, memory_format=torch.channels_last).train()
    size = min(recipe.batch_size, len(data.train))
    images = torch.randn(size, data.channels, data.resolution, data.resolution, device=device)
    images = images.to(memory_format=torch.channels_last)
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()  # all are alive at once: no address serves twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = functional.cross_entropy(network(images), torch.zeros(size, dtype=torch.int64, device=device))
    del loss
    return sum(kept.values())


def timed(train: Callable[[], Sequence[Evaluation]], device: torch.device) -> tuple[float, float]:
    """Return the seconds that go by, and those of them that were training, of all cells together."""
    start = time.perf_counter()
    results = train()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, sum(result.train_seconds or 0.0 for result in results)


def run_speed(given: argparse.Namespace) -> None:
    """Train the average cell alone and bundles of random cells; print a row for each as it is there."""
    recipe, device = chosen_recipe("nb201-12", given), resolve_device(given.device)
    data, row = cifar10(given.images), average_cell()
    print(f"{recipe.name}, {len(data.train)} training images; the average cell is {int(SPACE.index(row[None])[0])}")
    print("| way | cells | s per cell | images per second | MB kept per step and cell | of the bandwidth |")
    print("|---|---|---|---|---|---|", flush=True)
    engines: list[Engine] = ["eager", "stacked", *(["compiled"] if device.type == "cpu" else [])]  # type: ignore[list-item]
    for engine in engines:
        print(speed_row(f"alone, {engine}", row[None], engine, recipe, data, device, given.bandwidth), flush=True)
    rows = SPACE.sample(np.random.default_rng(given.seed), max(given.members))
    for members in given.members:
        name = f"bundle of {members}"
        print(speed_row(name, rows[:members], "auto", recipe, data, device, given.bandwidth), flush=True)


def speed_row(
    name: str,
    rows: Genotypes,
    engine: Engine,
    recipe: Recipe,
    data: ImageData,
    device: torch.device,
    bandwidth: float | None,
) -> str:
    """Return the row of one way; one that does not fit into memory has a row that says so."""
    jobs, count = [(row, 0) for row in rows], len(rows)
    warm_up = BundleTrainer(SPACE, CIFAR10, replace(recipe, epochs=1), device=str(device), data=data, engine=engine)
    trainer = BundleTrainer(SPACE, CIFAR10, recipe, device=str(device), data=data, engine=engine)
    try:
        warm_up.train(jobs)
        seconds, training = timed(lambda: trainer.train(jobs), device)
    except DeviceMemoryExhausted:
        return f"| {name} | {count} | does not fit | | | |"
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()
    kept = sum(activation_bytes(row, recipe, data, device) for row in rows) / count
    steps = recipe.epochs * -(-len(data.train) // recipe.batch_size)
    share = "—" if bandwidth is None else f"{kept / bandwidth / (training / count / steps):.1%}"
    images = len(data.train) * recipe.epochs * count / training
    return f"| {name} | {count} | {seconds / count:.3g} | {images:,.0f} | {kept / 1e6:,.0f} | {share} |"


# ---- whether accuracies are the published ones


def run_rank(given: argparse.Namespace) -> None:
    """Train random cells and compare what is trained of them with the published accuracies."""
    recipe = replace(chosen_recipe("nb201-12", given), name="gpu-rank")
    path = given.out / f"rank-{recipe.name}.results"
    drawn = np.random.default_rng(given.seed).choice(SPACE.size, given.cells or 40, replace=False)
    filled(recipe, cifar10(given.images), [Cell(int(index), 0) for index in drawn], path, given)
    own = {found.index: 100 * (found.valid_accuracy or 0.0) for _, found in read_results(path)}
    published = official(given.official)
    print("| cell | trained here, % | published, % |\n|---|---|---|")
    for index, value in own.items():
        print(f"| {index} | {value:.2f} | {published[index]:.2f} |")
    if len(own) > 1:
        compare(list(own.values()), [published[index] for index in own])


def official(path: Path) -> dict[int, float]:
    """Return the published validation accuracy in per cent, mean of its seeds, of each cell after 12 epochs."""
    with gzip.open(path, "rt", newline="") as file:
        rows = [r for r in csv.DictReader(file) if (r["dataset"], r["recipe"], r["seed"]) == (CIFAR10, "12", "mean")]
    indices = SPACE.index(SPACE.from_str([row["architecture"] for row in rows])).tolist()
    return {index: float(row["valid_accuracy"]) for index, row in zip(indices, rows, strict=True)}


def compare(own: Sequence[float], published: Sequence[float]) -> None:
    """Print the rank correlation and the mean difference of two lists of accuracies in per cent."""
    difference = np.subtract(own, published)
    error = difference.std(ddof=1) / np.sqrt(len(own))
    print(f"Spearman's rank correlation {spearman(own, published):.4f} (n={len(own)})")
    print(f"mean difference {difference.mean():+.2f} points, standard error {error:.2f}")


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Return the correlation of the ranks; equal values share the mean of theirs."""

    def ranks(values: ArrayLike) -> NDArray[np.float64]:
        _, place, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
        mean_rank: NDArray[np.float64] = (count.cumsum() - (count - 1) / 2)[place]
        return mean_rank

    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


def chosen_recipe(name: str, given: argparse.Namespace) -> Recipe:
    """Return a recipe, or the small one in its place."""
    recipe = get_recipe(name)
    return replace(recipe, **SMALL) if given.small else recipe


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("fill", "speed", "rank"))
    parser.add_argument("--out", type=Path, required=True, help="a folder for results")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--members", type=int, nargs="+", help="cells of a bundle; speed: of each bundle")
    parser.add_argument("--seconds", type=float, default=540.0, help="after which fill and rank start no bundle")
    parser.add_argument("--cells", type=int, help="fill: architectures, else all; rank: else 40")
    parser.add_argument("--seeds", type=int, default=3, help="fill: of each architecture")
    parser.add_argument("--unique", action="store_true", help="fill: one architecture of each class of equal networks")
    parser.add_argument("--images", type=Path, help="speed, rank: the archive")
    parser.add_argument("--official", type=Path, help="rank: the published results")
    parser.add_argument("--bandwidth", type=float, help="of the memory, in bytes per second; 4.3e12 for an H200")
    parser.add_argument("--seed", type=int, default=0, help="draws the cells of speed and rank")
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args(arguments)
    if given.part != "fill" and given.images is None or given.part == "rank" and given.official is None:
        parser.error("speed and rank need --images, and rank --official")
    given.members = given.members or {"fill": [64], "speed": [4, 16], "rank": [8]}[given.part]
    given.out.mkdir(parents=True, exist_ok=True)
    device = describe(resolve_device(given.device))
    print(f"{device}; torch {torch.__version__}, Python {platform.python_version()}; {given.part}", flush=True)
    {"fill": run_fill, "speed": run_speed, "rank": run_rank}[given.part](given)


if __name__ == "__main__":
    main()
