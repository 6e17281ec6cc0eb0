"""The trainer: one architecture, one seed, one recipe, one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import nasgym
from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.recipes import Recipe, check_dataset
from nasgym.results import Evaluation
from nasgym.spaces import Macro, Space
from nasgym.training.augment import EpochPlan, Pixels, TrainPixels, plan_epoch, resolve_padding
from nasgym.training.checkpoints import Checkpoint
from nasgym.training.datasets import load_dataset
from nasgym.training.devices import describe, memory_guard, one_thread, resolve_device
from nasgym.training.engines import Engine, Networks, build_networks, check_engine, is_small, solo_engine
from nasgym.training.images import ImageData
from nasgym.training.loop import rate_of_epoch
from nasgym.training.progress import EpochReport, Laps, to_evaluation

__all__ = ["Trainer", "reproducible"]

_CHECKPOINT_SECONDS = 60.0
_SMALLEST_SIDE = 5  # pixels; two halvings leave more than one, which batch norm needs


class Trainer:
    """Trains architectures of one space on one data set by one recipe.

    The same seed by the same engine on the same device (and, on a CPU, the same number of threads) gives the same
    result. The data set is loaded once, at the first training, and stays on the device.

    Args:
        space: The search space.
        dataset: The data set, see `nasgym.recipes.dataset_names`.
        recipe: How to train.
        device: ``"auto"`` (CUDA where there is one, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...
        data: The data set where it is at hand already; None: loaded by its name.
        checkpoints: A folder for the checkpoints of long trainings; None: none are written.
        on_epoch: Called after every epoch.
        checkpoint_seconds: Seconds between two checkpoints of one training.
        engine: What computes; ``"auto"`` is `nasgym.training.solo_engine`.

    Raises:
        InvalidSetting: The device or the engine cannot be used, or the recipe has a value out of its bounds.
        UnknownName: No data set has that name.
    """

    def __init__(
        self,
        space: Space,
        dataset: str,
        recipe: Recipe,
        *,
        device: str = "auto",
        data: ImageData | None = None,
        checkpoints: Path | None = None,
        on_epoch: Callable[[EpochReport], None] | None = None,
        checkpoint_seconds: float = _CHECKPOINT_SECONDS,
        engine: Engine = "auto",
    ) -> None:
        self.space, self.dataset, self.recipe = space, check_dataset(dataset), _checked_recipe(recipe)
        self.device = resolve_device(device)
        check_engine(engine, space, self.device)
        self.on_epoch, self._asked = on_epoch, engine
        self._data, self._checkpoints, self._checkpoint_seconds = data, checkpoints, checkpoint_seconds
        self._pixels: tuple[TrainPixels, Pixels, Pixels] | None = None

    @property
    def engine(self) -> Engine:
        """What computes, never ``"auto"``; the kernels are compiled now where it is them and they are not there yet."""
        if self._asked != "auto":
            return self._asked
        return solo_engine(self.space, self.recipe, self.device, self.data.resolution)

    @property
    def data(self) -> ImageData:
        """The data set; loaded now if it is not yet (raises `DatasetUnavailable` where it is not at hand)."""
        if self._data is None:
            self._data = load_dataset(self.dataset, image_size=self.recipe.image_size, split=self.recipe.split)
        if self._data.resolution < _SMALLEST_SIDE:
            raise InvalidSetting(
                f"images must have {_SMALLEST_SIDE} pixels a side or more, so that the last stage is no single pixel; "
                f"those of {self.dataset} have {self._data.resolution}."
            )
        return self._data

    def __call__(self, genotype: NDArray[np.integer], seed: int) -> Evaluation:
        """Train one architecture ``int8[num_decisions]`` with one seed and return its evaluation.

        Raises:
            InvalidArchitecture: The genotype is not in the space.
            InvalidSetting: The seed is negative.
            DatasetUnavailable: The data set is not on this machine.
            DeviceMemoryExhausted: The training does not fit into the device's memory.
        """
        row, seed = self._checked(genotype, seed)
        name = self.space.to_str(row[None])[0]
        with memory_guard(f"training {name} by {self.recipe.name}"), reproducible(), self._threads():
            checkpoint = Checkpoint(self._checkpoints, self._identity(row, seed), self._checkpoint_seconds)
            reports = self._epochs(self._networks(row[None], [seed]), [seed], checkpoint)[0]
            return self._evaluation(row, seed, reports)

    def _checked(self, genotype: NDArray[np.integer], seed: int) -> tuple[NDArray[np.integer], int]:
        row = np.asarray(genotype)
        if row.ndim != 1 or not self.space.is_valid(row[None])[0]:
            raise InvalidArchitecture(f"{row.tolist()} is not one genotype of the search space {self.space.name!r}.")
        if seed < 0:
            raise InvalidSetting(f"a training seed is 0 or more; got {seed}.")
        return row, int(seed)

    def _networks(self, rows: NDArray[np.integer], seeds: Sequence[int]) -> Networks:
        return build_networks(self.engine, self.space, rows, seeds, self._macro(), self.recipe, self.device)

    def _macro(self) -> Macro:
        data = self.data
        return self.recipe.macro(len(data.classes), data.channels, data.resolution)

    def _epochs(
        self, networks: Networks, seeds: Sequence[int], checkpoint: Checkpoint | None = None
    ) -> list[list[EpochReport]]:
        """Train to the end; return the reports of each network up to the first in which it has diverged.

        A checkpoint is for one network.
        """
        train, valid, test = self._splits()
        reports: list[list[EpochReport]] = [[] for _ in seeds]
        if checkpoint is not None and (saved := checkpoint.load()):
            networks.load_state(saved["networks"])
            reports = [[EpochReport(*row) for row in saved["rows"]]]
        laps = Laps(len(seeds), sum(own[-1].train_seconds for own in reports if own))
        batch, size, epochs = self.recipe.batch_size, networks.evaluation_batch, self.recipe.epochs
        for epoch in range(len(reports[0]), epochs):
            if all(own and own[-1].diverged for own in reports):
                break
            laps.lap()  # what came since the last pass, a checkpoint say, is no training
            batches = train.planned(self._plan(epoch, seeds), batch)
            trained, _ = networks.train_epoch(batches, rate_of_epoch(self.recipe, epoch, len(train))), laps.train()
            validated, valid_seconds = networks.evaluate(valid.batches(size)), laps.lap()
            tested, test_seconds = networks.evaluate(test.batches(size)), laps.lap()
            for own, t, v, s in zip(reports, trained, validated, tested, strict=True):
                if own and own[-1].diverged:
                    continue
                numbers = (t.accuracy, v.accuracy, s.accuracy, t.loss, v.loss, s.loss)
                own.append(EpochReport(epoch + 1, epochs, *numbers, laps.trained, valid_seconds, test_seconds))
                if self.on_epoch is not None:
                    self.on_epoch(own[-1])
            if checkpoint is not None:
                checkpoint.save_if_due(networks.state, [report.to_row() for report in reports[0]])
        if checkpoint is not None:
            checkpoint.remove()
        return reports

    def _plan(self, epoch: int, seeds: Sequence[int]) -> EpochPlan:
        """Return what is random in one epoch of several trainings, on the device."""
        size, padding = len(self.data.train), resolve_padding(self.recipe.crop_padding, self.data.resolution)
        plans = [plan_epoch(size, seed, epoch, padding, self.recipe.flip) for seed in seeds]
        return EpochPlan.stack(plans).to(self.device)

    def _threads(self) -> AbstractContextManager[None]:
        """Train small networks, and what is compiled, on one thread of the CPU."""
        return one_thread(is_small(self.recipe, self.device, self.data.resolution) or self.engine == "compiled")

    def _splits(self) -> tuple[TrainPixels, Pixels, Pixels]:
        """Return the three splits on the device, moved there at the first call."""
        if self._pixels is None:
            data, device = self.data, self.device
            padding = resolve_padding(self.recipe.crop_padding, data.resolution)
            train = TrainPixels(data, device, padding)
            self._pixels = (train, Pixels(data.valid, data, device), Pixels(data.test, data, device))
        return self._pixels

    def _identity(self, genotype: NDArray[np.integer], seed: int) -> dict[str, str]:
        """Return everything that determines the training."""
        return {
            "space": self.space.name,
            "genotype": str(genotype.tolist()),
            "seed": str(seed),
            "recipe": str(asdict(self.recipe)),
            "data": self.data.fingerprint,
            "engine": self.engine,
        }

    def _evaluation(
        self, row: NDArray[np.integer], seed: int, reports: Sequence[EpochReport], **provenance: str
    ) -> Evaluation:
        index, classes = int(self.space.index(row[None])[0]), len(self.data.classes)
        return to_evaluation(index, seed, classes, reports, {**self._provenance(), **provenance})

    def _provenance(self) -> dict[str, str]:
        return {
            "source": "trained",
            "nasgym": nasgym.__version__,
            "torch": torch.__version__,
            "device": describe(self.device),
            "engine": self.engine,
            "threads": str(torch.get_num_threads()),
            **({"tf32": _tf32()} if self.device.type == "cuda" else {}),
            "dataset": self.dataset,
            "fingerprint": self.data.fingerprint,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def _checked_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe, or raise `InvalidSetting` naming the value that is out of its bounds."""
    for name in ("epochs", "batch_size", "channels", "cells_per_stage"):
        if getattr(recipe, name) < 1:
            raise InvalidSetting(f"recipe {recipe.name!r}: {name} must be 1 or more; got {getattr(recipe, name)}.")
    if not 0 < recipe.learning_rate < float("inf"):
        raise InvalidSetting(f"recipe {recipe.name!r}: learning_rate must be above 0; got {recipe.learning_rate}.")
    return recipe


@contextmanager
def reproducible() -> Iterator[None]:
    """Have cuDNN take algorithms that give the same result every time; all else stays as the user has set it."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = False, True  # flags() would set the precision as well
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before


def _tf32() -> str:
    """Return which operations may round to TensorFloat-32, as the user has set it."""
    backends: Any = torch.backends  # whose stubs know neither of the two
    asked = {"convolutions": backends.cudnn.conv, "products": backends.cuda.matmul}
    return ", ".join(name for name, where in asked.items() if where.fp32_precision == "tf32") or "none"
