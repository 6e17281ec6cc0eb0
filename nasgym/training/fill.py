"""Filling a table: every missing cell is trained, in bundles, by several processes, and can go on at any moment."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from nasgym.errors import InvalidSetting, StoreError
from nasgym.executors import Executor, Outcome, executor_for
from nasgym.recipes import Recipe, check_dataset
from nasgym.results import Evaluation, TableKey
from nasgym.results_file import TableMeta
from nasgym.spaces import Space
from nasgym.store import Cell
from nasgym.training.bundle import Engine
from nasgym.training.datasets import load_dataset
from nasgym.training.devices import resolve_device
from nasgym.training.fill_results import Failure, FillResults
from nasgym.training.fill_work import Plan, train_cells
from nasgym.training.images import ImageData

__all__ = ["FillProgress", "FillReport", "cells_of", "fill"]

_MEMBERS = {"cpu": 4, "cuda": 64}  # of a bundle; see docs/bundles.md
_Trained = tuple[list[Evaluation], list[Failure]]


@dataclass(frozen=True)
class FillProgress:
    """How far a filling is.

    Attributes:
        total: Cells that were missing at the start.
        done: Cells of them that have been trained here.
        failed: Cells that could not be trained.
        elsewhere: Cells that another filling has or had claimed.
        seconds: Since the start.
    """

    total: int
    done: int
    failed: int
    elsewhere: int
    seconds: float

    @property
    def cells_per_second(self) -> float:
        """The speed so far."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this speed; None before the first cell."""
        rest = self.total - self.done - self.failed - self.elsewhere
        return rest / self.cells_per_second if self.done else None


@dataclass(frozen=True)
class FillReport:
    """What a filling did.

    Attributes:
        wanted: Cells that were asked for.
        present: Cells of them that had results at the start.
        trained: Cells trained here.
        elsewhere: Cells left to another filling.
        failures: Cells that could not be trained here, or were not tried again.
        seconds: Of the whole filling.
    """

    wanted: int
    present: int
    trained: int
    elsewhere: int
    failures: tuple[Failure, ...]
    seconds: float


def cells_of(space: Space, seeds: Iterable[int], *, unique: bool = False, limit: int | None = None) -> list[Cell]:
    """Return the cells of a whole table, seed by seed; neighbours in the list differ in few operations.

    Args:
        space: The search space.
        seeds: The seeds.
        unique: Of equal networks only the class's representative (`Space.canonical`). A `Benchmark` with
            ``share_equal=True`` answers with its results for all of them.
        limit: At most so many architectures; None: all.
    """
    indices = np.arange(space.size)
    if unique:
        indices = np.unique(space.canonical(space.from_index(indices)))
    order = np.lexsort(space.from_index(indices).T[::-1])
    chosen = indices[order][:limit].tolist()
    return [Cell(index, seed) for seed in seeds for index in chosen]


def fill(
    space: Space,
    dataset: str,
    recipe: Recipe,
    cells: Sequence[Cell],
    results: FillResults,
    *,
    workers: int | None = None,
    members: int | None = None,
    device: str = "auto",
    engine: Engine = "auto",
    data: ImageData | None = None,
    retry_failed: bool = False,
    on_progress: Callable[[FillProgress], None] | None = None,
) -> FillReport:
    """Train every cell of ``cells`` that has no result yet.

    This process alone writes results, a bundle at a time; whatever ends it loses only the bundles under way. Cells
    are claimed as they are handed out. A bundle whose worker dies is tried again, each of its cells alone.

    Args:
        space: The search space.
        dataset: The data set.
        recipe: How to train.
        cells: What the table shall hold, see `cells_of`.
        results: Where results go.
        workers: Processes; 1: this one. None: one per core on a CPU, this one on other devices.
        members: Cells per bundle; None: what measured best.
        device: Where to train.
        engine: See `BundleTrainer`.
        data: The data set where it is at hand; None: loaded by its name.
        retry_failed: Try cells again that failed before.
        on_progress: Called after every bundle.

    Raises:
        InvalidSetting: A number is out of its bounds, or the device cannot be used.
        DatasetUnavailable: The data set is not on this machine.
        TableMismatch: The table was made with another recipe or another version of the data set.
        StoreFull, StoreReadOnly: Results cannot be kept.
    """
    kind = resolve_device(device).type
    workers = workers if workers is not None else (os.cpu_count() or 1) if kind == "cpu" else 1
    members = _MEMBERS.get(kind, 16) if members is None else members
    if members < 1:
        raise InvalidSetting(f"a bundle has at least 1 member; got {members}.")
    executor = executor_for(workers)
    given = load_dataset(dataset, image_size=recipe.image_size) if data is None else data
    key = TableKey(space.name, check_dataset(dataset), recipe.name)
    results.begin(TableMeta(key, space.size, asdict(recipe), given.fingerprint))
    try:
        work = partial(train_cells, Plan(space.name, dataset, recipe, device, engine, data))
        return _Filling(results, cells, retry_failed, on_progress).run(executor, work, members)
    finally:
        results.end()


