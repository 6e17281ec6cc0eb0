"""Architecture parameters: a logit for each operation on each edge, trained by Adam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasgym.training.sharing.core import SharedTraining
from nasgym.training.sharing.learner import Learner

__all__ = ["ArchitectureLearner"]

_SCALE = 1e-3  # standard deviation of the first logits, as published
_FIRST = 6  # the stream of the first logits


class ArchitectureLearner(Learner):
    """A learner whose answer is the likeliest operation of every edge.

    Args:
        training: The super-network.
        rate: Step size of Adam.
        decay: Weight decay of the logits.
        betas: Of Adam.
        epsilon: Of Adam.

    Attributes:
        logits: ``float[edges, options]``, on the device.
    """

    remedy = "a lower architecture_rate"

    def __init__(
        self,
        training: SharedTraining,
        *,
        rate: float = 3e-4,
        decay: float = 1e-3,
        betas: tuple[float, float] = (0.5, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(training)
        allowed = training.network.allowed
        drawn = np.random.default_rng([training.seed, _FIRST]).normal(scale=_SCALE, size=tuple(allowed.shape))
        self.logits = torch.tensor(drawn, dtype=training.weights[0].dtype, device=training.device, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.logits], lr=rate, betas=betas, eps=epsilon, weight_decay=decay)

    def learnt(self) -> Iterable[Tensor]:
        """Return the logits."""
        return [self.logits]

    def masked(self) -> Tensor:
        """Return the logits, minus infinity where an edge has no such option."""
        return self.logits.masked_fill(~self.training.network.allowed, -torch.inf)

    def shares(self) -> Tensor:
        """Return the softmax over the options of each edge, ``float[edges, options]``."""
        return self.masked().softmax(dim=1)

    def apply(self, gradient: Tensor) -> None:
        """Take one step of Adam on the logits."""
        self.logits.grad = gradient
        self.optimizer.step()

    def favourite(self) -> NDArray[np.int8]:
        """Return the likeliest operation of every edge, ``none`` too; the first one wins a tie."""
        best: NDArray[np.int64] = self.masked().argmax(dim=1).cpu().numpy()
        return best.astype(np.int8)

    def state(self) -> dict[str, Any]:
        """Return logits and optimiser."""
        return {"logits": self.logits.detach().clone(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        with torch.no_grad():
            self.logits.copy_(state["logits"])
        self.optimizer.load_state_dict(state["optimizer"])
