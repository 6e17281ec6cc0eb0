"""The numbers of a weight-sharing search."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule:
    """How a super-network is trained; the defaults are those of the NAS-Bench-201 paper.

    Attributes:
        epochs: Passes over the training images.
        batch: Images per step of the weights, and of the architecture.
        evaluation_batch: Images by which a candidate is scored with shared weights.
        learning_rate: Of the weights in the first epoch; a cosine leads from there to ``last_rate``.
        last_rate: Where the cosine ends.
        period: Epochs from one end of the cosine to the other, after which it rises again; 0: all of them.
        momentum: Of the weights' SGD, Nesterov's.
        weight_decay: Of all weights.
        clip: The greatest norm of the weights' gradient; 0: not clipped.
        affine: Whether batch norms inside cells scale and shift.
        tracked: Whether they keep running statistics.
        architecture_images: ``"valid"``: the architecture learns on the validation split, the weights on the whole
            training split, as published; ``"train"``: each on a half of the training split.
    """

    epochs: int = 250
    batch: int = 64
    evaluation_batch: int = 512
    learning_rate: float = 0.025
    last_rate: float = 0.001
    period: int = 0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip: float = 5.0
    affine: bool = False
    tracked: bool = False
    architecture_images: str = "valid"

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, from 0."""
        turn = math.cos(math.pi * epoch / (self.period or self.epochs))
        return self.last_rate + (self.learning_rate - self.last_rate) * (1 + turn) / 2
