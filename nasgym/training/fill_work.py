"""What a worker of a filling does: train a bundle of cells, smaller where it does not fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

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
        filling: Names the filling: another one finds out anew what fits into memory.
    """

    space: str
    dataset: str
    recipe: Recipe
    device: str
    engine: Engine
    data: ImageData
    filling: str = field(default_factory=lambda: uuid4().hex)


_trainers: dict[tuple[object, ...], BundleTrainer] = {}
_fitting: dict[str, int] = {}  # of the present filling: the largest bundle that fitted where a larger one did not


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
    """Train a bundle; where it does not fit into memory, its halves, and in the end each cell alone.

    The size that fitted is kept for the next bundles of the filling.
    """
    trainer = _trainer(plan)
    size = _fitting.get(plan.filling, len(cells))
    parts = [_halved(trainer, cells[start : start + size]) for start in range(0, len(cells), size)]
    fitted = max(part[2] for part in parts)
    if 0 < fitted < min(size, len(cells)):
        _fitting.clear()
        _fitting[plan.filling] = fitted
    return [row for part in parts for row in part[0]], [failure for part in parts for failure in part[1]]


def _halved(trainer: BundleTrainer, cells: Sequence[Cell]) -> tuple[list[Evaluation], list[Failure], int]:
    """Return results, failures, and the size of the largest part that fitted; 0 for none."""
    rows = trainer.space.from_index([cell.index for cell in cells])
    try:
        jobs = [(row, int(cell.seed)) for row, cell in zip(rows, cells, strict=True)]
        return trainer.train(jobs), [], len(cells)
    except DeviceMemoryExhausted as error:
        if len(cells) == 1:
            return [], [Failure(cells[0], str(error))], 0
    if trainer.device.type == "cuda":
        torch.cuda.empty_cache()  # what the failed attempt left in pieces
    half = len(cells) // 2
    first, second = _halved(trainer, cells[:half]), _halved(trainer, cells[half:])
    return first[0] + second[0], first[1] + second[1], max(first[2], second[2])
