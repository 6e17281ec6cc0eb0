"""Gymnasium environments over a task."""

from nasgym.envs.registration import register_envs

__all__ = ["register_envs"]
