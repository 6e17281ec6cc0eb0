"""A2C over stable-baselines3, tuned for a budget of about a hundred evaluations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from nasgym.agents._alone import alone
from nasgym.agents._workers import whole_rounds
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.agents.ppo import TUNED
from nasgym.task import Task

__all__ = ["A2C"]


@dataclass(frozen=True, kw_only=True)
class A2C(Agent):
    """Build a batch of cells, take one policy-gradient step on it with a learnt baseline, and again."""

    name: ClassVar[str] = "a2c"
    family: ClassVar[str] = "reinforcement learning"
    source: ClassVar[str] = "Mnih et al., ICML 2016 (synchronous), as in stable-baselines3; " + TUNED

    parallel: int = setting(4, f"Cells built at once: one gradient step per batch of them ({TUNED}).", low=1)
    learning_rate: float = setting(3e-3, f"Step size ({TUNED}; the library has 7e-4).", above=0)
    rmsprop: bool = setting(True, "RMSprop as in the paper, else Adam.")
    entropy: float = setting(0.03, f"Weight of the entropy bonus ({TUNED}; the library has 0).", low=0)
    discount: float = setting(1.0, "Discount: only the last step is rewarded, so 1.", above=0, high=1)
    trace: float = setting(1.0, "GAE's lambda, 1 is plain returns minus values (the library's default).", low=0, high=1)
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
            from stable_baselines3 import A2C as Algorithm

            from nasgym.agents import _sb3  # brings torch

            env = _sb3.build_cells(task, self.parallel, self.reward)
            settings = self._settings(task.space.num_decisions) | {"seed": int(rng.integers(2**31))}
            _sb3.learn(Algorithm("MlpPolicy", env, **settings))

    def _settings(self, decisions: int) -> dict[str, Any]:
        """Return the library's arguments; an update follows when each environment has built one cell."""
        return {
            "device": "cpu",
            "n_steps": decisions,
            "learning_rate": float(self.learning_rate),
            "use_rms_prop": self.rmsprop,
            "ent_coef": float(self.entropy),
            "gamma": float(self.discount),
            "gae_lambda": float(self.trace),
            "policy_kwargs": {"net_arch": [self.hidden]},
        }
