"""Settings of agents in words, as the command line takes them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from typing import Any

from nasgym.agents import agent_class, describe
from nasgym.errors import InvalidSetting

__all__ = ["parse_settings"]

_WORDS = {"true": True, "false": False}


def parse_settings(words: Iterable[str], agents: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return what ``["gdas.epochs=10"]`` says: ``{"gdas": {"epochs": 10}}``; of the same setting the last word counts.

    Args:
        words: Each ``AGENT.SETTING=VALUE``, the agent as it is named in ``agents``.
        agents: The agents of the study.

    Raises:
        InvalidSetting: A word has another form. Unknown names are left to `StudyDesign`, bounds to the agents.
    """
    found: dict[str, dict[str, Any]] = {}
    for word in words:
        place, equals, text = word.partition("=")
        agent, _, name = place.rpartition(".")
        if not (agent and name and equals):
            raise InvalidSetting(f"--set takes an agent's setting and its value, such as gdas.epochs=10; got {word!r}.")
        found.setdefault(agent, {})[name] = _value(agent, name, text) if agent in agents else text
    return found


def _value(agent: str, name: str, text: str) -> Any:
    """Return a value as the type of the setting's default asks; what cannot be read so stays text, and is refused."""
    defaults = {setting.name: setting.default for setting in describe(agent_class(agent)).settings}
    if isinstance(defaults.get(name), str):
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
