"""A benchmark under a protocol, with a clock: the thing that agents search and environments wrap."""

from __future__ import annotations

import heapq
import math
import operator
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from nasgym.benchmark import Benchmark, check_seed_policy
from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.spaces import Indices, Space
from nasgym.spaces.base import check_genotypes
from nasgym.task.answers import COSTS, Answers
from nasgym.task.clock import SimulatedClock
from nasgym.task.outcome import Batch, Incumbent, Outcome, Result, as_outcome, joined, refused
from nasgym.task.protocols import Protocol
from nasgym.task.trajectory import Trajectory, TrajectoryArrays

__all__ = ["Task"]


class Task:
    """What an agent faces.

    Args:
        benchmark: The table that is searched.
        protocol: The rules.
        budget: Simulated seconds; None: the protocol's own for this data set, infinity: none.
        workers: Simulated workers.
        max_evaluations: How many evaluations may run, beside the budget; None: no limit.
        seed: Picks which stored seeds answer, where the protocol says ``"random"``.
        record: Whether the trajectory is kept; without it only the incumbent is.
        shorter: Epochs -> the table of whole trainings of that length, see `Protocol.fidelities`; none: shorter
            trainings are parts of the whole ones.
        device: Where agents train that do, and are not told otherwise: ``"auto"``, ``"cpu"``, ``"cuda"``.

    Attributes:
        trajectory: All evaluations so far, in the order in which results came in.
        evaluations: How many evaluations were counted.
        incumbent: The best so far among whole trainings that ended within the budget, or None.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        protocol: Protocol,
        *,
        budget: float | None = None,
        workers: int = 1,
        max_evaluations: int | None = None,
        seed: int = 0,
        record: bool = True,
        shorter: Mapping[int, Benchmark] = MappingProxyType({}),
        device: str = "auto",
    ) -> None:
        """Join the parts and start the clock at zero."""
        check_seed_policy(protocol.seeds)
        if protocol.epoch is not None:
            benchmark.check_epoch(protocol.epoch)
        self.benchmark, self.protocol, self.record, self.device = benchmark, protocol, record, device
        budget = protocol.budget(benchmark.key.dataset) if budget is None else budget
        self.max_evaluations = max_evaluations
        self.clock = SimulatedClock(budget, workers=workers, overshoot=protocol.overshoot, max_jobs=max_evaluations)
        self._answers = Answers(benchmark, protocol, shorter, timed=not math.isinf(self.clock.budget))
        self.restart(seed)

    def restart(self, seed: int | None = None) -> None:
        """Begin anew at zero seconds, on what the table holds now; with a ``seed`` for other draws."""
        if seed is not None:
            self.seed = _whole(seed)
        self._answers.restart(self.seed)
        self.clock.restart()
        self.trajectory = Trajectory()
        self.evaluations = 0
        self.incumbent: Incumbent | None = None
        self._started = 0
        self._pending: list[tuple[float, int, Result]] = []

    @property
    def space(self) -> Space:
        """The search space."""
        return self.benchmark.space

    @property
    def name(self) -> str:
        """``space/dataset``, the id that `nasgym.task.make_task` takes."""
        return f"{self.benchmark.key.space}/{self.benchmark.key.dataset}"

    @property
    def budget(self) -> float:
        """Simulated seconds that may be spent; infinite where there is no budget."""
        return self.clock.budget

    @property
    def workers(self) -> int:
        """Simulated workers."""
        return self.clock.workers

    @property
    def epochs(self) -> int | None:
        """Epochs of a whole evaluation, or None for a recipe that nasgym does not know."""
        return self._answers.epochs

    @property
    def lengths(self) -> tuple[int, ...]:
        """Epochs that trainings have, rising, the whole ones last; empty where any part of a whole one will do."""
        return self._answers.lengths

    @property
    def seconds(self) -> float:
        """Simulated seconds so far."""
        return self.clock.now

    @property
    def remaining(self) -> float:
        """Simulated seconds left."""
        return self.clock.remaining

    @property
    def exhausted(self) -> bool:
        """Whether the budget or ``max_evaluations`` is spent: nothing that is submitted now would run."""
        return self.clock.exhausted

    @property
    def bounded(self) -> bool:
        """Whether every search ends: a limit of evaluations, or a budget that each evaluation uses up a part of."""
        return self.max_evaluations is not None or (self.protocol.charge_repeats and not math.isinf(self.budget))

    def evaluate(self, genotypes: NDArray[np.integer]) -> Outcome:
        """Evaluate a batch ``int8[n, num_decisions]`` and wait for all of it.

        Each evaluation is charged and appended to the trajectory. Where the budget refuses one, it and all after it
        come back with ``counted`` False and an accuracy of NaN.

        Raises:
            InvalidArchitecture: A row is not in the space.
            MissingResult: A result is not in the table and may not be trained, or its seconds are unknown.
        """
        return self.evaluate_indices(self._indices(genotypes))

    def evaluate_indices(self, indices: Indices) -> Outcome:
        """Evaluate architectures given by index ``int64[n]``; otherwise as `evaluate`."""
        self._check_idle()
        if len(indices) == 1 and self.clock.workers == 1:
            return as_outcome(self.evaluate_index(int(indices[0])))
        wanted = np.array(indices, dtype=np.int64)
        if self.clock.workers > 1:
            return joined(wanted, [self._evaluate_side_by_side(wanted)], self.clock.now)
        parts: list[Batch] = []
        done = 0
        while done < len(wanted) and not self.clock.exhausted:
            batch, read = self._evaluate_known(wanted[done:])
            parts.append(batch)
            done += read
            if done < len(wanted) and not self.clock.exhausted:
                self._answers.find(self._started, int(wanted[done]), None)  # trained now, or an error
        return joined(wanted, parts, self.clock.now)

    def evaluate_index(self, index: int) -> Result:
        """Evaluate one architecture on one worker: the scalar form of `evaluate_indices`."""
        if self.clock.exhausted:
            return refused(index, self.clock.now)
        accuracy, seconds, seed = self._answers.read(self._started, index, None)
        finished = self.clock.charge(seconds)
        if finished is None:
            return refused(index, self.clock.now)
        result = Result(index, accuracy, seconds, seed, 0, finished, True, self._started)
        self._started += 1
        self._count(result)
        return result

    def submit(self, genotype: NDArray[np.integer], epochs: int | None = None, *, resume: Result | None = None) -> bool:
        """Start an evaluation on the simulated worker that is free first.

        The number of the job, which `Result.job` brings back, is ``evaluations + running`` before the call.

        Args:
            genotype: ``int8[num_decisions]``.
            epochs: Train for so many epochs only; None: all of the protocol's.
            resume: An earlier result of this architecture after fewer epochs: that training goes on, and the rest of
                it is charged. Where the protocol says that trainings cannot go on, a new one is charged as a whole.

        Returns:
            False where the budget refuses it; then nothing is running that was not running before.

        Raises:
            InvalidSetting: ``epochs`` is not in 1..the recipe's, or ``resume`` is not an earlier part of this training.
        """
        if epochs is not None:
            self.benchmark.check_epoch(epochs)
            epochs = None if epochs == self.epochs else epochs
            self._answers.check_length(epochs)
        if self.clock.exhausted:
            return False
        index = int(self._indices(np.asarray(genotype)[None])[0])
        if resume is not None:
            _check_resumed(resume, index, epochs)
        paused = resume if self.protocol.resumes else None
        accuracy, seconds, seed = self._answers.read(self._started, index, epochs, paused)
        finished = self.clock.start(seconds)
        if finished is None:
            return False
        result = Result(index, accuracy, seconds, seed, epochs or 0, finished, True, self._started)
        heapq.heappush(self._pending, (finished, self._started, result))
        self._started += 1
        return True

    def next(self) -> Result | None:
        """Wait for the submitted evaluation that ends first; None when nothing is running."""
        if not self._pending:
            return None
        finished, _, result = heapq.heappop(self._pending)
        self.clock.advance(finished)
        self._count(result)
        return result

    def check_known(self, epochs: int) -> None:
        """Raise `MissingResult` where the table knows no training of so many epochs at all, and will not know any."""
        self._answers.check_known(None if epochs == self.epochs else epochs)

    def spend(self, seconds: float) -> None:
        """Charge seconds that are no evaluation, such as those of training a super-network, to all workers.

        The clock moves, past the budget if need be, and nothing else changes: evaluations and trajectory do not.

        Raises:
            InvalidSetting: The seconds are negative or not finite, or submitted jobs are running.
        """
        if not (math.isfinite(seconds) and seconds >= 0):
            raise InvalidSetting(f"seconds to spend are finite and 0 or more; got {seconds!r}.")
        self._check_idle()
        self.clock.spend(float(seconds))

    @property
    def dearest(self) -> float:
        """The most seconds that a whole evaluation in the table is charged, whoever asks; 0 where none is known."""
        return self._answers.dearest

    @property
    def running(self) -> int:
        """How many submitted evaluations have not come back yet."""
        return len(self._pending)

    def _check_idle(self) -> None:
        if self._pending:
            raise InvalidSetting(f"{len(self._pending)} submitted jobs are running: call next() until it gives None.")

    def _indices(self, genotypes: NDArray[np.integer]) -> Indices:
        rows = check_genotypes(genotypes, self.space.num_decisions)
        valid = self.space.is_valid(rows)
        if not np.logical_and.reduce(valid):
            bad = rows[int(np.argmin(valid))].tolist()
            raise InvalidArchitecture(
                f"{bad} is not an architecture of {self.space.name}: its {self.space.num_decisions} decisions have "
                f"{self.space.choices.tolist()} options, counted from 0."
            )
        return self.space.index(rows)

    def _evaluate_known(self, indices: Indices) -> tuple[Batch, int]:
        """Evaluate up to the first that is missing; return what was accepted and how many were read."""
        view = self._answers.view(None)
        slots = self._answers.slots(view, self._started, indices)
        accuracies, seconds = view.values_and_total(self.protocol.metric, COSTS, slots, indices)
        read = len(indices)
        if not view.is_complete(self.protocol.seeds):
            missing = np.isnan(accuracies)
            read = int(np.argmax(missing)) if missing.any() else read
            indices, slots, accuracies, seconds = indices[:read], slots[:read], accuracies[:read], seconds[:read]
        seconds = self._answers.to_charge(view, slots, indices, seconds)
        finished = self.clock.charge_all(seconds)
        n = len(finished)
        if n < len(indices):
            indices, slots, accuracies, seconds = indices[:n], slots[:n], accuracies[:n], seconds[:n]
        batch = Batch(indices, view.seeds.take(slots), accuracies, seconds, finished)
        self._count_batch(batch)
        return batch, read

    def _evaluate_side_by_side(self, indices: Indices) -> Batch:
        """Evaluate on several workers and wait for all; return what was accepted.

        One by one: what is missing is trained before its seconds are known, and jobs that run side by side must
        not wait for that.
        """
        rows: list[tuple[int, int, float, float, float]] = []
        try:
            for index in indices.tolist():
                if self.clock.exhausted:
                    break
                accuracy, seconds, seed = self._answers.read(self._started + len(rows), index, None)
                finished = self.clock.start(seconds)
                if finished is None:
                    break
                rows.append((index, seed, accuracy, seconds, finished))
        finally:  # what ran before one that is missing is charged, and counts
            self.clock.join()
            batch = Batch.of(rows)
            self._count_batch(batch.ordered())
        return batch

    def _count(self, result: Result) -> None:
        self.evaluations += 1
        if result.epochs == 0 and result.finished <= self.clock.budget:
            self._offer(result.index, result.accuracy, result.finished)
        if self.record:
            self.trajectory.append(
                result.index, result.seed, result.epochs, result.accuracy, result.seconds, result.finished
            )

    def _offer(self, index: int, accuracy: float, finished: float) -> None:
        if self.incumbent is None or accuracy > self.incumbent.accuracy:
            self.incumbent = Incumbent(index, accuracy, finished)

    def _count_batch(self, batch: Batch) -> None:
        """Count evaluations that are in the order in which their results came in."""
        n = len(batch.indices)
        if not n:
            return
        self.evaluations += n
        self._started += n
        late = batch.finished[-1] > self.clock.budget  # an overshoot is counted, but it is no answer
        within = int(np.searchsorted(batch.finished, self.clock.budget, side="right")) if late else n
        if within:
            best = int(batch.accuracies[:within].argmax())
            self._offer(int(batch.indices[best]), float(batch.accuracies[best]), float(batch.finished[best]))
        if self.record:
            whole = np.zeros(n, np.int64)
            kept = TrajectoryArrays(batch.indices, batch.seeds, whole, batch.accuracies, batch.seconds, batch.finished)
            self.trajectory.extend(TrajectoryArrays._make([column.copy() for column in kept]))  # the caller has these


def _check_resumed(paused: Result, index: int, epochs: int | None) -> None:
    if paused.index != index or not paused.epochs or (epochs is not None and epochs <= paused.epochs):
        stopped = f"{paused.epochs} epochs" if paused.epochs else "all epochs"
        raise InvalidSetting(
            f"the training of architecture {paused.index}, stopped after {stopped}, cannot go on as one of "
            f"architecture {index} to epoch {epochs or 'the last'}: resume= takes an earlier result of the same one."
        )


def _whole(seed: int) -> int:
    try:
        return operator.index(seed)
    except TypeError:
        raise InvalidSetting(f"a task's seed is a whole number; got {seed!r}.") from None
