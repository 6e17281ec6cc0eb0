"""The trainer of bundles: many architectures, one recipe, each with the result that it would get alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from ctypes import CDLL
from typing import Literal, Protocol, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.networks.bundle import member_network
from nasgym.recipes import Recipe
from nasgym.results import Evaluation
from nasgym.spaces import Macro, Space
from nasgym.training.augment import plan_epoch, resolve_padding
from nasgym.training.bundle_compiler import load_kernels
from nasgym.training.bundle_native import NativeNetwork
from nasgym.training.bundle_stacked import StackedNetworks
from nasgym.training.devices import memory_guard
from nasgym.training.images import ImageData
from nasgym.training.loop import Score, learning_rate
from nasgym.training.progress import EpochReport, to_evaluation
from nasgym.training.trainer import Trainer

__all__ = ["BundleTrainer", "Engine", "Job"]

Job: TypeAlias = tuple[NDArray[np.integer], int]
"""One training: a genotype ``int8[6]`` and a seed."""
Engine: TypeAlias = Literal["auto", "compiled", "stacked", "alone"]


class _Networks(Protocol):
    """Networks with their optimisers, one or several."""

    @property
    def evaluation_batch(self) -> int: ...

    def train_epoch(self, batches: Sequence[Iterable[tuple[Tensor, Tensor]]], rate: float) -> list[Score]: ...

    def evaluate(self, batches: Iterable[tuple[Tensor, Tensor]]) -> list[Score]: ...


class BundleTrainer(Trainer):
    """Trains many architectures at once: weights, data order, batch-norm statistics and results of each are its own.

    Every engine gives each member what `Trainer` gives it, up to floating-point rounding. ``"compiled"`` (CPU) runs
    each member through kernels compiled at the first use by the machine's C compiler, as many members side by side as
    PyTorch has threads. ``"stacked"`` (any device) runs all members as one `BundleNetwork`. ``"alone"`` is `Trainer`,
    member by member. ``"auto"`` is ``"compiled"`` on a CPU (``"alone"`` where there is no compiler) and ``"stacked"``
    elsewhere, by what measured best: docs/bundles.md.

    Args:
        space: The search space; bundles know ``nb201``.
        dataset: The data set, see `nasgym.recipes.dataset_names`.
        recipe: How to train.
        device: As in `Trainer`.
        data: The data set where it is at hand already; None: loaded by its name.
        engine: ``"auto"``, ``"compiled"``, ``"stacked"`` or ``"alone"``.

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
        super().__init__(space, dataset, recipe, device=device, data=data)
        if space.name != "nb201":
            raise InvalidSetting(f"bundles know the search space 'nb201'; got {space.name!r}. Use Trainer.")
        self._kernels = _kernels(engine, self.device)
        self.engine = _chosen(engine, self.device, self._kernels)

    def train(self, jobs: Sequence[Job], on_result: Callable[[Evaluation], None] | None = None) -> list[Evaluation]:
        """Train all ``jobs`` and return their evaluations in the same order.

        A member that diverges disturbs no other. The seconds of an evaluation are its share of the bundle's where
        members are stacked, and those of one thread where they are compiled: no measure of a training alone.

        Args:
            jobs: Genotypes ``int8[6]`` with seeds; they may repeat.
            on_result: Called in the calling thread with each evaluation as soon as it is there.

        Raises:
            InvalidArchitecture: A genotype is not in the space.
            InvalidSetting: A seed is negative.
            DatasetUnavailable: The data set is not on this machine.
            DeviceMemoryExhausted: The bundle does not fit into the device's memory.
        """
        checked = [(self._checked_row(row), _checked_seed(seed)) for row, seed in jobs]
        found: dict[int, Evaluation] = {}
        repeatable = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
        with memory_guard(f"training a bundle of {len(checked)} by {self.recipe.name}"), repeatable:
            for number, reports in self._trained(checked):
                row, seed = checked[number]
                found[number] = self._evaluation(row, seed, reports, len(checked))
                if on_result is not None:
                    on_result(found[number])
        return [found[number] for number in range(len(checked))]

    def _checked_row(self, genotype: NDArray[np.integer]) -> NDArray[np.integer]:
        row = np.asarray(genotype)
        if row.ndim != 1 or not self.space.is_valid(row[None])[0]:
            raise InvalidArchitecture(f"{row.tolist()} is not one genotype of the search space {self.space.name!r}.")
        return row

    def _evaluation(
        self, row: NDArray[np.integer], seed: int, reports: Sequence[EpochReport], members: int
    ) -> Evaluation:
        provenance = {**self._provenance(), "bundle": str(members), "engine": self.engine}
        index = int(self.space.index(row[None])[0])
        return to_evaluation(index, seed, len(self.data.classes), reports, provenance)

    def _trained(self, jobs: Sequence[Job]) -> Iterator[tuple[int, list[EpochReport]]]:
        """Yield the number of each job and its reports, as soon as they are there."""
        if not jobs:
            return
        self._splits()  # loaded here, once, before threads want it
        if self._kernels is not None:
            yield from self._trained_compiled(self._kernels, jobs)
        elif self.engine == "stacked":
            rows, seeds = np.stack([row for row, _ in jobs]), [seed for _, seed in jobs]
            networks = StackedNetworks(rows, self._macro(), self.recipe, seeds, self.device)
            yield from enumerate(self._epochs(networks, seeds))
        else:
            for number, (row, seed) in enumerate(jobs):
                yield number, self._train(row, seed)

    def _trained_compiled(self, kernels: CDLL, jobs: Sequence[Job]) -> Iterator[tuple[int, list[EpochReport]]]:
        macro = self._macro()
        weights = [member_network(row, macro, seed).state_dict() for row, seed in jobs]  # the generator is global
        with ThreadPoolExecutor(min(len(jobs), torch.get_num_threads())) as pool:
            waiting = {
                pool.submit(self._compiled, kernels, row, seed, own): number
                for number, ((row, seed), own) in enumerate(zip(jobs, weights, strict=True))
            }
            try:
                for done in as_completed(waiting):
                    yield waiting[done], done.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _compiled(
        self, kernels: CDLL, row: NDArray[np.integer], seed: int, weights: Mapping[str, Tensor]
    ) -> list[EpochReport]:
        """Train one member by the compiled kernels."""
        network = NativeNetwork(kernels, row, self._macro(), self.recipe)
        network.load(weights)
        return self._epochs(network, [seed])[0]

    def _macro(self) -> Macro:
        data = self.data
        return self.recipe.macro(len(data.classes), data.channels, data.resolution)

    def _epochs(self, networks: _Networks, seeds: Sequence[int]) -> list[list[EpochReport]]:
        """Train to the end; return the reports of each member up to the first in which it has diverged."""
        train, valid, test = self._splits()
        padding = resolve_padding(self.recipe.crop_padding, self.data.resolution)
        batch, size = self.recipe.batch_size, networks.evaluation_batch
        reports: list[list[EpochReport]] = [[] for _ in seeds]
        clock = _Clock(len(seeds))
        for epoch in range(self.recipe.epochs):
            plans = [plan_epoch(len(train), seed, epoch, padding, self.recipe.flip).to(self.device) for seed in seeds]
            batches = [train.planned(plan, batch) for plan in plans]
            trained = networks.train_epoch(batches, learning_rate(self.recipe, epoch))
            clock.train += clock.lap()
            validated, valid_seconds = networks.evaluate(valid.batches(size)), clock.lap()
            tested, test_seconds = networks.evaluate(test.batches(size)), clock.lap()
            for own, t, v, s in zip(reports, trained, validated, tested, strict=True):
                if not (own and own[-1].diverged):
                    numbers = (t.accuracy, v.accuracy, s.accuracy, t.loss, v.loss, s.loss)
                    own.append(
                        EpochReport(epoch + 1, self.recipe.epochs, *numbers, clock.train, valid_seconds, test_seconds)
                    )
            if all(own[-1].diverged for own in reports):
                break
        return reports


