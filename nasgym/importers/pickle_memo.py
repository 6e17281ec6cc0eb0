"""What a pickle has put aside to refer to later: of architectures that were handed out, only the texts."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_right
from typing import Any

from nasgym.errors import InvalidArchive
from nasgym.importers.pickle_values import DType, Global

__all__ = ["Memo"]

_MOST = 1 << 32
_MOST_TEXT = 64 << 20  # characters of different texts
_KEPT = 4096  # functions and types of numbers; a file has a handful


class Memo:
    """The objects that a pickle numbers, in order.

    One of 15,625 architectures numbers some 10,000 objects, nearly all of them texts like ``x-valid@17`` that are the
    same in each. After an architecture was handed out (`seal`), its texts are kept as numbers of the different ones,
    deflated; references to its other objects, which do not occur, are refused.

    Args:
        where: Which file, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._base = 0
        self._new: list[Any] = []
        self._starts: list[int] = []
        self._sealed: list[bytes] = []
        self._opened: tuple[int, array[int]] = -1, array("I")
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = []
        self._characters = 0
        self._kept: dict[int, Any] = {}

    def append(self, value: object) -> None:
        """Number the next object."""
        self._new.append(value)

    def put(self, number: int, value: object) -> None:
        """Number an object; numbers come in order."""
        at = number - self._base
        if at == len(self._new):
            self._new.append(value)
        elif 0 <= at < len(self._new):
            self._new[at] = value
        else:
            raise self._fault(f"object {number} is put aside after object {self._base + len(self._new) - 1}")

    def get(self, number: int) -> Any:
        """Return an object; raises `InvalidArchive` where there is none or it was forgotten."""
        at = number - self._base
        if 0 <= at < len(self._new):
            return self._new[at]
        if number in self._kept:
            return self._kept[number]
        if not 0 <= number < self._base:
            raise self._fault(f"it refers to object {number}, which there is none of")
        segment = bisect_right(self._starts, number) - 1
        if self._opened[0] != segment:
            opened = array("I")
            opened.frombytes(zlib.decompress(self._sealed[segment]))
            self._opened = segment, opened
        text = self._opened[1][number - self._starts[segment]]
        if not text:
            raise self._fault(f"it refers to object {number} of another architecture")
        return self._texts[text - 1]

    def seal(self) -> None:
        """Forget the objects so far but texts, functions and types."""
        numbers, texts = self._numbers, array("I", bytes(4 * len(self._new)))
        for at, value in enumerate(self._new):
            if type(value) is str:
                texts[at] = numbers.get(value) or self._number(value)
            elif isinstance(value, Global | DType):
                self._kept[self._base + at] = value
        if len(self._kept) > _KEPT or self._base + len(self._new) > _MOST:
            raise self._fault("it puts aside more than results need")
        self._starts.append(self._base)
        self._sealed.append(zlib.compress(texts.tobytes(), 1))
        self._base += len(self._new)
        self._new = []

    def _number(self, text: str) -> int:
        self._characters += len(text) + 64
        if self._characters > _MOST_TEXT:
            raise self._fault(f"it has more than {_MOST_TEXT:,} characters of different texts")
        self._texts.append(text)
        self._numbers[text] = len(self._texts)
        return len(self._texts)

    def _fault(self, what: str) -> InvalidArchive:
        return InvalidArchive(f"{self._where} is no official file as published: {what}. Download it again.")
