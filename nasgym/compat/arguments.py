"""What callers pass, numpy's numbers included."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from nasgym.errors import InvalidSetting

__all__ = ["is_choice", "recipe_name", "whole"]


def is_choice(value: object) -> bool:
    """Tell whether ``is_random`` is True or False and not a seed."""
    return isinstance(value, bool | np.bool_)


def whole(value: Any, name: str) -> int:
    """Return a whole number, numpy's too, as an int; raises `InvalidSetting`, a ValueError, for anything else."""
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidSetting(f"invalid value for {name}: {value!r}: a whole number.") from None


def recipe_name(hp: Any, use_12epochs_result: bool | None = None) -> str:
    """Return the recipe's name in the files, such as ``"12"`` or ``"01"``.

    Args:
        hp: The name or the number of epochs; True and False are the first versions' ``use_12epochs_result``, which
            stood in the same place.
        use_12epochs_result: The same by its name; None: not given.
    """
    old = hp if isinstance(hp, bool) else use_12epochs_result
    if old is not None:
        return "12" if old else "200"
    return f"{hp:02d}" if isinstance(hp, int | np.integer) else str(hp)
