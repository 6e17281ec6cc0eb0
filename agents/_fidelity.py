"""Rungs of training length, and brackets of successive halving that climb them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nasgym.agents._workers import Job, keep_busy
from nasgym.errors import InvalidSetting
from nasgym.task import Result, Task

__all__ = ["Bracket", "BracketJob", "check_rungs", "climb", "hyperband_sizes", "rungs"]


def rungs(task: Task, eta: int, min_epochs: int) -> list[int]:
    """Return the epochs of each rung, rising: the whole training divided by powers of ``eta``, rounded.

    Where shorter trainings are tables of their own, there is a rung for each of those lengths, whatever ``eta`` is.

    Args:
        task: The task.
        eta: The ratio between rungs, at least 2.
        min_epochs: The least epochs of a rung before rounding.

    Raises:
        InvalidSetting: ``min_epochs`` is more than the whole training has, or nasgym does not know how many that is.
    """
    whole = task.epochs
    if whole is None:
        raise InvalidSetting(
            f"how many epochs a whole training on {task.benchmark.key} has is not known, so there are no shorter ones: "
            "use a recipe of nasgym, or a protocol with epoch=."
        )
    if min_epochs > whole:
        raise InvalidSetting(f"min_epochs must be at most {whole}, a whole training on {task.name}; got {min_epochs}.")
    if task.lengths:
        return [epochs for epochs in task.lengths if epochs >= min_epochs]
    highest = 0
    while min_epochs * eta ** (highest + 1) <= whole:
        highest += 1
    return [max(1, round(whole / eta**k)) for k in range(highest, -1, -1)]


def check_rungs(task: Task, epochs: Sequence[int]) -> None:
    """Raise `MissingResult` where the tables of a task know nothing of trainings as long as one of the rungs."""
    for length in epochs:
        task.check_known(length)


def hyperband_sizes(top: int, bracket: int, eta: int) -> list[int]:
    """Return how many architectures each rung of a Hyperband bracket trains (Li et al., JMLR 2018, algorithm 1).

    Args:
        top: The number of the highest rung, counted from 0 (``s_max``).
        bracket: How many times its architectures are halved (``s``), from 0 to ``top``.
        eta: The ratio between rungs.
    """
    first = -(-(top + 1) * eta**bracket // (bracket + 1))  # rounded up
    return [first // eta**i for i in range(bracket + 1)]


class Bracket:
    """One round of successive halving: the best of each rung train on at the next, when all of the rung are back."""

    def __init__(
        self, sizes: Sequence[int], epochs: Sequence[int | None], draw: Callable[[], NDArray[np.int8]]
    ) -> None:
        """Draw nothing yet: each architecture of the lowest rung is drawn when a worker is free for it.

        Args:
            sizes: How many architectures train at each rung, falling.
            epochs: How far they train there, rising; None: to the end.
            draw: Returns a new architecture ``int8[num_decisions]``.
        """
        self.sizes, self.epochs, self._draw = tuple(sizes), tuple(epochs), draw
        self._rung = self._started = 0
        self._promoted: list[tuple[NDArray[np.int8], Result]] = []
        self._back: list[tuple[NDArray[np.int8], Result]] = []

    def job(self) -> BracketJob | None:
        """Return the next job; None while the rung has none left to start, or the round is over."""
        if self._rung == len(self.sizes) or self._started == self.sizes[self._rung]:
            return None
        number, epochs = self._started, self.epochs[self._rung]
        self._started += 1
        if not self._rung:
            return BracketJob(self._draw(), epochs, bracket=self, rung=0)
        genotype, paused = self._promoted[number]
        return BracketJob(genotype, epochs, paused if paused.epochs else None, bracket=self, rung=self._rung)

    def tell(self, job: BracketJob, result: Result) -> None:
        """Take a result in; the last of a rung opens the next."""
        self._back.append((job.genotype, result))
        if len(self._back) < self.sizes[self._rung]:
            return
        self._rung, self._started = self._rung + 1, 0
        room = self.sizes[self._rung] if self._rung < len(self.sizes) else 0
        self._promoted = sorted(self._back, key=lambda pair: -pair[1].accuracy)[:room]
        self._back = []

    @property
    def over(self) -> bool:
        """Whether the last rung is done."""
        return self._rung == len(self.sizes)


@dataclass(frozen=True, eq=False)
class BracketJob(Job):
    """A job, the bracket that it belongs to, and the bracket's rung that it is for, counted from 0."""

    bracket: Bracket = field(kw_only=True)
    rung: int = field(kw_only=True)


def climb(task: Task, brackets: Iterator[Bracket], learn: Callable[[BracketJob, Result], None]) -> None:
    """Spend the task's budget on brackets one after the other.

    A worker that is free takes a job of the oldest bracket that has one; where all wait for results, the next bracket
    begins. On one worker a bracket ends before the next begins.

    Args:
        task: The task.
        brackets: Gives brackets without end.
        learn: Told of every result, after its bracket.
    """
    opened: list[Bracket] = []

    def ask() -> BracketJob:
        for bracket in opened:
            if (job := bracket.job()) is not None:
                return job
        opened[:] = [bracket for bracket in opened if not bracket.over]
        opened.append(next(brackets))
        job = opened[-1].job()
        assert job is not None  # a new bracket has its whole lowest rung to start
        return job

    def tell(job: BracketJob, result: Result) -> None:
        job.bracket.tell(job, result)
        learn(job, result)

    keep_busy(task, ask, tell)
