"""PPO over stable-baselines3, tuned for a budget of about a hundred evaluations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nasgym.agents._alone import alone
from nasgym.agents._workers import whole_rounds
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.task import Task

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

__all__ = ["PPO", "TUNED"]

TUNED = "tuned on NAS-Bench-201, CIFAR-10, 12,000 s"
"""Where a default was chosen by a measurement; ``docs/agents.md`` shows it."""


@dataclass(frozen=True, kw_only=True)
class PPO(Agent):
    """Build a batch of cells, update the policy on it by PPO, and again.

    The policy sees the decisions taken so far and takes the next one; the reward comes with the finished cell.
    """

    name: ClassVar[str] = "ppo"
    family: ClassVar[str] = "reinforcement learning"
    source: ClassVar[str] = "Schulman et al., 2017 (arXiv 1707.06347), as in stable-baselines3; " + TUNED
    masked: ClassVar[bool] = False  # whether illegal choices are masked; else the nearest legal one counts

    parallel: int = setting(8, f"Cells built at once: one update per batch of them ({TUNED}).", low=2)
    learning_rate: float = setting(3e-3, f"Step size of Adam ({TUNED}; the library has 3e-4).", above=0)
    epochs: int = setting(10, "Passes over each batch (the library's default).", low=1)
    minibatches: int = setting(1, f"Parts of a batch, each a gradient step ({TUNED}: 3 is no better).", low=1)
    clip: float = setting(0.2, "How far an update may move a probability ratio (Schulman et al., 2017).", above=0)
    entropy: float = setting(0.0, "Weight of the entropy bonus (the library's default).", low=0)
    discount: float = setting(1.0, "Discount: only the last step is rewarded, so 1.", above=0, high=1)
    trace: float = setting(0.95, f"GAE's lambda (the library's default; {TUNED}: better than 1).", low=0, high=1)
    hidden: int = setting(32, f"Units of the one hidden layer of policy and value ({TUNED}).", low=1)
    reward: str = setting(
        "standardised",
        "'standardised' (clipped standard score among all cells of the run so far), 'rank' among them, or 'accuracy'.",
        options=("standardised", "rank", "accuracy"),
    )

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        rng = begin(task, seed)
        replace(self, parallel=whole_rounds(self.parallel, task.workers))._search(task, rng)

    def _search(self, task: Task, rng: np.random.Generator) -> None:
        with alone():
            from nasgym.agents import _sb3  # brings torch

            env = _sb3.build_cells(task, self.parallel, self.reward, masked=self.masked)
            settings = self._settings(task.space.num_decisions) | {"seed": int(rng.integers(2**31))}
            _sb3.learn(self._algorithm()("MlpPolicy", env, **settings))

    def _settings(self, decisions: int) -> dict[str, Any]:
        """Return the library's arguments; an update follows when each environment has built one cell."""
        return {
            "device": "cpu",
            "n_steps": decisions,
            "batch_size": math.ceil(decisions * self.parallel / self.minibatches),
            "n_epochs": self.epochs,
            "learning_rate": float(self.learning_rate),
            "clip_range": float(self.clip),
            "ent_coef": float(self.entropy),
            "gamma": float(self.discount),
            "gae_lambda": float(self.trace),
            "policy_kwargs": {"net_arch": [self.hidden]},
        }

    def _algorithm(self) -> type[OnPolicyAlgorithm]:
        from stable_baselines3 import PPO as Algorithm

        return Algorithm
