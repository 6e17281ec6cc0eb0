"""The official results of NAS-Bench-101 in a store."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from nasgym.compact import TOOL
from nasgym.compat.nasbench.results import Run
from nasgym.importers.nasbench101 import REPEATS, TABLES
from nasgym.results import Evaluation
from nasgym.spaces import NB101, Indices
from nasgym.store import Store

__all__ = ["StoredResults"]

_KEPT = 1 << 17  # trainings that are remembered, some 400 bytes each
_METRICS = ("train_seconds", "train_accuracy", "valid_accuracy", "test_accuracy")
_MILLION = 1e6


class StoredResults:
    """What the official file gave a store, see `nasgym.compat.nasbench.results.Results`.

    Trainings of nasgym's own in the same tables are passed over.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._runs: dict[tuple[int, int, int], Run] = {}
        self._parameters: dict[int, int] = {}

    @cached_property
    def epochs(self) -> tuple[int, ...]:
        """Lengths of the trainings that there are, ascending."""
        tables = ((epochs, key) for epochs, key in TABLES.items() if key in self.store)
        return tuple(sorted(epochs for epochs, key in tables if any(map(_is_official, self.store.scan(key)))))

    def indices(self) -> Indices:
        """Return the modules that have trainings, ascending."""
        known = np.zeros(NB101().size, dtype=np.bool_)
        for epochs in self.epochs:
            columns = self.store.columns(TABLES[epochs], ["train_loss"])
            rows = [row for row, seed in enumerate(columns.seeds) if seed in range(REPEATS)]
            official = columns.stored[rows] & np.isnan(columns.values["train_loss"][rows])  # they tell no losses
            known |= official.any(axis=0)
        return np.flatnonzero(known)

    def run(self, index: int, epochs: int, repeat: int) -> Run | None:
        """Return one training of a module, remembered, or None where there is none."""
        key = (index, epochs, repeat)
        found = self._runs.get(key)
        if found is None and (evaluation := self._evaluation(*key)) is not None:
            if len(self._runs) >= _KEPT:
                self._runs.clear()
                self._parameters.clear()
            found = self._runs[key] = _run(evaluation)
            self._parameters[index] = round(float(evaluation.series["params"].values[0]) * _MILLION)
        return found

    def parameters(self, index: int) -> int:
        """Return the trainable parameters of a module that has trainings, as the one tells that was read first."""
        if index not in self._parameters:
            any(self.run(index, epochs, 0) for epochs in self.epochs)
        return self._parameters[index]

    def _evaluation(self, index: int, epochs: int, repeat: int) -> Evaluation | None:
        if not 0 <= repeat < REPEATS:
            return None
        evaluation = self.store.get(TABLES[epochs], index, repeat)
        return evaluation if evaluation is not None and _is_official(evaluation) else None


def _is_official(evaluation: Evaluation) -> bool:
    return evaluation.provenance.get("tool") == TOOL


def _run(evaluation: Evaluation) -> Run:
    """Return halfway and final numbers: every series has the start, the middle and the end."""
    series = [evaluation.series[metric].values.tolist() for metric in _METRICS]
    return tuple(values[moment] for moment in (1, 2) for values in series)
