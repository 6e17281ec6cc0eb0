"""Which stored seed answers an evaluation: a counter-based draw, so that single and batched runs agree.

The draw is the splitmix64 output function (Steele, Lea and Flood, OOPSLA 2014) of the task's seed and the number of
the evaluation: it has no state, and any part of the sequence can be computed at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Draws", "draw", "draws"]

_WORD = (1 << 64) - 1
_BLOCK = 16_384  # evaluations; long enough that numpy's overhead for a call vanishes
_GAMMA, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def draw(seed: int, number: int) -> int:
    """Return the uniform 64-bit integer of evaluation ``number`` (from 0) of a task with ``seed``."""
    z = (_mix(seed & _WORD) + (number + 1) * _GAMMA) & _WORD
    return _mix(z)


def draws(seed: int, first: int, n: int) -> NDArray[np.uint64]:
    """Return ``uint64[n]``: the draws of evaluations ``first..first+n-1``, equal to `draw` one by one."""
    with np.errstate(over="ignore"):
        z = np.arange(first + 1, first + n + 1, dtype=np.uint64)
        z *= np.uint64(_GAMMA)
        z += np.uint64(_mix(seed & _WORD))
        for shift, factor in ((30, _MIX_1), (27, _MIX_2)):
            z ^= z >> np.uint64(shift)
            z *= np.uint64(factor)
        z ^= z >> np.uint64(31)
    return z


class Draws:
    """The draws of one seed, computed a block at a time: `draw` and `draws` with less work for each."""

    def __init__(self, seed: int) -> None:
        """Compute nothing yet."""
        self._seed, self._first = seed, 0
        self._block = np.empty(0, dtype=np.uint64)
        self._remainders = self._block.astype(np.int64)
        self._modulus = 1

    def one(self, number: int) -> int:
        """Return the draw of evaluation ``number``."""
        at = number - self._first
        if not 0 <= at < len(self._block):
            self.batch(number, 1)
            at = 0
        return self._block.item(at)

    def batch(self, first: int, n: int) -> NDArray[np.uint64]:
        """Return ``uint64[n]``, the draws of evaluations ``first..first+n-1``. Read-only."""
        at = first - self._first
        if not 0 <= at <= len(self._block) - n:
            self._block, self._first, at = draws(self._seed, first, max(n, _BLOCK)), first, 0
            self._block.flags.writeable = False
            self._modulus = 0
        return self._block[at : at + n]

    def remainders(self, first: int, n: int, modulus: int) -> NDArray[np.int64]:
        """Return ``int64[n]``, the remainders of `batch` after division by ``modulus``. Read-only."""
        self.batch(first, n)
        if modulus != self._modulus:
            self._remainders, self._modulus = _modulo(self._block, modulus), modulus
            self._remainders.flags.writeable = False
        at = first - self._first
        return self._remainders[at : at + n]


def _modulo(numbers: NDArray[np.uint64], n: int) -> NDArray[np.int64]:
    """Return ``numbers % n``; numpy divides by one number with multiplications, but takes remainders one by one."""
    quotient = numbers // np.uint64(n)
    quotient *= np.uint64(n)
    return (numbers - quotient).view(np.int64)


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * _MIX_1) & _WORD
    z = ((z ^ (z >> 27)) * _MIX_2) & _WORD
    return z ^ (z >> 31)
