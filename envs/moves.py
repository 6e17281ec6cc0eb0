"""The rules of the two games, without any environment: which moves a space allows and which cell they lead to.

Everything is derived from the contract of `nasgym.spaces.Space`. A space in which every combination of choices is an
architecture (``size`` is the product of ``choices``) is called free: its masks never change and are not computed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import lru_cache
from typing import Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidAction, UnknownName
from nasgym.spaces import Indices, Space
from nasgym.spaces.base import Mask

__all__ = ["Columns", "Illegal", "Moves", "check_illegal"]

Columns: TypeAlias = NDArray[np.int8]
"""Cells as columns, ``int8[num_decisions, n]``; -1 is an undecided choice."""
Illegal: TypeAlias = Literal["error", "repair"]
"""What an illegal action is: an error, or the nearest legal one (of two equally near, the lower)."""

_MAX_CODES = 1 << 20  # free spaces up to this size are indexed by one gather; codes are exact in float32 up to 2^24


class Moves:
    """What can be done in a space.

    Attributes:
        choices: Options of each decision.
        widest: The most options that a decision has: the number of actions when a cell is built.
        edits: Options of all decisions together: the number of actions when a cell is edited.
        free: Whether every combination of choices is an architecture.
        step_masks: For each decision ``int8[widest]``, read-only: the choices it has in a free space.
    """

    def __init__(self, space: Space) -> None:
        """Derive the moves of ``space``."""
        self.space = space
        self.choices: list[int] = space.choices.tolist()
        self.decisions = len(self.choices)
        self.widest, self.edits = max(self.choices), sum(self.choices)
        self.free = math.prod(self.choices) == space.size
        self.decision_of_edit: NDArray[np.int64] = np.repeat(np.arange(self.decisions), self.choices)
        self.choice_of_edit = np.concatenate([np.arange(k) for k in self.choices]).astype(np.int8)
        self._rows = np.arange(self.widest) < np.array(self.choices)[:, None]
        masks: NDArray[np.int8] = self._rows.astype(np.int8)
        masks.flags.writeable = False
        self.step_masks: list[NDArray[np.int8]] = list(masks)
        self._codes: Indices | None = None
        if self.free and space.size <= _MAX_CODES:
            self._codes = _index_of_code(cast(Hashable, space))
        places = [math.prod(self.choices[d + 1 :]) for d in range(self.decisions)]
        self._places = np.array(places, dtype=np.float32)

    def __reduce__(self) -> tuple[type[Moves], tuple[Space]]:
        """Pickle by the space: the rest is derived."""
        return type(self), (self.space,)

    def masks(self, cells: Columns, step: int) -> Mask:
        """Return ``bool[n, widest]``, a fresh array: the choices allowed for decision ``step`` of unfinished cells."""
        if self.free:
            return np.repeat(self._rows[step : step + 1], cells.shape[1], axis=0)
        return self.space.action_mask(cells.T, step)

    def edit_masks(self, cells: Columns) -> Mask:
        """Return ``bool[n, edits]``, fresh: which rewrites of a decision leave a cell of the space."""
        n = cells.shape[1]
        if self.free:
            return np.ones((n, self.edits), dtype=np.bool_)
        edited = np.repeat(cells.T[:, None, :], self.edits, axis=1)
        edited[:, np.arange(self.edits), self.decision_of_edit] = self.choice_of_edit
        return self.space.is_valid(edited.reshape(-1, self.decisions)).reshape(n, self.edits)

    def indices(self, cells: Columns) -> Indices:
        """Return ``int64[n]``, the index of each complete cell."""
        if self._codes is None:
            return self.space.index(np.ascontiguousarray(cells.T))
        codes: NDArray[np.int64] = np.dot(self._places, cells.astype(np.float32)).astype(np.int64)
        return self._codes[codes]

    def index(self, cell: list[int]) -> int:
        """Return the index of one complete cell: the scalar form of `indices`."""
        if self._codes is None:
            return int(self.space.index(np.array([cell], dtype=np.int8))[0])
        code = 0
        for choice, options in zip(cell, self.choices, strict=True):
            code = code * options + choice
        return self._codes.item(code)


def check_illegal(illegal: str) -> Illegal:
    """Return ``illegal`` if it is ``"error"`` or ``"repair"``; raises `UnknownName`."""
    if illegal not in ("error", "repair"):
        raise UnknownName("way to treat illegal actions", illegal, ("error", "repair"))
    return illegal  # type: ignore[return-value]  # compared just above


def legal_action(action: int, mask: Mask, illegal: Illegal) -> int:
    """Return ``action`` if the mask allows it, else the nearest that it allows, or raise `InvalidAction`."""
    if mask[action]:
        return action
    allowed = np.flatnonzero(mask)
    if illegal == "error":
        raise InvalidAction(
            f"action {action} is not legal here: the action mask allows {allowed.tolist()}. Read "
            'info["action_mask"] or action_masks(), or make the environment with illegal="repair".'
        )
    return int(allowed[np.argmin(np.abs(allowed - action))])


def legal_actions(actions: NDArray[np.int64], masks: Mask, illegal: Illegal) -> NDArray[np.int64]:
    """Return ``int64[n]``: the batched form of `legal_action`."""
    wrong = np.flatnonzero(~masks[np.arange(len(actions)), actions])
    if not wrong.size:
        return actions
    repaired = actions.copy()
    for row in wrong.tolist():
        repaired[row] = legal_action(int(actions[row]), masks[row], illegal)
    return repaired


@lru_cache(maxsize=8)
def _index_of_code(space: Space) -> Indices:
    """Return ``int64[size]``: the index of the cell at each place of the lexicographic order. Read-only."""
    cells = np.stack(np.unravel_index(np.arange(space.size), tuple(space.choices.tolist())), axis=1)
    indices = space.index(cells.astype(np.int8))
    indices.flags.writeable = False
    return indices
