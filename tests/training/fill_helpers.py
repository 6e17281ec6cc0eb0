"""What tests of fillings share with the processes that they start; run as a script it fills a store until killed."""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from nasgym.recipes import Recipe, get_recipe
from nasgym.results import Evaluation, TableKey
from nasgym.spaces import NB201
from nasgym.store import Cell, Store
from nasgym.training import ImageData, Split
from nasgym.training.fill import cells_of, fill
from nasgym.training.fill_results import Failure, StoreResults
from nasgym.training.fill_work import Plan, train_cells

SPACE = NB201()
RECIPE: Recipe = replace(get_recipe("cluttered-digits-10"), name="tiny", epochs=2, batch_size=16, channels=2)
KEY = TableKey("nb201", "cluttered-digits", "tiny")
DEADLY = Cell(17, 0)


def tiny_data() -> ImageData:
    """Return images whose class is the brighter half."""
    stream = np.random.default_rng(0)
    splits = []
    for size in (36, 20, 20):
        images, labels = stream.integers(0, 100, (size, 1, 8, 8)), np.arange(size) % 2
        images[labels == 0, :, :4] += 100
        images[labels == 1, :, 4:] += 100
        splits.append(Split(torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels)))
    return ImageData.of("cluttered-digits", ("top", "bottom"), (splits[0], splits[1], splits[2]))


def work_or_die(plan: Plan, cells: Sequence[Cell]) -> tuple[list[Evaluation], list[Failure]]:
    """Train, but end the process at once where one cell is in the bundle."""
    if DEADLY in cells:
        os._exit(9)
    return train_cells(plan, cells)


def work_or_die_once(plan: Plan, flag: Path, cells: Sequence[Cell]) -> tuple[list[Evaluation], list[Failure]]:
    """Train, but end the process at the first cell of all."""
    if not flag.exists():
        flag.touch()
        os._exit(9)
    return train_cells(plan, cells)


def work_counted(
    plan: Plan, folder: Path, fatal: Cell, cells: Sequence[Cell]
) -> tuple[list[Evaluation], list[Failure]]:
    """Train, and leave a file that says what has begun, and another when the end is reached; ``fatal`` kills once."""
    name = f"{'-'.join(f'{cell.index}.{cell.seed}' for cell in cells)}.{uuid.uuid4().hex}"
    (folder / f"{name}.begun").touch()
    time.sleep(0.3)  # long enough for an accident
    if fatal in cells and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    trained = train_cells(plan, cells)
    (folder / f"{name}.ended").touch()
    return trained


def main(path: Path, count: int) -> None:
    """Fill a store, and say after each bundle how many cells were done."""
    cells = cells_of(SPACE, [0], limit=count)
    fill(
        *(SPACE, KEY.dataset, RECIPE, cells, StoreResults(Store(path))),
        data=tiny_data(),
        device="cpu",
        workers=2,
        members=2,
        on_progress=lambda progress: print(progress.done, flush=True),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
