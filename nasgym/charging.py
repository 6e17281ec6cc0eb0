"""The seconds that a table's cost model gives, in the place of those that were measured.

A table filled in bundles knows no time of a single training. Its cost model does (`nasgym.costs`), for every
architecture alike, also for those that are trained later on another machine: the clock of a task stays one clock. One
that answers with the results of an equal network is charged what it costs itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.costs import CostModel
from nasgym.results import Evaluation, Series
from nasgym.spaces import Space
from nasgym.store import Columns

__all__ = ["Charges"]


class Charges:
    """Seconds of every architecture of a table, by its cost model.

    Args:
        space: The search space.
        costs: The cost model as plain JSON values, see `nasgym.costs.CostModel.from_json`.
        epochs: Epochs of a whole training.

    Raises:
        StoreDamaged: The model cannot be read.
        InvalidSetting: The model is one of another space.
    """

    def __init__(self, space: Space, costs: Mapping[str, Any], epochs: int) -> None:
        model, everything = CostModel.from_json(costs), space.from_index(np.arange(space.size))
        self._one_epoch: Mapping[str, NDArray[np.float64]] = model.seconds(space, everything, 1)
        self._epochs = epochs

    def columns(self, columns: Columns, epoch: int | None) -> Columns:
        """Return columns of a table after ``epoch`` epochs (None: the last) with the model's seconds."""
        charged = {
            name: np.where(columns.stored, self._after(name, epoch), np.nan)
            for name in columns.values
            if name in self._one_epoch
        }
        return replace(columns, values={**columns.values, **charged})

    def evaluation(self, evaluation: Evaluation) -> Evaluation:
        """Return an evaluation with the model's seconds at each of its epochs."""
        epochs = np.arange(1, evaluation.epochs + 1)
        series = dict(evaluation.series)
        for name, seconds in self._one_epoch.items():
            one = float(seconds[evaluation.index])
            by_epoch = one * epochs if name == "train_seconds" else np.full(len(epochs), one)
            series[name] = Series.of(by_epoch, epochs, "seconds")
        return replace(evaluation, series=series, provenance={**evaluation.provenance, "seconds": "cost model"})

    def _after(self, name: str, epoch: int | None) -> NDArray[np.float64]:
        return self._one_epoch[name] * ((epoch or self._epochs) if name == "train_seconds" else 1)