class _Clock:
    """Seconds of a bundle, shared out among its members."""

    def __init__(self, members: int) -> None:
        self._members, self._last = members, time.perf_counter()
        self.train = 0.0

    def lap(self) -> float:
        """Return one member's share of the seconds since the last call."""
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed / self._members


def _checked_seed(seed: int) -> int:
    if seed < 0:
        raise InvalidSetting(f"a training seed is 0 or more; got {seed}.")
    return int(seed)


def _kernels(engine: Engine, device: torch.device) -> CDLL | None:
    """Return the compiled kernels where the engine is to use them."""
    if engine not in get_args(Engine):
        raise InvalidSetting(f"engines are {', '.join(get_args(Engine))}; got {engine!r}.")
    if engine in ("stacked", "alone") or (engine == "auto" and device.type != "cpu"):
        return None
    if device.type != "cpu":
        raise InvalidSetting(f"the engine 'compiled' runs on the CPU; got the device {str(device)!r}. Take 'stacked'.")
    kernels = load_kernels()
    if kernels is None and engine == "compiled":
        raise InvalidSetting("the engine 'compiled' needs a C compiler (cc, gcc or clang, or one named by CC).")
    return kernels


def _chosen(engine: Engine, device: torch.device, kernels: CDLL | None) -> Engine:
    """Return what ``"auto"`` means here."""
    if engine != "auto":
        return engine
    if kernels is not None:
        return "compiled"
    return "alone" if device.type == "cpu" else "stacked"
