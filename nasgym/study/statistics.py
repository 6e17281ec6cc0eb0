"""Statistics over runs, in plain numpy: means, intervals, interquartile means, profiles.

Every function takes ``float64[..., runs]`` and reduces the last axis; NaN is a run without a score and is left out.
The aggregate statistics follow Agarwal et al., "Deep reinforcement learning at the edge of the statistical
precipice", NeurIPS 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasgym.errors import InvalidSetting

__all__ = [
    "Interval",
    "bootstrap_interval",
    "interquartile_mean",
    "mean",
    "mean_interval",
    "mean_ranks",
    "performance_profile",
    "probability_of_improvement",
    "std",
    "t_quantile",
]

_BATCH = 1 << 22  # numbers drawn at a time by the bootstrap: 32 MB of indices


class Interval(NamedTuple):
    """A confidence interval; NaN where there are too few runs to tell."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def mean(scores: ArrayLike) -> NDArray[np.float64]:
    """Return the mean over runs, ``float64[...]``."""
    values, known = _known(scores)
    return _divide(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def std(scores: ArrayLike) -> NDArray[np.float64]:
    """Return the standard deviation over runs, divided by ``n`` as in the published tables, ``float64[...]``."""
    return np.sqrt(_variance(scores, ddof=0))


def mean_interval(scores: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return Student's interval of the mean over runs; NaN for fewer than two runs."""
    _check_confidence(confidence)
    _, known = _known(scores)
    runs = known.sum(axis=-1)
    quantiles = {n: t_quantile(0.5 + confidence / 2, n - 1) if n > 1 else math.nan for n in np.unique(runs).tolist()}
    reach = np.vectorize(quantiles.__getitem__, otypes=[np.float64])(runs)
    half = reach * np.sqrt(_divide(_variance(scores, ddof=1), runs))
    middle = mean(scores)
    return Interval(middle - half, middle + half)


def interquartile_mean(scores: ArrayLike) -> NDArray[np.float64]:
    """Return the mean of the middle half of the runs: a quarter is cut off at either end, rounded down.

    Tasks are pooled by handing over all their scores on one axis.
    """
    values, known = _known(scores)
    count = known.sum(axis=-1, keepdims=True)
    cut = count // 4
    rank = np.arange(values.shape[-1])
    kept = (rank >= cut) & (rank < count - cut)
    ordered = np.sort(values, axis=-1)  # NaN sorts to the end, behind `count`
    return _divide(np.where(kept, ordered, 0.0).sum(axis=-1), kept.sum(axis=-1))


def bootstrap_interval(
    scores: ArrayLike, rng: np.random.Generator, *, confidence: float = 0.95, repetitions: int = 2000
) -> Interval:
    """Return the stratified percentile-bootstrap interval of the interquartile mean over tasks and runs.

    Args:
        scores: ``float64[tasks, runs]``, normalised so that tasks can be pooled; without NaN.
        rng: Draws the resamples: runs with repetition within each task.
        confidence: Between 0 and 1.
        repetitions: Number of resamples.
    """
    _check_confidence(confidence)
    values = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    tasks, runs = values.shape
    if np.isnan(values).any() or not values.size:
        raise InvalidSetting("the bootstrap needs at least one task and one run, and a score for every run.")
    at_once = max(1, _BATCH // values.size)
    estimates = []
    for start in range(0, repetitions, at_once):
        drawn = rng.integers(runs, size=(min(at_once, repetitions - start), tasks, runs))
        resampled = np.take_along_axis(values[None], drawn, axis=-1)
        estimates.append(interquartile_mean(resampled.reshape(len(drawn), -1)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(estimates), [tail, 1 - tail])
    return Interval(np.asarray(low), np.asarray(high))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Return the share of runs above each threshold, averaged over tasks.

    Args:
        scores: ``float64[tasks, runs]``; without NaN.
        thresholds: ``float64[k]``.

    Returns:
        ``float64[k]``.
    """
    values = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    above = values[..., None] > np.asarray(thresholds, dtype=np.float64)
    return np.asarray(above.mean(axis=1).mean(axis=0))


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> float:
    """Return how probable it is that a run of ``first`` beats one of ``second``, ties counting half.

    Args:
        first: ``float64[tasks, runs]``; without NaN.
        second: ``float64[tasks, other runs]``; without NaN.
    """
    x = np.atleast_2d(np.asarray(first, dtype=np.float64))
    y = np.atleast_2d(np.asarray(second, dtype=np.float64))
    if len(x) != len(y):
        raise InvalidSetting(f"two agents are compared on the same tasks; got {len(x)} and {len(y)}.")
    return float(np.mean([_beats(a, b) for a, b in zip(x, y, strict=True)]))


def mean_ranks(scores: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Return the rank of each agent, 1 for the best, when one run of each is drawn at random: the mean over all draws.

    Args:
        scores: One ``float64[runs]`` per agent, higher is better; the numbers of runs may differ, NaN is left out.

    Returns:
        ``float64[agents]``, of sum ``n (n + 1) / 2`` for the n agents with a score; equal scores share their ranks.
        NaN for an agent without one.
    """
    known = [values[~np.isnan(values)] for values in (np.asarray(s, dtype=np.float64) for s in scores)]
    ranks = np.full(len(known), np.nan)
    for i, own in enumerate(known):
        others = [other for k, other in enumerate(known) if k != i and len(other)]
        if len(own):
            ranks[i] = 1.0 + sum(_beats(other, own) for other in others)
    return ranks


def t_quantile(probability: float, freedom: int) -> float:
    """Return the quantile of Student's distribution with ``freedom`` degrees, by bisection of its closed form."""
    if not 0 < probability < 1 or freedom < 1:
        raise InvalidSetting(f"a quantile needs 0 < probability < 1 and freedom >= 1; got {probability}, {freedom}.")
    if probability < 0.5:
        return -t_quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while _t_cdf(high, freedom) < probability:
        high *= 2
    while high - low > 1e-12 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_cdf(middle, freedom) < probability else (low, middle)
    return high


def _t_cdf(t: float, freedom: int) -> float:
    """Return P(T <= t) for t >= 0: Abramowitz and Stegun, 26.7.3 and 26.7.4, exact for whole degrees of freedom."""
    theta = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(theta) ** 2
    odd = freedom % 2
    term = math.cos(theta) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * (k - 1) / k
        total += term
    inside = 2 / math.pi * (theta + math.sin(theta) * total) if odd else math.sin(theta) * total
    return 0.5 + inside / 2


def _beats(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the share of pairs that ``x`` wins, from ranks instead of all pairs."""
    ordered = np.sort(y)
    below = np.searchsorted(ordered, x, side="left")
    not_above = np.searchsorted(ordered, x, side="right")
    return float((below + not_above).mean() / 2 / len(y))


def _known(scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values = np.asarray(scores, dtype=np.float64)
    return values, ~np.isnan(values)


def _variance(scores: ArrayLike, ddof: int) -> NDArray[np.float64]:
    values, known = _known(scores)
    away = np.where(known, values - mean(values)[..., None], 0.0)
    return _divide((away**2).sum(axis=-1), known.sum(axis=-1) - ddof)


def _divide(total: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide, giving NaN where there is nothing to divide by."""
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), dtype=np.float64)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise InvalidSetting(f"a confidence lies between 0 and 1; got {confidence}.")
