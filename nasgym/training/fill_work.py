"""What a worker of a filling does: train a bundle of cells, smaller where it does not fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nasgym.errors import DeviceMemoryExhausted
from nasgym.recipes import Recipe
from nasgym.results import Evaluation
from nasgym.spaces import get_space
from nasgym.store import Cell
from nasgym.training.bundle import BundleTrainer, Engine
from nasgym.training.fill_results import Failure
from nasgym.training.images import ImageData

__all__ = ["Plan", "train_cells"]


@dataclass(frozen=True)
class Plan:
    """What is trained, and how; it travels to the workers.

    Attributes:
        space: The name of the search space.
        dataset: The data set.
        recipe: How to train.
        device: Where.
        engine: See `BundleTrainer`.
        data: The data set itself, so that all workers train on the same images.
    """

    space: str
    dataset: str
    recipe: Recipe
    device: str
    engine: Engine
    data: ImageData


_trainers: dict[tuple[object, ...], BundleTrainer] = {}


def _trainer(plan: Plan) -> BundleTrainer:
    """Return the trainer of a plan, the same one for every bundle that a worker gets."""
    key = (plan.space, plan.dataset, plan.recipe, plan.device, plan.engine, plan.data.fingerprint)
    if key not in _trainers:
        _trainers.clear()  # one data set in memory is enough
        _trainers[key] = BundleTrainer(
            *(get_space(plan.space), plan.dataset, plan.recipe),
            device=plan.device,
            engine=plan.engine,
            data=plan.data,
        )
    return _trainers[key]


def train_cells(plan: Plan, cells: Sequence[Cell]) -> tuple[list[Evaluation], list[Failure]]:
    """Train a bundle; where it does not fit into memory, its halves, and in the end each cell alone."""
    trainer = _trainer(plan)
    rows = trainer.space.from_index([cell.index for cell in cells])
    try:
        return trainer.train([(row, int(cell.seed)) for row, cell in zip(rows, cells, strict=True)]), []
    except DeviceMemoryExhausted as error:
        if len(cells) == 1:
            return [], [Failure(cells[0], str(error))]
    if trainer.device.type == "cuda":
        torch.cuda.empty_cache()  # what the failed attempt left in pieces
    half = len(cells) // 2
    first, second = train_cells(plan, cells[:half]), train_cells(plan, cells[half:])
    return first[0] + second[0], first[1] + second[1]
