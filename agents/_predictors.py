"""Predictors of accuracy, as ensembles whose members disagree where little is known."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.agents._proxies import COUNTED, counted
from nasgym.agents._vectors import one_hot
from nasgym.errors import UnknownName
from nasgym.spaces import Genotypes, Space

__all__ = ["FEATURES", "KINDS", "Predictor", "check_features", "unseen"]

_STEPS = 100  # of a network's optimiser: what it has not learnt by then would be noise
_PENALTY = 1.0  # on a network's weights
_ATTEMPTS = 10  # rounds of candidates that are all known before something known is evaluated again


class Predictor:
    """Members fitted to evaluations, which differ only in what is random.

    An architecture is its choices, one-hot, and how much of each operation its network really computes: that tells
    which operations lead nowhere.

    Args:
        space: The search space.
        kind: ``"network"``: multi-layer perceptrons with one hidden layer; ``"forest"``: regression trees, each on
            evaluations drawn with repetition.
        members: How many.
        features: What counts beside the operations, see `check_features`.
    """

    def __init__(self, space: Space, kind: str, members: int, features: str = "") -> None:
        self._space, self._make, self._members = space, _MAKERS[kind], members
        self._features = check_features(features)
        self._fitted: list[Any] = []
        self._mean, self._scale = 0.0, 1.0
        self._counts_mean = self._counts_scale = np.ones(1)

    def fit(self, rng: np.random.Generator, genotypes: Genotypes, accuracies: NDArray[np.float64]) -> None:
        """Fit all members to ``int8[n, num_decisions]`` and ``float64[n]``."""
        self._mean, self._scale = float(accuracies.mean()), float(accuracies.std()) or 1.0
        counts = self._counts(genotypes)
        self._counts_mean, self._counts_scale = counts.mean(axis=0), np.maximum(counts.std(axis=0), 1e-9)
        rows, targets = self._rows(genotypes), (accuracies - self._mean) / self._scale
        self._fitted = [self._make(rows, targets, seed) for seed in rng.integers(2**31, size=self._members).tolist()]

    def predict(self, genotypes: Genotypes) -> NDArray[np.float64]:
        """Return accuracies ``float64[members, n]``."""
        rows = self._rows(genotypes)
        return np.stack([member.predict(rows) for member in self._fitted]) * self._scale + self._mean

    def _counts(self, genotypes: Genotypes) -> NDArray[np.float64]:
        counts = self._space.computed_operations(genotypes)
        more = [counted(self._space, name, genotypes)[:, None] for name in self._features]
        return np.hstack([counts, *more]) if more else np.asarray(counts)

    def _rows(self, genotypes: Genotypes) -> NDArray[np.float64]:
        counts = (self._counts(genotypes) - self._counts_mean) / self._counts_scale
        return np.hstack([one_hot(self._space, genotypes), np.clip(counts, -5.0, 5.0)])


def check_features(spec: str) -> tuple[str, ...]:
    """Return what ``"parameters+flops"`` names; empty: nothing.

    Raises:
        UnknownName: Something else than what is counted for nothing.
    """
    names = tuple(spec.split("+")) if spec else ()
    for name in names:
        if name not in COUNTED:
            raise UnknownName("feature", name, COUNTED, "Several are joined by +, as in parameters+flops.")
    return names


def unseen(space: Space, seen: set[int], draw: Callable[[], Genotypes], n: int) -> Genotypes:
    """Return candidates of which none equals another or one that was seen.

    Args:
        space: The search space; networks that are equal count as one.
        seen: The classes (`Space.canonical`) of all architectures so far.
        draw: Returns a batch of candidates.
        n: How many are wanted; `draw` is asked again, some times, while there are fewer.

    Returns:
        ``int8[k, num_decisions]``, at least one row: where everything drawn was seen, one of those.
    """
    found: dict[int, NDArray[np.int8]] = {}
    drawn = draw()
    for _ in range(_ATTEMPTS):
        for key, row in zip(space.canonical(drawn).tolist(), drawn, strict=True):
            if key not in seen:
                found.setdefault(key, row)
        if len(found) >= n:
            break
        drawn = draw()
    return np.stack(list(found.values())) if found else drawn[:1]


def _tree(rows: NDArray[np.float64], targets: NDArray[np.float64], seed: int) -> Any:
    from sklearn.tree import DecisionTreeRegressor

    drawn = np.random.default_rng(seed).integers(0, len(rows), len(rows))
    return DecisionTreeRegressor(max_features=0.5, random_state=seed).fit(rows[drawn], targets[drawn])


def _network(rows: NDArray[np.float64], targets: NDArray[np.float64], seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    network = MLPRegressor(hidden_layer_sizes=(64,), solver="lbfgs", alpha=_PENALTY, max_iter=_STEPS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return network.fit(rows, targets)


_MAKERS: Mapping[str, Callable[[NDArray[np.float64], NDArray[np.float64], int], Any]] = {
    "network": _network,
    "forest": _tree,
}
KINDS = tuple(_MAKERS)
FEATURES = (
    "What members see beside choices and counts of operations, for nothing: 'parameters', 'flops' or "
    "'parameters+flops'; empty: nothing (a choice: on the embedded table they change little)."
)
