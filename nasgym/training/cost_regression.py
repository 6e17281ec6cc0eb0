"""From measured seconds to a linear model: non-negative least squares and its error on cells held out. No torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from nasgym.costs import FitError
from nasgym.errors import InvalidSetting

__all__ = ["fit", "held_out_error"]

FOLDS = 10


def fit(counts: NDArray[np.integer], seconds: NDArray[np.float64]) -> tuple[float, ...]:
    """Return ``k + 1`` coefficients of 0 or more, the intercept first, that make the relative errors small.

    Args:
        counts: ``int64[n, k]``, how much of each operation.
        seconds: ``float64[n]``, all above 0.

    Raises:
        InvalidSetting: Not one row, seconds that are not above 0, or shapes that do not fit.
    """
    y = np.asarray(seconds, dtype=np.float64)
    if counts.ndim != 2 or y.shape != counts.shape[:1] or not len(y):
        raise InvalidSetting(f"a fit needs counts [n, k] and seconds [n]; got {counts.shape} and {y.shape}.")
    if not (np.isfinite(y) & (y > 0)).all():
        raise InvalidSetting(f"measured seconds are above 0; got {y[~(np.isfinite(y) & (y > 0))][0]}.")
    x = np.column_stack([np.ones(len(y)), counts.astype(np.float64)])
    relative = x / y[:, None]  # the error of timing grows with the time
    scale = np.maximum(np.linalg.norm(relative, axis=0), np.finfo(np.float64).tiny)
    solution, _ = nnls(relative / scale, np.ones(len(y)))
    return tuple((solution / scale).tolist())


def held_out_error(
    counts: NDArray[np.integer], seconds: NDArray[np.float64], rng: np.random.Generator, folds: int = FOLDS
) -> FitError:
    """Return the error of `fit` on cells that it has not seen, by cross-validation over random folds.

    Raises:
        InvalidSetting: Fewer than two rows.
    """
    n = len(seconds)
    if n < 2:
        raise InvalidSetting(f"the error of a fit needs 2 cells or more; got {n}.")
    predicted = np.empty(n)
    for held_out in np.array_split(rng.permutation(n), min(folds, n)):
        others = np.setdiff1d(np.arange(n), held_out)
        fixed, *each = fit(counts[others], seconds[others])
        predicted[held_out] = fixed + counts[held_out] @ np.array(each)
    relative = np.abs(predicted - seconds) / seconds
    spread = float(np.sum((seconds - seconds.mean()) ** 2))
    missed = float(np.sum((predicted - seconds) ** 2))
    r2 = 1 - missed / spread if spread else float(missed == 0)
    return FitError(r2, float(np.median(relative)), float(np.quantile(relative, 0.95)))
