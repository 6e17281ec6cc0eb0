"""Measures what networks cost when they are trained alone, and fits the cost model of a table to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import torch
from numpy.typing import NDArray

import nasgym
from nasgym.costs import PARTS, CostModel, Measurement
from nasgym.errors import InvalidSetting
from nasgym.recipes import Recipe
from nasgym.spaces import Genotypes, Space
from nasgym.training.cost_meter import CostMeter
from nasgym.training.cost_regression import fit, held_out_error
from nasgym.training.devices import describe, memory_guard
from nasgym.training.images import ImageData

__all__ = ["cells_to_measure", "measure_costs"]

_LISTED = 100_000  # architectures; of a larger space the extremes are looked for in a sample
_SAMPLE = 10_000


def measure_costs(
    space: Space,
    dataset: str,
    recipe: Recipe,
    *,
    cells: int = 300,
    steps: int = 10,
    rounds: int = 3,
    seed: int = 0,
    device: str = "auto",
    data: ImageData | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> CostModel:
    """Return the cost model of a table, measured on this machine: let nothing else run on it meanwhile.

    Every architecture trains for a few steps by the engine that would train it alone (`nasgym.training.solo_engine`),
    in several rounds, each in an order of its own, so that a busy moment does not fall on one architecture. Of the
    steps the median counts, and of the rounds too.

    Args:
        space: The search space.
        dataset: The data set, see `nasgym.recipes.dataset_names`.
        recipe: How to train.
        cells: Random architectures; the cheapest and dearest in each operation come on top.
        steps: Steps that count, per architecture and round, and as many batches of each evaluation.
        rounds: How often every architecture is measured.
        seed: Draws the architectures, their order and the folds of the cross-validation.
        device: As in `Trainer`.
        data: The data set where it is at hand already; None: loaded by its name.
        on_progress: Called after every measurement with how many are done, and of how many.

    Raises:
        InvalidSetting: ``cells``, ``steps`` or ``rounds`` is below 1, or as `Trainer`.
        DatasetUnavailable: The data set is not on this machine.
        DeviceMemoryExhausted: A training does not fit into the device's memory.
    """
    for name, number in (("cells", cells), ("steps", steps), ("rounds", rounds)):
        if number < 1:
            raise InvalidSetting(f"{name} must be 1 or more; got {number}.")
    rng = np.random.default_rng(seed)
    meter = CostMeter(space, dataset, recipe, device=device, data=data)
    genotypes = cells_to_measure(space, cells, rng)
    orders = np.stack([rng.permutation(len(genotypes)) for _ in range(rounds)])
    with memory_guard(f"measuring {recipe.name}"), meter.ready() as threads:
        taken = _measured(meter, genotypes, orders, steps, on_progress)
    counts, seconds = space.computed_operations(genotypes), np.median(taken, axis=0)
    return CostModel(
        space.name,
        meter.dataset,
        recipe.name,
        space.operation_names(),
        {part: fit(counts, seconds[:, i]) for i, part in enumerate(PARTS)},
        {part: held_out_error(counts, seconds[:, i], rng) for i, part in enumerate(PARTS)},
        Measurement(
            machine=describe(meter.device),
            engine=meter.engine,
            threads=threads,
            cells=len(genotypes),
            rounds=rounds,
            steps=steps,
            torch=torch.__version__,
            nasgym=nasgym.__version__,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )


def cells_to_measure(space: Space, cells: int, rng: np.random.Generator) -> Genotypes:
    """Return up to ``cells`` random architectures and the extremes: those with least and most of each operation."""
    listed = space.size <= _LISTED
    every = space.from_index(np.arange(space.size)) if listed else space.sample(rng, _SAMPLE)
    counts = space.computed_operations(every).astype(np.float64)
    together = (counts / np.maximum(counts.max(axis=0), 1)).sum(axis=1)
    columns = np.column_stack([counts, together])
    drawn = rng.choice(len(every), min(cells, len(every)), replace=False)
    chosen: Genotypes = every[np.unique([*drawn, *columns.argmin(axis=0), *columns.argmax(axis=0)])]
    return chosen


def _measured(
    meter: CostMeter,
    genotypes: Genotypes,
    orders: NDArray[np.int64],
    steps: int,
    on_progress: Callable[[int, int], None] | None,
) -> NDArray[np.float64]:
    """Return ``float64[rounds, n, 3]``: the seconds of each round for each of `PARTS`; orders ``int64[rounds, n]``."""
    taken, done = np.empty((*orders.shape, len(PARTS))), 0
    meter.seconds(genotypes[orders[0, 0]], 1)  # what comes first wakes up the machine
    for number, order in enumerate(orders):
        for cell in order.tolist():
            taken[number, cell] = meter.seconds(genotypes[cell], steps)
            done += 1
            if on_progress is not None:
                on_progress(done, orders.size)
    return taken
