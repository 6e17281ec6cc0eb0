"""The batched environments as a stable-baselines3 ``VecEnv``, and a callback that stops learning at the budget."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from nasgym.envs.batched import BatchedEnv
from nasgym.envs.vector import ConstructVectorEnv, EditVectorEnv
from nasgym.errors import InvalidSetting
from nasgym.task import Task, make_task

__all__ = ["SB3VecEnv", "StopAtBudget", "make_sb3_env"]

_TOLD = ("architecture", "accuracy", "simulated_seconds", "counted", "budget_exhausted")


class SB3VecEnv(VecEnv):
    """A batched environment as stable-baselines3 wants it.

    It begins anew by itself. At the end of an episode ``infos[i]`` holds ``terminal_observation``,
    ``TimeLimit.truncated``, the statistics ``episode`` = ``{"r", "l", "t"}`` (no ``VecMonitor`` is needed) and
    what became of the cell; otherwise it is empty.

    Args:
        venv: Made with ``autoreset_mode="disabled"``: the adapter keeps the last observations itself.

    Raises:
        InvalidSetting: The environment has another autoreset mode.
    """

    def __init__(self, venv: BatchedEnv) -> None:
        if venv.metadata["autoreset_mode"] is not AutoresetMode.DISABLED:
            raise InvalidSetting(
                f"SB3VecEnv begins episodes itself; got {venv.metadata['autoreset_mode']}. Make the batched "
                'environment with autoreset_mode="disabled", or use make_sb3_env().'
            )
        self.venv = venv
        super().__init__(venv.num_envs, venv.single_observation_space, venv.single_action_space)
        self._actions: NDArray[np.integer] = np.zeros(self.num_envs, dtype=np.int64)
        self._returns, self._lengths = np.zeros(self.num_envs), np.zeros(self.num_envs, dtype=np.int64)
        self._began = time.perf_counter()

    def reset(self) -> NDArray[np.int8]:
        """Begin all episodes; a seed set before restarts a clock that the environment owns."""
        observations, _ = self.venv.reset(seed=self._seeds[0], options=self._options[0] or None)
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        return observations

    def step_async(self, actions: NDArray[np.integer]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments; return observations, rewards, dones and infos."""
        observations, rewards, terminated, truncated, info = self.venv.step(self._actions)
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        dones = terminated | truncated
        if dones.any():
            ended = np.flatnonzero(dones)
            self._tell(infos, ended, observations, truncated & ~terminated, info)
            self._returns[ended] = 0.0
            self._lengths[ended] = 0
            observations, _ = self.venv.reset(options={"reset_mask": dones})
        return observations, rewards.astype(np.float32), dones, infos

    def _tell(
        self,
        infos: list[dict[str, Any]],
        ended: NDArray[np.int64],
        observations: NDArray[np.int8],
        cut: NDArray[np.bool_],
        info: dict[str, Any],
    ) -> None:
        """Fill the infos of the episodes that ended."""
        told = [name for name in _TOLD if name in info]
        seconds = round(time.perf_counter() - self._began, 6)
        columns = [info[name][ended].tolist() for name in told]
        episodes = zip(self._returns[ended].tolist(), self._lengths[ended].tolist(), strict=True)
        last = np.ascontiguousarray(observations[ended])
        rows = zip(ended.tolist(), last, cut[ended].tolist(), episodes, zip(*columns, strict=True), strict=True)
        for i, observation, was_cut, (total, length), values in rows:
            infos[i] = dict(zip(told, values, strict=True))
            infos[i]["terminal_observation"] = observation
            infos[i]["TimeLimit.truncated"] = was_cut
            infos[i]["episode"] = {"r": total, "l": length, "t": seconds}

    def close(self) -> None:
        """Close the batched environment."""
        self.venv.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the batched environment once for each index; raises ``AttributeError``."""
        return [getattr(self.venv, attr_name)] * self._count(indices)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the batched environment: it is one for all."""
        setattr(self.venv, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the batched environment; what it gives per environment is picked by ``indices``."""
        result = getattr(self.venv, method_name)(*args, **kwargs)
        if result is None or len(result) != self.num_envs:
            return [result] * self._count(indices)
        return [result[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Tell whether environments are wrapped: only as if by ``Monitor``, whose statistics they give."""
        return [wrapper_class is Monitor] * self._count(indices)

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return the pictures of all environments."""
        return self.venv.render() or [None] * self.num_envs

    def _count(self, indices: VecEnvIndices) -> int:
        return len(list(self._get_indices(indices)))


class StopAtBudget(BaseCallback):
    """Stops learning when the budget of the environment's task is spent, and logs the search.

    It records ``nas/best_valid`` (a fraction), ``nas/simulated_seconds`` and ``nas/evaluations``. Where environments
    have a task each, learning stops when all are spent; the best and the sums are logged.

    Args:
        verbose: 1 says so when learning is stopped.
    """

    def __init__(self, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.tasks: list[Task] = []

    def _on_training_start(self) -> None:
        self.tasks = list({id(task): task for task in self.training_env.get_attr("task")}.values())

    def _on_step(self) -> bool:
        best = [task.incumbent.accuracy for task in self.tasks if task.incumbent is not None]
        if best:
            self.logger.record("nas/best_valid", max(best))
        self.logger.record("nas/simulated_seconds", sum(task.seconds for task in self.tasks))
        self.logger.record("nas/evaluations", sum(task.evaluations for task in self.tasks))
        spent = all(task.exhausted for task in self.tasks)
        if spent and self.verbose:
            print(f"The budget is spent after {self.num_timesteps} steps.")
        return not spent


def make_sb3_env(task: Task | str, num_envs: int = 8, *, edit: bool = False, **kwargs: Any) -> SB3VecEnv:
    """Return batched environments over one task for stable-baselines3.

    Args:
        task: A task, or the name of one (``"nb201/cluttered-digits"``).
        num_envs: How many.
        edit: Whether cells are edited rather than built.
        **kwargs: Arguments of the batched environment, such as ``illegal``, ``reward`` or ``max_edits``.
    """
    made = make_task(task) if isinstance(task, str) else task
    kind = EditVectorEnv if edit else ConstructVectorEnv
    return SB3VecEnv(kind(num_envs, made.space.name, task=made, autoreset_mode=AutoresetMode.DISABLED, **kwargs))
