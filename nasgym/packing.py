"""Arrays of float64 in few bytes, bit for bit: how the records of the store keep curves. numpy only.

Accuracies and losses of a training are averages: a sum of few significant bits over a known number of images. Such a
curve is kept as whole numbers ``k`` with ``value = k * 2**-shift / divisor``, bit plane by bit plane, so that equal
high bits deflate to nothing. It is done only where every value comes back with all its bits; other curves are kept as
they are, in the narrowest type that holds them.
"""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import StoreDamaged

__all__ = ["Coding", "pack", "unpack"]

Coding: TypeAlias = Any
"""How an array was packed, as a JSON value:

- ``"c"``, ``"s"``, ``"m"``: one float64: it is every value, or added up, or the running mean of itself;
- ``[divisor, shift, bits]``: whole numbers of so many bits, in bit planes, the lowest first;
- ``"p"``: float64 in byte planes, the lowest first;
- ``"<f2"``, ``"<f4"``, ``"<f8"``: floats one after the other.
"""
_PLAIN = ("<f2", "<f4", "<f8")
_ONE = ("c", "s", "m")
_PLANES = "p"
_DIVISORS = np.array([1.0, 3125.0, 625.0, 375.0, 37925.0])
"""1, and the odd parts of 25,000 and 50,000, of 5,000 and 10,000, of 3,000 and 6,000, and of 151,700 images."""
_MOST_BITS = 48  # wider sums are not told from chance
_WIDTH = 50  # bits of the numbers in which trailing zeros are looked for
_MAX_COUNT = 1 << 24
_MAX_SHIFT = 1200


def pack(values: NDArray[np.float64]) -> tuple[Coding, bytes]:
    """Return how an array ``float64[k]``, ``k > 0``, was packed, and its bytes; `unpack` is the inverse."""
    with np.errstate(all="ignore"):  # while forms are tried that do not fit
        plain = _narrowest(values)
        if len(values) == 1:
            return plain, values.astype(plain).tobytes()
        for coding in _ONE:
            if _bits_equal(_from_one(coding, values[0], len(values)), values):
                return coding, values[:1].astype("<f8").tobytes()
        found = _whole_numbers(values)
        if found is not None and found[0][2] < 8 * np.dtype(plain).itemsize:
            return found
    if plain != "<f8":
        return plain, values.astype(plain).tobytes()
    return _PLANES, values.astype("<f8").view(np.uint8).reshape(-1, 8).T.tobytes()


def unpack(coding: Coding, count: int, data: bytes, at: int) -> tuple[NDArray[np.float64], int]:
    """Return ``float64[count]`` and where its bytes in ``data``, which begin ``at``, end.

    Raises:
        StoreDamaged: There is no such coding, or there are too few bytes.
    """
    if type(count) is not int or not 1 <= count <= _MAX_COUNT:
        raise StoreDamaged(f"a record names {count!r} numbers in one series.")
    try:
        if coding in _ONE:
            return _from_one(coding, np.frombuffer(data, "<f8", 1, at)[0], count), at + 8
        if coding in _PLAIN:
            end = at + count * np.dtype(coding).itemsize
            return np.frombuffer(data, coding, count, at).astype(np.float64), end
        if coding == _PLANES:
            planes = np.frombuffer(data, np.uint8, 8 * count, at).reshape(8, count)
            return np.ascontiguousarray(planes.T).view("<f8")[:, 0].astype(np.float64), at + 8 * count
        return _from_whole_numbers(coding, count, data, at)
    except (ValueError, TypeError) as error:
        raise StoreDamaged(f"a series of a record cannot be read ({error}).") from error


def _bits_equal(one: NDArray[np.float64], two: NDArray[np.float64]) -> bool:
    return one.tobytes() == two.tobytes()


def _narrowest(values: NDArray[np.float64]) -> str:
    """Return the smallest float type that holds every value exactly."""
    narrowest = _PLAIN[-1]
    for dtype in reversed(_PLAIN[:-1]):  # what the wider type loses, the narrower one loses too
        if not _bits_equal(values.astype(dtype).astype(np.float64), values):
            break
        narrowest = dtype
    return narrowest


def _from_one(coding: str, value: np.float64, count: int) -> NDArray[np.float64]:
    """Return the array that one number stands for."""
    constant = np.full(count, value)
    if coding == "c":
        return constant
    with np.errstate(all="ignore"):  # infinity and what is no number are values like others
        sums: NDArray[np.float64] = np.cumsum(constant)
        return sums if coding == "s" else sums / np.arange(1, count + 1)


def _whole_numbers(values: NDArray[np.float64]) -> tuple[Coding, bytes] | None:
    """Pack averages, or return None where they are none; the divisor is that of the fewest bits in a sample."""
    if not np.isfinite(values).all() or np.signbit(values).any():
        return None
    sample = values[:: max(len(values) // 4, 1)][None, :] * _DIVISORS[:, None]
    bits = [_scaled(row)[2] for row in sample]
    for at in np.argsort(bits, kind="stable").tolist():
        if bits[at] > _MOST_BITS:
            return None
        numbers, shift, width = _scaled(values * _DIVISORS[at])
        if width <= _MOST_BITS and _bits_equal(np.ldexp(numbers.astype(np.float64), -shift) / _DIVISORS[at], values):
            return [int(_DIVISORS[at]), shift, width], _bit_planes(numbers, width)
    return None


def _scaled(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], int, int]:
    """Return whole numbers near ``values * 2**shift`` without common trailing zeros, ``shift``, and their bits."""
    most = float(values.max())
    if most == 0.0 or not np.isfinite(most):
        return np.zeros(len(values), np.int64), 0, 1 if most == 0.0 else _MOST_BITS + 1
    shift = _WIDTH - int(np.frexp(most)[1])
    numbers = np.rint(np.ldexp(values, shift)).astype(np.int64)
    every = int(np.bitwise_or.reduce(numbers))
    zeros = (every & -every).bit_length() - 1
    if shift - zeros > _MAX_SHIFT or zeros < 0:
        return numbers, 0, _MOST_BITS + 1
    numbers >>= zeros
    return numbers, shift - zeros, max(int(numbers.max()).bit_length(), 1)


def _bit_planes(numbers: NDArray[np.int64], width: int) -> bytes:
    bits = np.unpackbits(numbers.astype("<i8").view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
    return np.packbits(bits[:, :width].T).tobytes()


def _from_whole_numbers(coding: Coding, count: int, data: bytes, at: int) -> tuple[NDArray[np.float64], int]:
    if not isinstance(coding, list) or len(coding) != 3 or any(type(number) is not int for number in coding):
        raise StoreDamaged("a record names a way to pack numbers that there is none of.")
    divisor, shift, width = coding
    if not 1 <= divisor <= sys.maxsize or abs(shift) > _MAX_SHIFT or not 1 <= width <= _MOST_BITS:
        raise StoreDamaged(f"a record names numbers of {width} bits, divided by {divisor} and 2**{shift}.")
    length = (width * count + 7) // 8
    bits = np.zeros((64, count), np.uint8)
    bits[:width] = np.unpackbits(np.frombuffer(data, np.uint8, length, at), count=width * count).reshape(width, count)
    columns = np.ascontiguousarray(np.packbits(bits, axis=0, bitorder="little").T)
    numbers = columns.view("<i8")[:, 0].astype(np.float64)
    with np.errstate(all="ignore"):
        return np.ldexp(numbers, -shift) / float(divisor), at + length
