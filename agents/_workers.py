"""Keeping the simulated workers of a task busy: ask for the next job when one is free, tell each result in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nasgym.task import Result, Task

__all__ = ["Job", "keep_busy", "whole_rounds"]


@dataclass(frozen=True, eq=False)
class Job:
    """What a worker is asked to do.

    Attributes:
        genotype: ``int8[num_decisions]``.
        epochs: How far to train; None: to the end.
        resume: The paused training that goes on; None: a new one.
    """

    genotype: NDArray[np.int8]
    epochs: int | None = None
    resume: Result | None = None


J = TypeVar("J", bound=Job)


def keep_busy(task: Task, ask: Callable[[], J], tell: Callable[[J, Result], None]) -> None:
    """Spend the task's budget: a worker that is free gets a job, and results come back in simulated order.

    Args:
        task: The task.
        ask: Returns the next job; asked only when a worker is free, with all earlier results told.
        tell: Takes a job and its result.
    """
    running: dict[int, J] = {}
    while True:
        while task.running < task.workers and not task.exhausted:
            job, number = ask(), task.evaluations + task.running
            if task.submit(job.genotype, job.epochs, resume=job.resume):
                running[number] = job
        result = task.next()
        if result is None:
            return
        tell(running.pop(result.job), result)


def whole_rounds(n: int, workers: int) -> int:
    """Return the least multiple of the workers that is at least ``n``: a batch that leaves no worker idle."""
    return -(-n // workers) * workers
