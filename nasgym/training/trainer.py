"""The trainer: one architecture, one seed, one recipe, one evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import nasgym
from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.networks import build_network
from nasgym.recipes import Recipe, check_dataset
from nasgym.results import Evaluation
from nasgym.spaces import Space
from nasgym.training.augment import Pixels, TrainPixels, plan_epoch, resolve_padding
from nasgym.training.checkpoints import Checkpoint
from nasgym.training.datasets import load_dataset
from nasgym.training.devices import describe, memory_guard, resolve_device
from nasgym.training.images import ImageData
from nasgym.training.loop import evaluate, learning_rate, make_optimizer, train_epoch
from nasgym.training.progress import EpochReport, to_evaluation

__all__ = ["Trainer"]

_EVALUATION_BATCH = {"cpu": 250, "cuda": 2000}  # images; on a CPU what fits into its cache, see docs/training.md
_CHECKPOINT_SECONDS = 60.0
_WORTH_THREADS = 1 << 20  # activations of a layer for one batch; the recipes of CIFAR have 4 million
_SMALLEST_SIDE = 5  # pixels; two halvings leave more than one, which batch norm needs


class Trainer:
    """Trains architectures of one space on one data set by one recipe.

    The same seed on the same device (and, on a CPU, the same number of threads) gives the same result. The data set is
    loaded once, at the first training, and stays on the device.

    Args:
        space: The search space.
        dataset: The data set, see `nasgym.recipes.dataset_names`.
        recipe: How to train.
        device: ``"auto"`` (CUDA where there is one, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...
        data: The data set where it is at hand already; None: loaded by its name.
        checkpoints: A folder for the checkpoints of long trainings; None: none are written.
        on_epoch: Called after every epoch.
        checkpoint_seconds: Seconds between two checkpoints of one training.

    Raises:
        InvalidSetting: The device cannot be used, or the recipe has a value out of its bounds.
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
    ) -> None:
        self.space, self.dataset, self.recipe = space, check_dataset(dataset), _checked(recipe)
        self.device = resolve_device(device)
        self.on_epoch = on_epoch
        self._data, self._checkpoints, self._checkpoint_seconds = data, checkpoints, checkpoint_seconds
        self._pixels: tuple[TrainPixels, Pixels, Pixels] | None = None

    @property
    def data(self) -> ImageData:
        """The data set; loaded now if it is not yet (raises `DatasetUnavailable` where it is not at hand)."""
        if self._data is None:
            self._data = load_dataset(self.dataset, image_size=self.recipe.image_size)
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
        row = np.asarray(genotype)
        if row.ndim != 1 or not self.space.is_valid(row[None])[0]:
            raise InvalidArchitecture(f"{row.tolist()} is not one genotype of the search space {self.space.name!r}.")
        if seed < 0:
            raise InvalidSetting(f"a training seed is 0 or more; got {seed}.")
        name = self.space.to_str(row[None])[0]
        with memory_guard(f"training {name} by {self.recipe.name}"), _reproducible(), self._threads():
            reports = self._train(row, seed)
            provenance = self._provenance()
        return to_evaluation(int(self.space.index(row[None])[0]), seed, len(self.data.classes), reports, provenance)

    def _train(self, genotype: NDArray[np.integer], seed: int) -> list[EpochReport]:
        train, valid, test = self._splits()
        network = self._network(genotype, seed)
        optimizer = make_optimizer(network, self.recipe)
        checkpoint = Checkpoint(self._checkpoints, self._identity(genotype, seed), self._checkpoint_seconds)
        reports = _resume(checkpoint.load(self.device), network, optimizer)
        padding = resolve_padding(self.recipe.crop_padding, self.data.resolution)
        batch, evaluation_batch = self.recipe.batch_size, _EVALUATION_BATCH.get(self.device.type, 1000)
        while len(reports) < self.recipe.epochs and not (reports and reports[-1].diverged):
            epoch = len(reports)
            start = time.perf_counter()
            plan = plan_epoch(len(train), seed, epoch, padding, self.recipe.flip).to(self.device)
            trained = train_epoch(network, optimizer, train.planned(plan, batch), learning_rate(self.recipe, epoch))
            after_train = time.perf_counter()
            validated = evaluate(network, valid.batches(evaluation_batch))
            after_valid = time.perf_counter()
            tested = evaluate(network, test.batches(evaluation_batch))
            after_test = time.perf_counter()
            reports.append(
                EpochReport(
                    epoch + 1,
                    self.recipe.epochs,
                    *(trained.accuracy, validated.accuracy, tested.accuracy),
                    *(trained.loss, validated.loss, tested.loss),
                    (reports[-1].train_seconds if reports else 0.0) + after_train - start,
                    after_valid - after_train,
                    after_test - after_valid,
                )
            )
            if self.on_epoch is not None:
                self.on_epoch(reports[-1])
            checkpoint.save_if_due(_state(network, optimizer, reports))
        checkpoint.remove()
        return reports

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """Train small networks on one thread of the CPU: more of them wait for each other longer than they compute."""
        recipe, before = self.recipe, torch.get_num_threads()
        activations = recipe.batch_size * recipe.channels * self.data.resolution**2
        small = self.device.type == "cpu" and activations < _WORTH_THREADS
        torch.set_num_threads(1 if small else before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _splits(self) -> tuple[TrainPixels, Pixels, Pixels]:
        """Return the three splits on the device, moved there at the first call."""
        if self._pixels is None:
            data, device = self.data, self.device
            padding = resolve_padding(self.recipe.crop_padding, data.resolution)
            train = TrainPixels(data, device, padding)
            self._pixels = (train, Pixels(data.valid, data, device), Pixels(data.test, data, device))
        return self._pixels

    def _network(self, genotype: NDArray[np.integer], seed: int) -> nn.Module:
        """Build the network with weights drawn from ``seed``; the global generator is left as it was."""
        data = self.data
        macro = self.recipe.macro(len(data.classes), data.channels, data.resolution)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network = build_network(self.space, genotype, macro)
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _identity(self, genotype: NDArray[np.integer], seed: int) -> dict[str, str]:
        """Return everything that determines the training."""
        return {
            "space": self.space.name,
            "genotype": str(genotype.tolist()),
            "seed": str(seed),
            "recipe": str(asdict(self.recipe)),
            "data": self.data.fingerprint,
        }

    def _provenance(self) -> dict[str, str]:
        return {
            "source": "trained",
            "nasgym": nasgym.__version__,
            "torch": torch.__version__,
            "device": describe(self.device),
            "threads": str(torch.get_num_threads()),
            "dataset": self.dataset,
            "fingerprint": self.data.fingerprint,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def _checked(recipe: Recipe) -> Recipe:
    """Return the recipe, or raise `InvalidSetting` naming the value that is out of its bounds."""
    for name in ("epochs", "batch_size", "channels", "cells_per_stage"):
        if getattr(recipe, name) < 1:
            raise InvalidSetting(f"recipe {recipe.name!r}: {name} must be 1 or more; got {getattr(recipe, name)}.")
    if not 0 < recipe.learning_rate < float("inf"):
        raise InvalidSetting(f"recipe {recipe.name!r}: learning_rate must be above 0; got {recipe.learning_rate}.")
    return recipe


@contextmanager
def _reproducible() -> Iterator[None]:
    """Have cuDNN take algorithms that give the same result every time."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield


def _state(network: nn.Module, optimizer: torch.optim.Optimizer, reports: list[EpochReport]) -> dict[str, Any]:
    rows = [report.to_row() for report in reports]
    return {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "reports": rows}


def _resume(state: Mapping[str, Any] | None, network: nn.Module, optimizer: torch.optim.Optimizer) -> list[EpochReport]:
    """Bring network and optimiser to where a checkpoint left them; return the epochs done, none without one."""
    if state is None:
        return []
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return [EpochReport(*row) for row in state["reports"]]
