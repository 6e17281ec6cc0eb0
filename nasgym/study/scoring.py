"""Scores of the architectures that runs settled on. Nothing else looks at what an agent may not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.benchmark import Benchmark
from nasgym.study.records import RunSet
from nasgym.task import Score, Task
from nasgym.task.trajectory import TrajectoryArrays

__all__ = ["NOTHING", "ScoreTable", "best_architecture", "incumbents", "score_tables", "take"]

NOTHING = -1
"""Stands for a row or an index where there is no incumbent yet."""


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """One score for every architecture of a space.

    Attributes:
        score: What it is.
        values: ``float64[N]``, the mean over stored seeds in the unit of the API; NaN where it is not known.
        best: The best known value, NaN where none is.
    """

    score: Score
    values: NDArray[np.float64]
    best: float

    @property
    def rises(self) -> bool:
        """Whether more is better: accuracies rise, losses and seconds do not."""
        return _rises(self.score.metric)

    def of(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the scores of architectures ``int64[...]``; NaN for `NOTHING` and where it is not known."""
        return np.where(indices == NOTHING, np.nan, self.values[indices])

    def regret(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how far architectures ``int64[...]`` stay behind the best known one, 0 or more, or NaN."""
        behind = self.best - self.of(indices)
        return behind if self.rises else -behind


def score_tables(task: Task) -> tuple[ScoreTable, ...]:
    """Return the scores of the task's protocol, in its order; all NaN where a table is not in the store."""
    return tuple(_score_table(task, score) for score in task.protocol.scores)


def best_architecture(values: NDArray[np.float64], metric: str) -> int:
    """Return the architecture with the best known value of a metric, `NOTHING` where none is known."""
    if np.isnan(values).all():
        return NOTHING
    return int(np.nanargmax(values) if _rises(metric) else np.nanargmin(values))


def incumbents(runs: RunSet, times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return what each run would have answered at each simulated time.

    The answer is the whole training with the best accuracy that had ended at that time, the first of equals. An
    evaluation that is still running does not count, so one that ends after the budget does not count at the budget.

    Args:
        runs: The runs.
        times: ``float64[k]``, simulated seconds.

    Returns:
        ``int64[runs, k]``: rows of ``runs.evaluations``, `NOTHING` before the first result.
    """
    starts = np.cumsum(runs.lengths) - runs.lengths
    rows = [_holders(trajectory, times, start) for (_, trajectory), start in zip(runs, starts.tolist(), strict=True)]
    return np.stack(rows) if rows else np.empty((0, len(times)), dtype=np.int64)


def take(column: NDArray[Any], rows: NDArray[np.int64], nothing: float) -> NDArray[Any]:
    """Return ``column[rows]``, with ``nothing`` where a row is `NOTHING`."""
    if not len(column):
        return np.full(rows.shape, nothing, dtype=column.dtype)
    return np.where(rows == NOTHING, np.asarray(nothing, dtype=column.dtype), column[rows])


def _holders(trajectory: TrajectoryArrays, times: NDArray[np.float64], start: int) -> NDArray[np.int64]:
    """Return for one run the row that holds the lead at each time, counted from ``start``."""
    whole = np.flatnonzero(trajectory.epochs == 0)
    order = whole[np.argsort(trajectory.finished[whole], kind="stable")]
    if not len(order):
        return np.full(len(times), NOTHING)
    seen = trajectory.accuracies[order]
    best = np.maximum.accumulate(seen)
    improves = np.concatenate([[True], seen[1:] > best[:-1]])
    holder = np.maximum.accumulate(np.where(improves, np.arange(len(order)), 0))
    known = np.searchsorted(trajectory.finished[order], times, side="right") - 1
    return np.where(known < 0, NOTHING, order[holder[known]] + start)


def _score_table(task: Task, score: Score) -> ScoreTable:
    key = score.table(task.benchmark.key)
    benchmark = Benchmark(task.space, key, task.benchmark.store, share_equal=task.benchmark.share_equal or None)
    view = benchmark.view((score.metric,))
    values = view.means(score.metric)
    best = best_architecture(values, score.metric)
    return ScoreTable(score, values, np.nan if best == NOTHING else float(values[best]))


def _rises(metric: str) -> bool:
    return metric.endswith("_accuracy")
