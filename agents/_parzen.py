"""Two kernel densities over choices, of good and of other architectures: the model of BOHB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Density", "ParzenPair"]

_FLOOR = 1e-32  # of a density, as published: a ratio stays finite


@dataclass(frozen=True, eq=False)
class Density:
    """A product of Aitchison-Aitken kernels around each point.

    Attributes:
        points: ``int64[n, num_decisions]``.
        options: ``int64[num_decisions]``, how many options each decision has.
        bandwidths: ``float64[num_decisions]``: the probability that a kernel gives to all other options together.
    """

    points: NDArray[np.int64]
    options: NDArray[np.int64]
    bandwidths: NDArray[np.float64]

    @classmethod
    def fit(
        cls, points: NDArray[np.int64], options: NDArray[np.int64], least: float, *, bounded: bool = True
    ) -> Density:
        """Return the density of points, with bandwidths by the normal reference rule on the options' numbers.

        They are at least ``least``. The rule can exceed the bandwidth at which a kernel is uniform; ``bounded`` stops
        it there, since beyond it a kernel prefers what differs, and past 1 it is negative.
        """
        n, decisions = points.shape
        rule = 1.06 * points.std(axis=0) * n ** (-1.0 / (4 + decisions))
        bandwidths = np.maximum(rule, least)
        return cls(points, options, np.minimum(bandwidths, (options - 1) / options) if bounded else bandwidths)

    def at(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the density at ``int64[m, num_decisions]`` as ``float64[m]``."""
        same = rows[:, None, :] == self.points[None, :, :]
        other = self.bandwidths / np.maximum(self.options - 1, 1)
        kernels = np.where(same, 1.0 - self.bandwidths, other)
        return np.asarray(kernels.prod(axis=2).mean(axis=1))

    def draw(self, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
        """Draw around points: each choice is kept, or with its bandwidth's probability drawn among all options."""
        centres = self.points[rng.integers(0, len(self.points), n)]
        keep = rng.random(centres.shape) < 1.0 - self.bandwidths
        return np.where(keep, centres, rng.integers(0, self.options, centres.shape))


@dataclass(frozen=True, eq=False)
class ParzenPair:
    """The densities of the best evaluations and of the others."""

    good: Density
    bad: Density

    @classmethod
    def fit(
        cls,
        points: Sequence[NDArray[np.int8]],
        accuracies: Sequence[float],
        options: NDArray[np.int64],
        *,
        percent: int,
        least: float,
        bounded: bool = True,
    ) -> ParzenPair | None:
        """Return the pair, or None where there are too few points.

        Each density needs one point more than there are decisions, so that the first model has twice that.

        Args:
            points: ``int8[num_decisions]`` each.
            accuracies: One per point.
            options: ``int64[num_decisions]``.
            percent: How many in a hundred are good.
            least: The least bandwidth.
            bounded: Whether bandwidths stay where kernels make sense.
        """
        n, fewest = len(points), len(options) + 1
        good = max(fewest, percent * n // 100)
        bad = max(fewest, (100 - percent) * n // 100)
        if n - good < fewest:
            return None
        order = np.argsort(-np.asarray(accuracies), kind="stable")
        rows = np.asarray(points, dtype=np.int64)[order]
        parts = (rows[:good], rows[good : good + bad])
        return cls(*(Density.fit(part, options, least, bounded=bounded) for part in parts))

    def propose(self, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
        """Return of ``n`` draws from the good density the one where it is greatest beside the other."""
        drawn = self.good.draw(rng, n)
        ratio = np.maximum(self.bad.at(drawn), _FLOOR) / np.maximum(self.good.at(drawn), _FLOOR)
        best: NDArray[np.int64] = drawn[int(np.argmin(ratio))]
        return best
