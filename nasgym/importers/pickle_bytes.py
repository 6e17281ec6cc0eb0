"""The bytes of a pickle, read ahead, each once; weights are skipped and what one architecture may take is bounded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from nasgym.errors import InvalidArchive
from nasgym.importers.pickle_values import LEFT_OUT

__all__ = ["AHEAD", "PickleBytes"]

AHEAD = 1 << 16
"""Bytes that are at hand when a step begins; no run of items is longer than a buffer."""
_CHUNK = 1 << 20
_BYTES = 16 << 20
"""Bytes of pickle per architecture without weights; the published ones take a third of a million."""
_SKIPPED = 256 << 20
"""Bytes of weights per architecture; the published ones take up to 110 million."""
_LONGEST = 1 << 16  # a text
_LONGEST_BYTES = 256  # a number; longer ones are weights


class PickleBytes:
    """The bytes of one pickle.

    Args:
        read: Gives up to so many next bytes of the pickle, and none at its end.
        where: Which file, for messages.
    """

    def __init__(self, read: Callable[[int], bytes], where: str) -> None:
        self._read, self._where = read, where
        self._data, self._at, self._ended = b"", 0, False
        self._used = self._skipped = 0

    @property
    def rest(self) -> bytes:
        """What was read ahead and not used: the bytes after the pickle."""
        return self._data[self._at :]

    def _refill(self) -> None:
        """Read until enough is at hand or the file ends; a read may give less than was asked for."""
        pieces = [self._data[self._at :]]
        at_hand = len(pieces[0])
        while at_hand < AHEAD and not self._ended:
            more = self._read(_CHUNK)
            self._ended = not more
            self._used += len(more)
            at_hand += len(more)
            pieces.append(more)
        if self._used > _BYTES + 2 * _CHUNK:
            raise self._fault(f"one architecture takes more than {_BYTES:,} bytes")
        self._data, self._at = b"".join(pieces), 0

    def _take(self, count: int) -> bytes:
        if count > _LONGEST:
            raise self._fault(f"a text of {count:,} bytes")
        end = self._at + count
        if end > len(self._data):
            raise self._fault("it is cut off")
        found = self._data[self._at : end]
        self._at = end
        return found

    def _number(self, form: struct.Struct) -> Any:
        found = form.unpack_from(self._data, self._at)[0]
        self._at += form.size
        return found

    def _line(self) -> str:
        end = self._data.index(b"\n", self._at, self._at + 256)
        found = self._data[self._at : end].decode("ascii")
        self._at = end + 1
        return found

    def _bytes(self, count: int) -> object:
        """Return bytes, or a sign that they were left out, if they are weights."""
        if count <= _LONGEST_BYTES:
            return self._take(count)
        self._skipped += count
        if self._skipped > _SKIPPED:
            raise self._fault(f"the weights of one architecture take more than {_SKIPPED:,} bytes")
        ahead = min(count, len(self._data) - self._at)
        self._at += ahead
        self._used -= ahead
        missing = count - ahead
        while missing:
            found = len(self._read(min(missing, _CHUNK)))
            if not found:
                raise self._fault("it is cut off")
            missing -= found
        return LEFT_OUT

    def _fault(self, what: str) -> InvalidArchive:
        return InvalidArchive(f"{self._where} is no official file as published: {what}. Download it again.")
