"""The ids under which Gymnasium finds the environments."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium

__all__ = ["register_envs"]


class _Kind(NamedTuple):
    """One way to search, offered for every space: its entry points are strings, so that nothing is imported here."""

    suffix: str
    entry_point: str
    vector_entry_point: str


_KINDS = (
    _Kind("", "nasgym.envs.construct:ConstructEnv", "nasgym.envs.vector:ConstructVectorEnv"),
    _Kind("-Edit", "nasgym.envs.edit:EditEnv", "nasgym.envs.vector:EditVectorEnv"),
)
_NAMES: dict[str, dict[str, Any]] = {
    "NB201": {"space": "nb201"},
    "NATS-SSS": {"space": "nats-sss"},
    "NB101": {"space": "nb101"},
    "NB101-5": {"space": "nb101-5"},
}
"""Name of the id -> the arguments that make it this space's."""


def register_envs() -> None:
    """Register every environment id with Gymnasium, once; calling it again changes nothing."""
    for name, kwargs in _NAMES.items():
        for kind in _KINDS:
            env_id = f"nasgym/{name}{kind.suffix}-v0"
            if env_id not in gymnasium.registry:
                gymnasium.register(
                    env_id, kind.entry_point, vector_entry_point=kind.vector_entry_point, kwargs=dict(kwargs)
                )
