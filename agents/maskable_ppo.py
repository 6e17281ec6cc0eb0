"""PPO that heeds action masks, over sb3-contrib; otherwise as `nasgym.agents.ppo`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nasgym.agents.ppo import PPO, TUNED

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

__all__ = ["MaskablePPO"]


@dataclass(frozen=True, kw_only=True)
class MaskablePPO(PPO):
    """PPO that never proposes a choice which the search space's action mask forbids.

    Where every choice is legal, as in NAS-Bench-201, it is PPO.
    """

    name: ClassVar[str] = "maskable_ppo"
    source: ClassVar[str] = "Huang and Ontanon, FLAIRS 2022 (arXiv 2006.14171), as in sb3-contrib; " + TUNED
    masked: ClassVar[bool] = True

    def _algorithm(self) -> type[OnPolicyAlgorithm]:
        from sb3_contrib import MaskablePPO as Algorithm

        return Algorithm
