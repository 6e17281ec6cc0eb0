"""Filling a table: every missing cell is trained, in bundles, by several processes, and can go on at any moment."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch

from nasgym.errors import InvalidSetting, RunFailed, StoreError
from nasgym.executors import Executor, InProcess, Outcome, Processes, Ray, cores
from nasgym.executors.repeating import repeating
from nasgym.recipes import Recipe, check_dataset
from nasgym.results import Evaluation, TableKey
from nasgym.results_file import TableMeta
from nasgym.spaces import Space
from nasgym.store import Cell
from nasgym.training.bundle import Engine
from nasgym.training.datasets import load_dataset
from nasgym.training.devices import device_kind, resolve_device
from nasgym.training.engines import bundle_engine
from nasgym.training.fill_results import Failure, FillResults
from nasgym.training.fill_work import Plan, train_cells
from nasgym.training.images import ImageData

__all__ = ["FillProgress", "FillReport", "cells_of", "fill"]

_STACKED = {"cpu": 4, "cuda": 64}  # members of a bundle that is one network; see docs/bundles.md
_RENEWAL = 300.0  # seconds between two renewals of claims, a third of what a claim lasts
_STUCK = 10  # bundles that fail one after another with the same error: it is not the cells
_WINDOW = 300.0  # seconds over which the present speed is measured
_Trained = tuple[list[Evaluation], list[Failure]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FillProgress:
    """How far a filling is.

    Attributes:
        total: Cells that were missing at the start.
        done: Cells of them that have been trained here.
        failed: Cells that could not be trained.
        elsewhere: Cells that another filling has or had claimed.
        seconds: Since the start.
        present_speed: Cells per second over the last five minutes, or since the start where that is less.
    """

    total: int
    done: int
    failed: int
    elsewhere: int
    seconds: float
    present_speed: float = 0.0

    @property
    def cells_per_second(self) -> float:
        """The mean speed so far."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the present speed; None where nothing was trained lately."""
        rest = self.total - self.done - self.failed - self.elsewhere
        return rest / self.present_speed if self.present_speed > 0 else None


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
    executor: Executor | Literal["local", "ray"] = "local",
    ray_address: str | None = None,
    workers: int | None = None,
    members: int | None = None,
    device: str = "auto",
    engine: Engine = "auto",
    data: ImageData | None = None,
    shares_equal: bool = False,
    retry_failed: bool = False,
    on_progress: Callable[[FillProgress], None] | None = None,
) -> FillReport:
    """Train every cell of ``cells`` that has no result yet.

    This process alone writes results, a bundle at a time; whatever ends it loses only the bundles under way. Cells
    are claimed as they are handed out, and the claims renewed until the results are there. A bundle whose worker dies
    is tried again, each of its cells alone. Workers get the data set from this process: all train on the same images,
    whatever happens to the files meanwhile.

    With ``executor="ray"`` bundles go to a Ray cluster, each to one CPU, or to one GPU where ``device`` is ``"cuda"``
    or is ``"auto"`` and the cluster has any.

    Args:
        space: The search space.
        dataset: The data set.
        recipe: How to train.
        cells: What the table shall hold, see `cells_of`.
        results: Where results go.
        executor: Where bundles are trained: ``"local"``, ``"ray"``, or a place of your own for CPU work.
        ray_address: Of the Ray cluster, see `nasgym.executors.Ray`.
        workers: Processes; 1: this one, which a training that crashes takes with it. None: one per core on a CPU, one
            beside this one on other devices; with Ray as many as the cluster has room for.
        members: Cells per bundle; None: what measured best for cells that are stacked, else as many as a worker trains
            side by side.
        device: Where to train.
        engine: See `BundleTrainer`.
        data: The data set where it is at hand; None: loaded by its name.
        shares_equal: Record with the table that a result stands for all equal networks; right for the cells of
            ``cells_of(..., unique=True)``. Without it the record goes when every architecture has its own results.
        retry_failed: Try cells again that failed before.
        on_progress: Called after every bundle.

    Raises:
        InvalidSetting: A number is out of its bounds, or the device or the cluster cannot be used.
        RunFailed: nasgym is missing on a machine of the cluster, or is another version; workers cannot start; or bundle
            after bundle failed with the same error.
        DatasetUnavailable: The data set is not on this machine.
        TableMismatch: The table was made with another recipe or another version of the data set.
        StoreFull, StoreReadOnly: Results cannot be kept.
    """
    with ExitStack() as stack:
        place, device = _place(executor, ray_address, workers, device)
        members = _members(members, space, recipe, device, engine, isinstance(place, InProcess))
        given = load_dataset(dataset, image_size=recipe.image_size, split=recipe.split) if data is None else data
        if isinstance(place, Ray) and place is not executor:
            stack.enter_context(place)
        key = TableKey(space.name, check_dataset(dataset), recipe.name)
        results.begin(TableMeta(key, space.size, asdict(recipe), given.fingerprint, shares_equal=shares_equal))
        stack.callback(results.end)
        work = partial(train_cells, Plan(space.name, dataset, recipe, device, engine, given))
        report = _Filling(results, cells, retry_failed, on_progress).run(place, work, members)
        if not shares_equal:
            results.stop_sharing()
        return report


