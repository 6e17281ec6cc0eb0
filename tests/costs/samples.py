"""Cost models to test with."""

import numpy as np

from nasgym.costs import PARTS, CostModel, FitError, Measurement
from nasgym.spaces import NB201

SPACE = NB201()
MEASURED = Measurement("a laptop", "compiled", 1, 300, 3, 10, "2.0", "0.1", "2026-01-01T00:00:00+00:00")
TRUTH = {
    "train": (0.03, 0.04, 0.011, 0.006, 0.003, 0.002, 0.004, 0.001, 0.02),
    "valid": (0.01, 0.012, 0.004, 0.002, 0.001, 0.0005, 0.001, 0.0003, 0.0),
    "test": (0.004, 0.004, 0.001, 0.0007, 0.0003, 0.0002, 0.0003, 0.0001, 0.0),
}
"""Seconds of an imagined machine: what every network costs, then the operations of nb201."""


def model(**changes: object) -> CostModel:
    """Return the model that knows the truth."""
    known = {
        "space": "nb201",
        "dataset": "cluttered-digits",
        "recipe": "cluttered-digits-10",
        "features": SPACE.operation_names(),
        "coefficients": TRUTH,
        "errors": {part: FitError(0.99, 0.01, 0.04) for part in PARTS},
        "measured": MEASURED,
    }
    return CostModel(**{**known, **changes})  # type: ignore[arg-type]


def truth(counts: np.ndarray, part: str) -> np.ndarray:
    """Return the seconds of the imagined machine."""
    fixed, *each = TRUTH[part]
    return np.asarray(fixed + counts @ np.array(each))
