"""DQN over stable-baselines3, tuned for a budget of about a hundred evaluations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from nasgym.agents._alone import alone
from nasgym.agents._workers import whole_rounds
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.agents.ppo import TUNED
from nasgym.task import Task

__all__ = ["DQN"]


@dataclass(frozen=True, kw_only=True)
class DQN(Agent):
    """Learn what each choice is worth from a memory of all choices so far, and mostly take the best."""

    name: ClassVar[str] = "dqn"
    family: ClassVar[str] = "reinforcement learning"
    source: ClassVar[str] = "Mnih et al., Nature 2015, as in stable-baselines3; " + TUNED

    parallel: int = setting(2, f"Cells built at once ({TUNED}).", low=1)
    learning_rate: float = setting(3e-3, f"Step size of Adam ({TUNED}; the library has 1e-4).", above=0)
    updates: int = setting(8, f"Gradient steps after each batch of finished cells ({TUNED}).", low=1)
    batch: int = setting(64, f"Choices per gradient step ({TUNED}).", low=1)
    random_cells: int = setting(10, f"Cells chosen at random before learning begins ({TUNED}).", low=0)
    exploring_cells: int = setting(60, f"Cells over which random choices fade out ({TUNED}).", low=1)
    exploration: float = setting(0.05, "Share of random choices after that (the library's default).", low=0, high=1)
    target_interval: int = setting(
        4, "Batches of cells between copies to the target network (a choice, not tuned).", low=1
    )
    discount: float = setting(1.0, "Discount: only the last step is rewarded, so 1.", above=0, high=1)
    hidden: int = setting(64, "Units of each of the two hidden layers (the library's default).", low=1)
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
            from stable_baselines3 import DQN as Algorithm

            from nasgym.agents import _sb3  # brings torch

            env = _sb3.build_cells(task, self.parallel, self.reward)
            settings = self._settings(task.space.num_decisions, _sb3.FOREVER)
            _sb3.learn(Algorithm("MlpPolicy", env, seed=int(rng.integers(2**31)), **settings))

    def _settings(self, decisions: int, total_steps: int) -> dict[str, Any]:
        """Return the library's arguments, with cells converted to steps."""
        return {
            "device": "cpu",
            "buffer_size": _MEMORY,
            "learning_starts": self.random_cells * decisions,
            "train_freq": (decisions, "step"),
            "gradient_steps": self.updates,
            "batch_size": self.batch,
            "learning_rate": float(self.learning_rate),
            "exploration_fraction": self.exploring_cells * decisions / total_steps,
            "exploration_final_eps": float(self.exploration),
            "target_update_interval": self.target_interval * decisions * self.parallel,
            "gamma": float(self.discount),
            "policy_kwargs": {"net_arch": [self.hidden, self.hidden]},
        }


_MEMORY = 100_000  # choices, far more than a budget buys