def _place(
    executor: Executor | Literal["local", "ray"], address: str | None, workers: int | None, device: str
) -> tuple[Executor, str]:
    """Return where bundles are trained, and on which device there."""
    if executor == "ray":
        cluster, kind = Ray(address, workers=workers), device_kind(device)
        if kind == "auto":
            kind = "cuda" if cluster.total("GPU") else "cpu"
        cluster.gpus = 1.0 if kind == "cuda" else 0.0
        return cluster, kind
    if address is not None:
        raise InvalidSetting(f"the address {address!r} of a Ray cluster needs the executor 'ray'.")
    found = resolve_device(device)
    if executor == "local":
        return _local(workers, found), str(found)
    if isinstance(executor, str):
        raise InvalidSetting(f"executors are 'local' and 'ray'; got {executor!r}.")
    return executor, str(found)


def _local(workers: int | None, device: torch.device) -> Executor:
    """Return where bundles are trained on this machine."""
    if workers == 1:
        return InProcess()
    if device.type == "cpu":
        return Processes(cores() if workers is None else workers)
    count = 1 if workers is None else workers
    return Processes(count, threads=max(1, cores() // max(1, count)), fresh_after_error=True)


def _members(members: int | None, space: Space, recipe: Recipe, device: str, engine: Engine, here: bool) -> int:
    """Return how many cells a bundle has: more than a worker trains at once gain nothing, and are lost together."""
    if members is not None:
        if members < 1:
            raise InvalidSetting(f"a bundle has at least 1 member; got {members}.")
        return members
    taken = bundle_engine(space, recipe, torch.device(device)) if engine == "auto" else engine
    if taken == "stacked":
        return _STACKED.get(device_kind(device), 16)
    return torch.get_num_threads() if taken == "compiled" and here else 1  # a worker elsewhere has one thread


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
        self._same_error = ("", 0)  # of the last bundles, and how many of them
        self._lately = deque([(0.0, 0)])  # (seconds, cells trained until then)

    def run(self, executor: Executor, work: Callable[[tuple[Cell, ...]], _Trained], members: int) -> FillReport:
        """Train everything; claims of bundles that did not come back are given up, whatever ends this."""
        again: list[Cell] = []
        try:
            with repeating(self._renew, _RENEWAL):
                for outcome in executor.map_unordered(work, self._bundles(self._queue, members)):
                    self._take(outcome, again if len(outcome.item) > 1 or outcome.died else None)
                    self._stop_where_stuck(outcome)
                for outcome in executor.map_unordered(work, self._bundles(deque(again), 1)):
                    self._take(outcome, None)
                    if not self._trained:  # else these cells, which failed before, may well fail one after another
                        self._stop_where_stuck(outcome)
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

    def _renew(self) -> None:
        try:
            self._results.renew(self._under_way.copy())
        except Exception as error:  # noqa: BLE001 - the next try may do; another filling may train these cells, no more
            _log.warning("claims could not be renewed: %s", error)

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
            self._on_progress(self._progress(time.perf_counter() - self._start))

    def _stop_where_stuck(self, outcome: Outcome[tuple[Cell, ...], _Trained]) -> None:
        """Raise `RunFailed` where bundle after bundle failed in the same way: the place is broken, not the cells."""
        (before, times), error = self._same_error, outcome.error or ""
        self._same_error = error, times + 1 if error == before else 1
        if error and self._same_error[1] == _STUCK:
            raise RunFailed(
                f"{_STUCK} bundles, one after another, failed with the same error; the filling is stopped: {error}\n"
                f"{outcome.traceback}\nMend the cause and start it again; --retry-failed (retry_failed=True) tries the "
                "cells of these bundles again too."
            )

    def _progress(self, seconds: float) -> FillProgress:
        while len(self._lately) > 1 and self._lately[1][0] <= seconds - _WINDOW:
            self._lately.popleft()
        (then, before), failed = self._lately[0], len(self._failures) - self._given_up
        self._lately.append((seconds, self._trained))
        speed = (self._trained - before) / (seconds - then) if seconds > then else 0.0
        return FillProgress(self._total, self._trained, failed, self._elsewhere, seconds, speed)
