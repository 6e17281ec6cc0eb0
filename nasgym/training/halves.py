"""How the published tables split images into two halves, and our own rule where their lists are not at hand."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import DatasetUnavailable

__all__ = ["halves", "listed_or_halves"]

_SEED = 1021  # of the published CIFAR-10 halves


def halves(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return two disjoint halves of ``range(size)``, sorted; of 50,000 the published CIFAR-10 train and valid."""
    order = list(range(size))
    random.Random(_SEED).shuffle(order)  # noqa: S311 - reproduces a published split, not a secret
    middle = size // 2
    first, second = np.array(sorted(order[:middle])), np.array(sorted(order[middle:]))
    return first.astype(np.int64), second.astype(np.int64)


def listed_or_halves(path: Path, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return valid and test indices from a published list at ``path``; where it is absent, `halves`.

    The published lists are JSON: ``{"xvalid": ["int", ["1", ...]], "xtest": ["int", [...]]}``.

    Raises:
        DatasetUnavailable: The file is there and is no such list over ``range(size)``.
    """
    if not path.is_file():
        return halves(size)
    try:
        content = json.loads(path.read_text())
        valid, test = (np.array([int(i) for i in content[key][1]], dtype=np.int64) for key in ("xvalid", "xtest"))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DatasetUnavailable(f"{path} is not a published list of xvalid and xtest ({error}). {_REMEDY}") from error
    if not np.array_equal(np.sort(np.concatenate([valid, test])), np.arange(size)):
        raise DatasetUnavailable(f"{path} must name each of the {size} images exactly once. {_REMEDY}")
    return valid, test


_REMEDY = "Take the file from configs/nas-benchmark of AutoDL-Projects, or remove it to use nasgym's own halves."
