"""What is known of a training after each epoch, and the evaluation that it adds up to."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

from nasgym.results import SPLITS, Evaluation, Series

__all__ = ["EpochReport", "Laps", "to_evaluation"]


@dataclass(frozen=True)
class EpochReport:
    """One epoch of a training.

    Attributes:
        epoch: Completed epochs, from 1.
        epochs: Epochs of the whole training.
        train_accuracy: Running average over the epoch's augmented batches, a fraction.
        valid_accuracy: Of the validation split after the epoch, a fraction.
        test_accuracy: Of the test split after the epoch, a fraction.
        train_loss: Running average, nats; not finite where the training diverged. The other two likewise.
        valid_loss: Of the validation split, nats.
        test_loss: Of the test split, nats.
        train_seconds: Of training alone, from the start up to and with this epoch.
        valid_seconds: Of one pass over the validation split.
        test_seconds: Of one pass over the test split.
    """

    epoch: int
    epochs: int
    train_accuracy: float
    valid_accuracy: float
    test_accuracy: float
    train_loss: float
    valid_loss: float
    test_loss: float
    train_seconds: float
    valid_seconds: float
    test_seconds: float

    @property
    def diverged(self) -> bool:
        """Whether a loss is no longer a number."""
        return not all(map(math.isfinite, (self.train_loss, self.valid_loss, self.test_loss)))

    def to_row(self) -> list[float]:
        """Return the numbers in the order of the attributes; `EpochReport(*row)` gives the report back."""
        return list(astuple(self))


class Laps:
    """Seconds of several trainings at once, shared out among them.

    Args:
        members: Trainings.
        trained: Seconds of training of each before now.
    """

    def __init__(self, members: int, trained: float = 0.0) -> None:
        self.trained = trained
        self._members, self._last = members, time.perf_counter()

    def lap(self) -> float:
        """Return one member's share of the seconds since the last call."""
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed / self._members

    def train(self) -> float:
        """The same, added to the seconds of training."""
        elapsed = self.lap()
        self.trained += elapsed
        return elapsed


def to_evaluation(
    index: int, seed: int, classes: int, reports: Sequence[EpochReport], provenance: Mapping[str, str]
) -> Evaluation:
    """Return the evaluation of a training.

    A training that diverged keeps its epochs before that; from then on it has the accuracy of guessing, no losses,
    and costs no more seconds.
    """
    epochs = reports[-1].epochs
    healthy = [r for r in reports if not r.diverged]
    lost = range(len(healthy) + 1, epochs + 1)
    series: dict[str, Series] = {}
    for split in SPLITS:
        known = [getattr(r, f"{split}_accuracy") for r in healthy] + [1 / classes] * len(lost)
        series[f"{split}_accuracy"] = Series.of(known, range(1, epochs + 1), "fraction")
    for split in SPLITS if healthy else ():
        losses = [getattr(r, f"{split}_loss") for r in healthy]
        series[f"{split}_loss"] = Series.of(losses, range(1, len(healthy) + 1), "nats")
    for split in SPLITS:
        seconds = [getattr(r, f"{split}_seconds") for r in reports]
        seconds += seconds[-1:] * (epochs - len(reports))
        series[f"{split}_seconds"] = Series.of(seconds, range(1, epochs + 1), "seconds")
    return Evaluation(index, seed, epochs, series, diverged=bool(lost), provenance=dict(provenance))
