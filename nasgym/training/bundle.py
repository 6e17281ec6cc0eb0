"""The trainer of bundles: many architectures, one recipe, each with the result that it would get alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from nasgym.recipes import Recipe
from nasgym.results import Evaluation
from nasgym.spaces import Space
from nasgym.training.devices import memory_guard
from nasgym.training.engines import Engine, bundle_engine
from nasgym.training.images import ImageData
from nasgym.training.progress import EpochReport
from nasgym.training.trainer import Trainer, reproducible

__all__ = ["BundleTrainer", "Engine", "Job"]

Job: TypeAlias = tuple[NDArray[np.integer], int]
"""One training: a genotype ``int8[num_decisions]`` and a seed."""


class BundleTrainer(Trainer):
    """Trains many architectures at once: weights, data order, batch-norm statistics and results of each are its own.

    Every engine gives each member what `Trainer` gives it, up to floating-point rounding. ``"compiled"`` (CPU) runs
    each member through kernels compiled at the first use by the machine's C compiler, as many members side by side as
    PyTorch has threads. ``"stacked"`` (any device) runs all members as one `BundleNetwork`. ``"eager"`` trains them by
    PyTorch one after the other. ``"auto"`` is `bundle_engine`: ``"compiled"`` on a CPU (``"eager"`` where there is no
    compiler), ``"stacked"`` elsewhere, and ``"eager"`` for search spaces and recipes that these do not know.

    Args:
        space: The search space.
        dataset: The data set, see `nasgym.recipes.dataset_names`.
        recipe: How to train.
        device: As in `Trainer`.
        data: The data set where it is at hand already; None: loaded by its name.
        engine: ``"auto"``, ``"compiled"``, ``"stacked"`` or ``"eager"``.

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
        engine: Engine = "auto",
    ) -> None:
        super().__init__(space, dataset, recipe, device=device, data=data, engine=engine)

    @property
    def engine(self) -> Engine:
        """What computes, never ``"auto"``."""
        return bundle_engine(self.space, self.recipe, self.device) if self._asked == "auto" else self._asked

    def train(self, jobs: Sequence[Job], on_result: Callable[[Evaluation], None] | None = None) -> list[Evaluation]:
        """Train all ``jobs`` and return their evaluations in the same order.

        A member that diverges disturbs no other. The seconds of an evaluation are its share of the bundle's where
        members are stacked, and those of one thread where they are compiled: no measure of a training alone.

        Args:
            jobs: Genotypes ``int8[num_decisions]`` with seeds; they may repeat.
            on_result: Called in the calling thread with each evaluation as soon as it is there.

        Raises:
            InvalidArchitecture: A genotype is not in the space.
            InvalidSetting: A seed is negative.
            DatasetUnavailable: The data set is not on this machine.
            DeviceMemoryExhausted: The bundle does not fit into the device's memory.
        """
        checked = [self._checked(row, seed) for row, seed in jobs]
        found: dict[int, Evaluation] = {}
        with memory_guard(f"training a bundle of {len(checked)} by {self.recipe.name}"), reproducible():
            for number, reports in self._trained(checked):
                found[number] = self._evaluation(*checked[number], reports, bundle=str(len(checked)))
                if on_result is not None:
                    on_result(found[number])
        return [found[number] for number in range(len(checked))]

    def _trained(self, jobs: Sequence[Job]) -> Iterator[tuple[int, list[EpochReport]]]:
        """Yield the number of each job and its reports, as soon as they are there."""
        if not jobs:
            return
        self._splits()  # loaded here, once, before threads want it
        if self.engine == "compiled":
            yield from self._side_by_side(jobs)
        elif self.engine == "stacked":
            seeds = [seed for _, seed in jobs]
            yield from enumerate(self._epochs(self._networks(np.stack([row for row, _ in jobs]), seeds), seeds))
        else:
            for number, job in enumerate(jobs):
                with self._threads():
                    reports = self._alone(job)
                yield number, reports

    def _side_by_side(self, jobs: Sequence[Job]) -> Iterator[tuple[int, list[EpochReport]]]:
        """Train each job on a thread of its own, as many at a time as PyTorch has threads."""
        with ThreadPoolExecutor(min(len(jobs), torch.get_num_threads())) as pool:
            waiting = {pool.submit(self._alone, job): number for number, job in enumerate(jobs)}
            try:
                for done in as_completed(waiting):
                    yield waiting[done], done.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _alone(self, job: Job) -> list[EpochReport]:
        row, seed = job
        return self._epochs(self._networks(row[None], [seed]), [seed])[0]
