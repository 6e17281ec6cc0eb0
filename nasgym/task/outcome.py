"""What an evaluation gives: one result, a batch of them, and the best so far."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasgym.benchmark import AGGREGATE
from nasgym.spaces import Indices

__all__ = ["Batch", "Incumbent", "Outcome", "Result", "as_outcome", "joined", "refused"]


class Result(NamedTuple):
    """One evaluation.

    Attributes:
        index: The architecture.
        accuracy: What the protocol shows the agent, a fraction; NaN where the evaluation was refused.
        seconds: Simulated seconds charged.
        seed: The seed whose training answered; -1 is the mean over seeds.
        epochs: Epochs it was read at; 0 is the whole training.
        finished: Simulated time at which the result came in.
        counted: False where the budget refused the evaluation: it did not run.
        job: Which evaluation it is, counted from 0 in the order in which they started; -1 where it did not run.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which has no use here
    accuracy: float
    seconds: float
    seed: int
    epochs: int
    finished: float
    counted: bool
    job: int = -1


class Outcome(NamedTuple):
    """A batch of evaluations: the fields of `Result` as arrays ``[n]``."""

    indices: NDArray[np.int64]
    accuracies: NDArray[np.float64]
    seconds: NDArray[np.float64]
    seeds: NDArray[np.int64]
    finished: NDArray[np.float64]
    counted: NDArray[np.bool_]


class Incumbent(NamedTuple):
    """The best evaluation so far among whole trainings that ended within the budget; the first one wins a tie."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which has no use here
    accuracy: float
    finished: float


class Batch(NamedTuple):
    """Accepted evaluations of whole trainings; the fields of `Outcome` that differ."""

    indices: NDArray[np.int64]
    seeds: NDArray[np.int64]
    accuracies: NDArray[np.float64]
    seconds: NDArray[np.float64]
    finished: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, float, float, float]]) -> Batch:
        """Return the batch of rows ``(index, seed, accuracy, seconds, finished)``."""
        dtypes = (np.int64, np.int64, np.float64, np.float64, np.float64)
        columns: Iterable[Any] = zip(*rows, strict=True) if rows else ((),) * len(dtypes)
        return cls._make(np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True))

    def ordered(self) -> Batch:
        """Return the rows in the order in which their results came in."""
        order = np.argsort(self.finished, kind="stable")
        return Batch._make(column[order] for column in self)


def refused(index: int, now: float) -> Result:
    """Return the result of an evaluation that did not run."""
    return Result(index, math.nan, 0.0, AGGREGATE, 0, now, False)


def joined(indices: Indices, parts: Sequence[Batch], now: float) -> Outcome:
    """Join what was accepted; the rest of ``indices`` was refused."""
    if len(parts) == 1 and len(parts[0].indices) == len(indices):
        (all_of_it,) = parts
        return Outcome(
            indices,
            all_of_it.accuracies,
            all_of_it.seconds,
            all_of_it.seeds,
            all_of_it.finished,
            ~np.zeros(len(indices), dtype=np.bool_),
        )
    n = len(indices)
    out = Outcome(
        indices,
        np.full(n, np.nan),
        np.zeros(n),
        np.full(n, AGGREGATE, dtype=np.int64),
        np.full(n, now),
        np.zeros(n, dtype=np.bool_),
    )
    done = 0
    for part in parts:
        rows = slice(done, done + len(part.indices))
        out.accuracies[rows], out.seconds[rows], out.seeds[rows] = part.accuracies, part.seconds, part.seeds
        out.finished[rows], out.counted[rows] = part.finished, True
        done = rows.stop
    return out


def as_outcome(result: Result) -> Outcome:
    """Return one result as a batch of one."""
    numbers = np.array((result.accuracy, result.seconds, result.finished)).reshape(3, 1)
    integers = np.array((result.index, result.seed)).reshape(2, 1)
    return Outcome(integers[0], numbers[0], numbers[1], integers[1], numbers[2], np.array([result.counted]))