class _Filling:
    """The driver: hands out bundles, keeps what comes back."""

    def __init__(
        self,
        results: FillResults,
        cells: Sequence[Cell],
        retry_failed: bool,
        on_progress: Callable[[FillProgress], None] | None,
    ) -> None:
        self._results, self._on_progress, self._start = results, on_progress, time.perf_counter()
        wanted, done, self._log = list(dict.fromkeys(cells)), results.done(), results.failures()
        given_up = {} if retry_failed else self._log.read()
        missing = [cell for cell in wanted if cell not in done]
        self._wanted, self._present = len(wanted), len(wanted) - len(missing)
        self._failures = [Failure(cell, given_up[cell]) for cell in missing if cell in given_up]
        self._queue = deque(cell for cell in missing if cell not in given_up)
        self._total, self._given_up = len(self._queue), len(self._failures)
        self._trained = self._elsewhere = 0
        self._under_way: set[Cell] = set()

    def run(self, executor: Executor, work: Callable[[tuple[Cell, ...]], _Trained], members: int) -> FillReport:
        """Train everything; claims of bundles that did not come back are given up, whatever ends this."""
        again: list[Cell] = []
        try:
            for outcome in executor.map_unordered(work, self._bundles(self._queue, members)):
                self._take(outcome, again if len(outcome.item) > 1 else None)
            for outcome in executor.map_unordered(work, self._bundles(deque(again), 1)):
                self._take(outcome, None)
        finally:
            with suppress(StoreError):  # what ended this is the error to tell
                self._results.release(self._under_way)
        seconds = time.perf_counter() - self._start
        return FillReport(self._wanted, self._present, self._trained, self._elsewhere, tuple(self._failures), seconds)

    def _bundles(self, queue: deque[Cell], members: int) -> Iterator[tuple[Cell, ...]]:
        """Yield bundles of cells that nobody else has, claimed only when a worker is free for them."""
        while queue:
            cells = [queue.popleft() for _ in range(min(members, len(queue)))]
            free = self._results.claim(cells)
            self._elsewhere += len(cells) - len(free)
            if free:
                self._under_way.update(free)
                yield tuple(free)

    def _take(self, outcome: Outcome[tuple[Cell, ...], _Trained], again: list[Cell] | None) -> None:
        """Keep what a bundle gave; where it failed as a whole, its cells go to ``again`` or to the failures."""
        evaluations, failures = outcome.value or ([], [])
        self._results.put(evaluations)
        if outcome.error is not None and again is not None:
            again.extend(outcome.item)
        elif outcome.error is not None:
            failures = [Failure(cell, outcome.error) for cell in outcome.item]
        self._log.append(failures)
        self._results.release(outcome.item)
        self._under_way.difference_update(outcome.item)
        self._trained += len(evaluations)
        self._failures += failures
        if self._on_progress is not None:
            failed, seconds = len(self._failures) - self._given_up, time.perf_counter() - self._start
            self._on_progress(FillProgress(self._total, self._trained, failed, self._elsewhere, seconds))
