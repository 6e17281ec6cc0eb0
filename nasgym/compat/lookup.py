"""Which architecture a caller means."""

from __future__ import annotations

import operator
from functools import lru_cache
from typing import Any

import numpy as np

from nasgym.errors import InvalidArchitecture
from nasgym.importers.official_names import architecture_string
from nasgym.spaces import get_space

__all__ = ["Lookup", "published_strings"]


@lru_cache(maxsize=2)
def published_strings(space: str) -> tuple[str, ...]:
    """Return all architecture strings of a space in the published order."""
    found = get_space(space)
    return tuple(found.to_str(found.from_index(np.arange(found.size))))


class Lookup:
    """Finds the index of an architecture: of an index, a string, or an object with ``tostr()``.

    Args:
        space: ``"nb201"`` or ``"nats-sss"``.
        size: Architectures in it.
        known: String -> index, where a caller brought a list of its own; None: as published.
    """

    def __init__(self, space: str, size: int, known: dict[str, int] | None = None) -> None:
        self._space, self._size, self._complete = space, size, known is not None
        self._known: dict[str, int] = {} if known is None else known

    def index(self, arch: Any) -> int:
        """Return the index of an architecture; raises `InvalidArchitecture`, a ValueError, where it is none."""
        if type(arch) is int and 0 <= arch < self._size:
            return arch
        if isinstance(arch, str):
            return self._of_string(arch)
        if hasattr(arch, "tostr"):
            return self._of_string(arch.tostr())
        try:
            number = operator.index(arch)
        except TypeError:
            raise InvalidArchitecture(
                f"an architecture is an index, a string or an object with tostr(); got {type(arch).__name__}."
            ) from None
        if not 0 <= number < self._size:
            raise InvalidArchitecture(f"Invalid architecture index {number} vs [0, {self._size}].")
        return number

    def _of_string(self, text: str) -> int:
        found = self._known.get(text)
        if found is None:
            found = None if self._complete else self._parsed(text)
            if found is None:
                raise InvalidArchitecture(f"{text!r} is not an architecture of this search space.")
            self._known[text] = found
        return found

    def _parsed(self, text: str) -> int | None:
        space = get_space(self._space)
        try:
            index = int(space.index(space.from_str([text]))[0])
        except InvalidArchitecture:
            return None
        return index if architecture_string(self._space, index) == text else None  # one spelling, as published
