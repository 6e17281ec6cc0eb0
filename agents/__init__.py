"""Search agents: one file each, found by name."""

from nasgym.agents.base import Agent, Description, Setting, begin, check_settings, describe, setting
from nasgym.agents.registry import agent_class, agent_names, get_agent

__all__ = [
    "Agent",
    "Description",
    "Setting",
    "agent_class",
    "agent_names",
    "begin",
    "check_settings",
    "describe",
    "get_agent",
    "setting",
]
