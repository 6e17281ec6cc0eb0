"""CRC-32C of many byte strings at once, in numpy, and the mask that TFRecord files put over it.

The checksum of a string is that of the same string behind any number of zeros, if it starts from zero and the string's
first four bytes are inverted instead. So strings of all lengths stand side by side, flush right, and a step takes two
bytes of each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["crc32c", "masked_crc32c"]

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
_MASK = 0xA282EAD8
_ROWS = 2048  # strings per pass: what a step touches stays in the cache


def crc32c(strings: Sequence[bytes]) -> NDArray[np.uint32]:
    """Return the CRC-32C of each string, ``uint32[n]``; every one has four bytes or more."""
    parts = [_crc(strings[at : at + _ROWS]) for at in range(0, len(strings), _ROWS)]
    return np.concatenate([np.zeros(0, np.uint32), *parts])


def masked_crc32c(strings: Sequence[bytes]) -> NDArray[np.uint32]:
    """Return the checksum of each string as TFRecord files hold it, ``uint32[n]``: turned by 15 bits, then added to."""
    crc = crc32c(strings)
    return (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(_MASK)


def _crc(strings: Sequence[bytes]) -> NDArray[np.uint32]:
    table, sixteen = _table(), np.uint32(16)
    state, at = np.zeros(len(strings), dtype="<u4"), np.empty(len(strings), dtype=np.intp)
    low = state.view("<u2")[::2]
    for column in _columns(strings):
        np.bitwise_xor(low, column, out=at, casting="unsafe")  # an index, not worth a copy
        np.right_shift(state, sixteen, out=state)
        np.bitwise_xor(state, table.take(at), out=state)
    return ~state


def _columns(strings: Sequence[bytes]) -> NDArray[np.uint16]:
    """Return the strings flush right behind zeros, two bytes a row, ``uint16[words, n]``, first four bytes inverted."""
    lengths = np.array([len(string) for string in strings], dtype=np.int64)
    width = 2 * ((int(lengths.max()) + 1) // 2)
    flush = np.frombuffer(bytearray().join(string.rjust(width, b"\0") for string in strings), dtype=np.uint8)
    first = np.arange(len(strings)) * width + width - lengths
    flush[first[:, None] + np.arange(4)] ^= 0xFF
    return np.ascontiguousarray(flush.view("<u2").reshape(len(strings), -1).T)


@cache
def _table() -> NDArray[np.uint32]:
    """Return what two bytes do to the checksum, ``uint32[65536]``."""
    table: NDArray[np.uint32] = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(16):
        table = table >> np.uint32(1) ^ (table & np.uint32(1)) * np.uint32(_POLYNOMIAL)
    return table
