"""The base of the single environments: spaces, clock, rendering."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import MultiDiscrete
from numpy.typing import NDArray

from nasgym.envs.common import EpisodeOver, Judge, TaskOptions, check_options
from nasgym.envs.moves import Illegal, Moves, check_illegal
from nasgym.errors import UnknownName
from nasgym.task import Result, Task

__all__ = ["Observation", "TaskEnv", "check_render_mode", "observation_space"]

Observation = NDArray[np.int8]
"""``int8[num_decisions]``: for each decision 0 while it is open, else the number of the choice plus 1."""

RENDER_MODES = ("ansi", "rgb_array")


class TaskEnv(gymnasium.Env[Observation, Any], ABC):
    """An environment over a task.

    Attributes:
        task: What is searched, with its clock, trajectory and incumbent.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 4}  # type: ignore[misc]

    def __init__(self, space: str, illegal: Illegal, render_mode: str | None, options: TaskOptions) -> None:
        check_options(type(self), options)
        self.judge = Judge(space, **options)
        self.moves = Moves(self.judge.task.space)
        self.illegal = check_illegal(illegal)
        self.render_mode = check_render_mode(render_mode)
        self.observation_space = observation_space(self.moves)
        self._cell = np.zeros(self.moves.decisions, dtype=np.int8)  # as observed
        self._result: Result | None = None  # of the latest evaluation, for the picture

    @property
    def task(self) -> Task:
        """What is searched."""
        return self.judge.task

    @property
    def genotype(self) -> NDArray[np.int8]:
        """The cell as it is, ``int8[num_decisions]``; -1 is an open decision."""
        return self._cell - np.int8(1)

    @abstractmethod
    def action_masks(self) -> NDArray[np.bool_]:
        """Return ``bool[actions]``, which actions are legal now: `sb3_contrib.MaskablePPO` asks for it by this name."""

    def render(self) -> Any:
        """Draw the cell: a string for ``ansi``, ``uint8[height, width, 3]`` for ``rgb_array``."""
        if self.render_mode is None:
            gymnasium.logger.warn('render() needs a mode: make the environment with render_mode="ansi" or "rgb_array".')
            return None
        from nasgym.envs import rendering  # matplotlib: only where something is drawn

        caption = rendering.caption(self.task, self._result)
        return rendering.draw(self.task.space, self.genotype, caption, self.render_mode)

    def _over(self) -> EpisodeOver:
        return EpisodeOver("the episode is over or has not begun: call reset() before step().")


def observation_space(moves: Moves) -> MultiDiscrete[Any]:
    """Return the space of `Observation`."""
    int8: Any = np.int8  # Gymnasium's annotation knows int64 only
    return MultiDiscrete(np.array(moves.choices, dtype=np.int8) + np.int8(1), dtype=int8)


def check_render_mode(render_mode: str | None) -> str | None:
    """Return ``render_mode`` if there is such a mode; raises `UnknownName`."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise UnknownName(
            "render mode", render_mode, RENDER_MODES, 'gymnasium.make(..., render_mode="human") opens a window over it.'
        )
    return render_mode
