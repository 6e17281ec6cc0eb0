"""What differs among weight-sharing searches: what a step does, and which architecture is settled on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasgym.errors import SearchDiverged
from nasgym.training.sharing.core import Batch, SharedTraining

__all__ = ["Learner", "best_of", "read_scores"]


class Learner(ABC):
    """A search on a super-network: subclasses say what a step does and what is settled on.

    Random numbers are drawn from ``training.rng`` and ``training.generator``, which begin anew with every epoch: so a
    training that goes on from a checkpoint needs no state of theirs.

    Args:
        training: The super-network.

    Attributes:
        step_operations: Multiply-accumulates of one step, on average.
        settle_operations: The same for `settle`.
        remedy: What to change where `learnt` is not finite any more.
    """

    step_operations: float = 0.0
    settle_operations: float = 0.0
    remedy: ClassVar[str] = ""

    def __init__(self, training: SharedTraining) -> None:
        self.training = training

    def begin_epoch(self, epoch: int) -> None:  # noqa: B027  # this and the next two: nothing to do, for most
        """Get ready for an epoch, from 0."""

    @abstractmethod
    def step(self, batch: Batch, held: Iterator[Batch]) -> None:
        """Take one step on the weights with ``batch``, and on the architecture with the next one of ``held``."""

    def end_epoch(self, epoch: int, kept: float) -> None:  # noqa: B027
        """Do what comes once per epoch; what it costs is counted on ``training.meter``, which also says what fits.

        Args:
            epoch: The epoch, from 0.
            kept: Seconds that must be left when the answer is found.
        """

    def favourite(self) -> NDArray[np.int8] | None:
        """Return what the search would settle on now, ``int8[num_decisions]``; None where that is not known."""
        return None

    def settle(self, kept: float) -> NDArray[np.int8]:
        """Return the answer, ``int8[num_decisions]``.

        Args:
            kept: Seconds that must be left when it is found.
        """
        found = self.favourite()
        assert found is not None, "a learner without a favourite settles in a way of its own"
        return found

    def learnt(self) -> Iterable[Tensor]:
        """Return what is learnt beside the weights, on their device: it has to stay finite."""
        return ()

    def state(self) -> dict[str, Any]:
        """Return what changes, as tensors and plain values."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Go back to where `state` was taken."""


def best_of(training: SharedTraining, candidates: Iterable[NDArray[np.int8]], kept: float) -> NDArray[np.int8]:
    """Return the candidate that does best with shared weights, each on a validation batch of its own.

    When the budget ends, it is the best of those that were scored; where that is none, the first. The first one
    wins a tie.

    Args:
        training: The super-network.
        candidates: Genotypes ``int8[num_decisions]``.
        kept: Seconds that must be left.

    Raises:
        SearchDiverged: None of those that were scored has finite logits.
    """
    seen: list[NDArray[np.int8]] = []
    scores: list[Tensor] = []
    for candidate, batch in zip(candidates, training.scoring_batches(), strict=False):
        seen.append(candidate)
        if not training.meter.fits(training.scoring_operations, kept):
            break
        scores.append(training.accuracy(batch, candidate))
        training.meter.count(training.scoring_operations)
    return seen[int(np.argmax(read_scores(scores)))] if scores else seen[0]


def read_scores(scores: Sequence[Tensor]) -> list[float]:
    """Return what `SharedTraining.accuracy` gave, 0 where it is no number; this waits for the device, once.

    Raises:
        SearchDiverged: None of them is a number.
    """
    found = torch.stack(list(scores)).tolist()
    if all(map(math.isnan, found)):
        raise SearchDiverged(
            f"the super-network diverged: none of {len(found)} architectures has finite logits. Take a lower "
            "learning_rate."
        )
    return [0.0 if math.isnan(score) else score for score in found]
