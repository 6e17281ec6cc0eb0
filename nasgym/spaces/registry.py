"""Search spaces by name."""

from __future__ import annotations

from nasgym.errors import UnknownName
from nasgym.spaces.base import Space
from nasgym.spaces.nats_sss import NatsSSS
from nasgym.spaces.nb101 import NB101, NB101_SPACES
from nasgym.spaces.nb201 import NB201

__all__ = ["get_space", "space_names"]

_SPACES: dict[str, Space] = {space.name: space for space in (NB201(), NatsSSS(), NB101(), NB101(5))}
_UNLISTED: dict[str, Space] = {space.name: space for space in NB101_SPACES if space.name not in _SPACES}


def space_names(*, unlisted: bool = False) -> tuple[str, ...]:
    """Return the names of the search spaces; ``unlisted`` adds NAS-Bench-101 with other numbers of vertices."""
    return (*_SPACES, *_UNLISTED) if unlisted else tuple(_SPACES)


def get_space(name: str) -> Space:
    """Return the search space called ``name``; raises `UnknownName` with near names."""
    try:
        return _SPACES.get(name) or _UNLISTED[name]
    except KeyError:
        raise UnknownName("search space", name, _SPACES) from None
