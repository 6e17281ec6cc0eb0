"""Checks and made-up tables for people who write their own spaces, tasks and agents."""

from nasgym.testing.agents import check_agent
from nasgym.testing.envs import check_env
from nasgym.testing.spaces import check_space
from nasgym.testing.synthetic import fill_synthetic, synthetic_evaluations
from nasgym.testing.tasks import FailingTask, made_up_accuracies, synthetic_task

__all__ = [
    "FailingTask",
    "check_agent",
    "check_env",
    "check_space",
    "fill_synthetic",
    "made_up_accuracies",
    "synthetic_evaluations",
    "synthetic_task",
]
