"""What a run evaluated, in the order in which its results came in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Trajectory", "TrajectoryArrays"]

_DTYPES = (np.int64, np.int64, np.int64, np.float64, np.float64, np.float64)


class TrajectoryArrays(NamedTuple):
    """A trajectory as arrays of one length.

    Attributes:
        indices: ``int64[n]``, the architectures.
        seeds: ``int64[n]``, the seed whose training answered; -1 is the mean over seeds.
        epochs: ``int64[n]``, epochs that the evaluation was read at; 0 is the whole training.
        accuracies: ``float64[n]``, what the agent saw.
        seconds: ``float64[n]``, simulated seconds charged.
        finished: ``float64[n]``, simulated time at which the result came in.
    """

    indices: NDArray[np.int64]
    seeds: NDArray[np.int64]
    epochs: NDArray[np.int64]
    accuracies: NDArray[np.float64]
    seconds: NDArray[np.float64]
    finished: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, int, float, float, float]]) -> TrajectoryArrays:
        """Build arrays from rows, their fields in this order."""
        columns: Iterable[Any] = zip(*rows, strict=True) if rows else ((),) * len(_DTYPES)
        arrays: Iterable[Any] = (np.array(c, dtype) for c, dtype in zip(columns, _DTYPES, strict=True))
        return cls(*arrays)


class Trajectory:
    """A growing record of evaluations: single rows and whole batches, in order."""

    def __init__(self) -> None:
        """Start empty."""
        self._chunks: list[TrajectoryArrays] = []
        self._rows: list[tuple[int, int, int, float, float, float]] = []
        self._length = 0

    def __len__(self) -> int:
        """Return the number of evaluations."""
        return self._length

    def append(self, index: int, seed: int, epochs: int, accuracy: float, seconds: float, finished: float) -> None:
        """Add one evaluation."""
        self._rows.append((index, seed, epochs, accuracy, seconds, finished))
        self._length += 1

    def extend(self, batch: TrajectoryArrays) -> None:
        """Add a batch of evaluations."""
        self._flush()
        self._chunks.append(batch)
        self._length += len(batch.indices)

    def arrays(self) -> TrajectoryArrays:
        """Return the whole trajectory as arrays."""
        self._flush()
        if len(self._chunks) != 1:
            columns = zip(*self._chunks, strict=True) if self._chunks else [[np.empty(0, d)] for d in _DTYPES]
            self._chunks = [TrajectoryArrays._make(np.concatenate(list(column)) for column in columns)]
        return self._chunks[0]

    def _flush(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            self._chunks.append(TrajectoryArrays._make(np.array(c, d) for c, d in zip(columns, _DTYPES, strict=True)))
            self._rows = []
