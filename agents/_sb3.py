"""What the agents over stable-baselines3 share: a batch of cells under construction, and scaled rewards.

Imported inside `search()` only, since it brings torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from nasgym.envs.sb3 import StopAtBudget, make_sb3_env
from nasgym.task import Task

__all__ = ["FOREVER", "RelativeRewards", "build_cells", "learn"]

FOREVER = 10**9
"""Steps to learn for; the budget ends learning long before."""


def build_cells(task: Task, parallel: int, reward: str, *, masked: bool = False) -> VecEnv:
    """Return ``parallel`` environments that build cells on one task.

    Args:
        task: The task.
        parallel: How many.
        reward: ``"standardised"``, ``"rank"`` or ``"accuracy"``, see `RelativeRewards`.
        masked: Whether the agent heeds action masks; else an illegal choice counts as the nearest legal one.
    """
    env: VecEnv = make_sb3_env(task, parallel, illegal="error" if masked else "repair")
    return env if reward == "accuracy" else RelativeRewards(env, ranked=reward == "rank")


def learn(model: BaseAlgorithm) -> None:
    """Learn until the task's budget is spent, without a word and without a log folder."""
    model.set_logger(Logger(folder=None, output_formats=[]))
    model.learn(FOREVER, callback=StopAtBudget())


class RelativeRewards(VecEnvWrapper):
    """Rewards a finished cell by how it compares with all cells of the run so far.

    Accuracies of good cells differ by a percent, those of bad ones by tens: so small networks that see a hundred
    rewards learn faster from standard scores, clipped to ``[-3, 3]``, or from ranks, ``[-1, 1]``.

    Args:
        venv: Environments whose reward is the accuracy, given at the end of an episode.
        ranked: Give the rank rather than the standard score.
    """

    def __init__(self, venv: VecEnv, *, ranked: bool) -> None:
        super().__init__(venv)
        self._ranked = ranked
        self._seen: list[float] = []

    def reset(self) -> VecEnvObs:
        """Begin all episodes."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Step, and scale the rewards of the episodes that ended; one that was refused gives 0."""
        observations, rewards, dones, infos = self.venv.step_wait()
        counted = [i for i in np.flatnonzero(dones).tolist() if infos[i]["counted"]]
        if counted:
            self._seen += rewards[counted].tolist()
            rewards[counted] = self._scaled(rewards[counted])
        return observations, rewards, dones, infos

    def _scaled(self, rewards: NDArray[np.float32]) -> NDArray[np.float64]:
        seen = np.array(self._seen)
        if self._ranked:
            return np.asarray(2 * (seen < rewards[:, None]).mean(axis=1) - 1)
        return np.asarray(np.clip((rewards - seen.mean()) / (seen.std() + 1e-4), -3, 3))
