"""SETN: weights trained on uniform draws, and a template network that learns which draws are worth a look."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nasgym.training.sharing.core import Batch, SharedTraining
from nasgym.training.sharing.darts import FirstOrder
from nasgym.training.sharing.learner import best_of

__all__ = ["SelfEvaluatedTemplate", "drawn", "likeliest"]

_FINAL = 8  # the stream of the candidates, apart from those of the epochs


def drawn(shares: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Return ``int8[n, edges]``: each edge drawn on its own with the probabilities ``float64[edges, options]``."""
    cumulative = shares.cumsum(axis=1)
    at = rng.random((n, len(shares), 1)) * cumulative[:, -1:]
    return np.asarray((at >= cumulative).sum(axis=2), dtype=np.int8)


def likeliest(shares: NDArray[np.float64], n: int) -> NDArray[np.int8]:
    """Return ``int8[k, edges]``: the ``n`` most probable rows, or all where there are fewer, the likeliest first.

    Edges are independent, so the best beginnings of each length are enough to find them.
    """
    rows, scores = np.zeros((1, 0), dtype=np.int8), np.zeros(1)
    with np.errstate(divide="ignore"):
        logs = np.log(shares)
    for edge in logs:
        options = np.flatnonzero(edge > -np.inf)
        longer = np.repeat(rows, len(options), axis=0)
        rows = np.hstack([longer, np.tile(options, len(rows))[:, None].astype(np.int8)])
        scores = (scores[:, None] + edge[options]).ravel()
        best = np.argsort(-scores, kind="stable")[:n]
        rows, scores = rows[best], scores[best]
    return rows


class SelfEvaluatedTemplate(FirstOrder):
    """Train the weights on architectures drawn uniformly, and by gradient the mixture of all, at the same weights.

    The answer is the candidate that does best with shared weights.

    Args:
        training: The super-network.
        candidates: Architectures that are scored at the end.
        sampled: Whether they are drawn from the mixture's probabilities; else they are the most probable ones.
        adam: ``rate`` and ``decay``, as for the base.
    """

    def __init__(self, training: SharedTraining, candidates: int, sampled: bool = True, **adam: float) -> None:
        super().__init__(training, **adam)
        self.candidates, self.sampled = candidates, sampled
        own, template = training.sampled_operations, training.mixture_operations
        self.step_operations = training.training_operations(own) + training.training_operations(template)
        self.settle_operations = candidates * training.scoring_operations

    def step(self, batch: Batch, held: Iterator[Batch]) -> None:
        """Train one random architecture on ``batch``, then the template on the next one of ``held``."""
        self.training.update(batch, chosen=self.training.space.sample(self.training.rng, 1)[0])
        self.apply(self.gradient(next(held)))

    def settle(self, kept: float) -> NDArray[np.int8]:
        """Return the best of the candidates."""
        shares = self.shares().detach().double().cpu().numpy()
        rng = np.random.default_rng([self.training.seed, _FINAL])
        rows = drawn(shares, self.candidates, rng) if self.sampled else likeliest(shares, self.candidates)
        return best_of(self.training, rows, kept)
