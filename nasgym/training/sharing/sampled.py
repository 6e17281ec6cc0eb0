"""Random search with parameter sharing: every step trains another random architecture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nasgym.training.sharing.core import Batch, SharedTraining
from nasgym.training.sharing.learner import Learner, best_of

__all__ = ["RandomSharing"]

_FINAL = 7  # the stream of the candidates, apart from those of the epochs


class RandomSharing(Learner):
    """Train the weights on architectures drawn uniformly; settle on the best of some, by shared weights.

    Args:
        training: The super-network.
        candidates: Architectures drawn at the end.
    """

    def __init__(self, training: SharedTraining, candidates: int) -> None:
        super().__init__(training)
        self.candidates = candidates
        self.step_operations = training.training_operations(training.sampled_operations)
        self.settle_operations = candidates * training.scoring_operations

    def step(self, batch: Batch, held: Iterator[Batch]) -> None:
        """Train one random architecture on ``batch``."""
        self.training.update(batch, chosen=self.training.space.sample(self.training.rng, 1)[0])

    def settle(self, kept: float) -> NDArray[np.int8]:
        """Return the best of the candidates."""
        rng = np.random.default_rng([self.training.seed, _FINAL])
        return best_of(self.training, self.training.space.sample(rng, self.candidates), kept)
