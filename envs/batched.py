"""The base of the natively batched environments: one task, all cells in one array, three modes of starting again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from nasgym.envs.base import RENDER_MODES, check_render_mode, observation_space
from nasgym.envs.common import EpisodeOver, Judge, TaskOptions, check_options
from nasgym.envs.moves import Illegal, Moves, check_illegal, legal_actions
from nasgym.envs.rows import row_objects
from nasgym.errors import InvalidAction, InvalidSetting, UnknownName
from nasgym.spaces.base import Mask
from nasgym.task import Outcome, Task

__all__ = ["BatchedEnv", "Mode"]

Mode: TypeAlias = AutoresetMode | Literal["NextStep", "SameStep", "Disabled", "next_step", "same_step", "disabled"]
Rows: TypeAlias = NDArray[np.int64]
"""Numbers of environments, ascending."""
Info: TypeAlias = dict[str, Any]
Report: TypeAlias = dict[str, NDArray[Any]]
"""What ``info`` tells of ``k`` environments, arrays ``[k, ...]``."""
_ONE = np.int8(1)
_INT64 = np.dtype(np.int64)
Stepped: TypeAlias = tuple[NDArray[np.int8], NDArray[np.float64], Mask, Mask, Info]


class BatchedEnv(VectorEnv[NDArray[np.int8], NDArray[np.int64], NDArray[Any]], ABC):
    """Many environments over one task, stepped by array operations.

    A step is the same as stepping single environments that share the task, one after the other; but where an
    evaluation fails, the cells, masks and episodes of all are as they were before the call. What was evaluated until
    then is charged, and what was drawn at random is not drawn again.
    Observations are ``int8[num_envs, num_decisions]``, stored column by column.

    Attributes:
        task: What is searched, with its clock, trajectory and incumbent.
    """

    def __init__(
        self,
        num_envs: int,
        space: str,
        autoreset_mode: Mode,
        illegal: Illegal,
        render_mode: str | None,
        options: TaskOptions,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, (int, np.integer)) or num_envs < 1:
            raise InvalidSetting(f"num_envs is a whole number above 0; got {num_envs!r}.")
        self.num_envs = int(num_envs)
        self._shape = (self.num_envs,)
        check_options(type(self), options)
        self.judge = Judge(space, **options)
        self.moves = Moves(self.judge.task.space)
        self.illegal = check_illegal(illegal)
        self.render_mode = check_render_mode(render_mode)
        self._mode = _autoreset_mode(autoreset_mode)
        self.metadata = {"render_modes": list(RENDER_MODES), "render_fps": 4, "autoreset_mode": self._mode}
        self.single_observation_space = observation_space(self.moves)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._cells = np.full((self.moves.decisions, self.num_envs), -1, dtype=np.int8)
        self._taken = np.zeros(self.num_envs, dtype=np.int64)  # steps of the running episode
        self._over = np.ones(self.num_envs, dtype=np.bool_)
        self._begun = False

    def _set_actions(self, actions: int, *, all_legal: bool) -> None:
        """Make the action spaces; where every action is always legal, masks are not kept."""
        self.single_action_space = Discrete(actions)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._actions = actions
        self._legal: Mask | None = None if all_legal else np.zeros((self.num_envs, actions), dtype=np.bool_)

    @property
    def task(self) -> Task:
        """What is searched."""
        return self.judge.task

    @property
    def genotypes(self) -> NDArray[np.int8]:
        """The cells as they are, ``int8[num_envs, num_decisions]``; -1 is an open decision."""
        return np.ascontiguousarray(self._cells.T)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[NDArray[np.int8], Info]:
        """Begin an episode in every environment, or in those of ``options["reset_mask"]``.

        Args:
            seed: Seeds the one generator of all, and starts a clock that the environment owns again; without it the
                clock runs on.
            options: ``reset_mask``, ``bool[num_envs]`` with at least one True: where to begin.

        Raises:
            InvalidSetting: The mask is not of that kind.
        """
        super().reset(seed=seed)
        self.judge.restart(seed)
        rows = np.flatnonzero(reset_mask(options, self.num_envs))
        info: Info = {}
        with self._all_or_nothing():
            self._put(info, self._begin(rows, options), rows)
        self._put_masks(info, rows)
        return self._observe(), info

    def step(self, actions: NDArray[np.integer]) -> Stepped:
        """Take a step in every environment; under NEXT_STEP those whose episode is over begin anew instead.

        Raises:
            InvalidAction: An action is outside the action space, or illegal and ``illegal="error"``.
            EpisodeOver: An episode is over under DISABLED, or `reset` was never called.
        """
        rows, resets = self._rows_to_step()
        choices = self._legal_actions(actions, rows)
        with self._all_or_nothing():
            rewards, terminated, truncated, info = self._moved(rows, choices, resets)
        self._put_masks(info, np.arange(self.num_envs))
        return self._observe(), rewards, terminated, truncated, info

    def _moved(
        self, rows: Rows, actions: NDArray[np.int64], resets: Rows
    ) -> tuple[NDArray[np.float64], Mask, Mask, Info]:
        """Take legal actions and begin anew; return rewards, terminations, truncations and ``info`` without masks."""
        self._move(rows, actions)
        self._taken[rows] += 1
        rewards, terminated, truncated = nothing(self.num_envs)
        evaluated = rows[self._to_evaluate(rows)]
        report: Report = {}
        if len(evaluated):
            outcome = self.judge.evaluate_all(self.moves.indices(self._cells[:, evaluated]))
            report = self.judge.reports(outcome)
            rewards[evaluated], terminated[evaluated] = self._settle(evaluated, outcome)
            truncated[evaluated] = report["budget_exhausted"]
        truncated[rows] |= self._at_limit(rows)
        self._over = terminated | truncated
        info = self._info_of_step(report, evaluated)
        self._put(info, self._begin(resets, None), resets)
        return rewards, terminated, truncated, info

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Put everything back where an evaluation fails."""
        kept = self._state()
        try:
            yield
        except BaseException:
            self.__dict__.update(kept)
            raise

    def _state(self) -> dict[str, Any]:
        """Return a copy of what episodes consist of, by attribute; masks are written last and need none."""
        return {
            "_cells": self._cells.copy(),
            "_taken": self._taken.copy(),
            "_over": self._over.copy(),
            "_begun": self._begun,
        }

    def action_masks(self) -> Mask:
        """Return ``bool[num_envs, actions]``, which actions are legal now."""
        return self._masks(np.arange(self.num_envs))

    def render(self) -> tuple[Any, ...] | None:
        """Draw every cell: strings for ``ansi``, ``uint8[height, width, 3]`` each for ``rgb_array``."""
        if self.render_mode is None:
            gymnasium.logger.warn('render() needs a mode: make the environment with render_mode="ansi" or "rgb_array".')
            return None
        from nasgym.envs import rendering  # matplotlib: only where something is drawn

        caption = rendering.caption(self.task, None)
        return tuple(rendering.draw(self.task.space, cell, caption, self.render_mode) for cell in self.genotypes)

    # What a game is made of:

    @abstractmethod
    def _begin(self, rows: Rows, options: Info | None) -> Report:
        """Begin episodes; return what ``info`` tells of their first cells."""

    @abstractmethod
    def _move(self, rows: Rows, actions: NDArray[np.int64]) -> None:
        """Change the cells by legal actions."""

    @abstractmethod
    def _to_evaluate(self, rows: Rows) -> Mask:
        """Return ``bool[k]``: which of the cells just changed are evaluated."""

    @abstractmethod
    def _settle(self, rows: Rows, outcome: Outcome) -> tuple[NDArray[np.float64], Mask]:
        """Return rewards and terminations of evaluated cells, ``[k]``."""

    @abstractmethod
    def _at_limit(self, rows: Rows) -> Mask:
        """Return ``bool[k]``: which episodes are truncated by their length."""

    @abstractmethod
    def _masks(self, rows: Rows) -> Mask:
        """Return ``bool[k, actions]``, fresh: which actions are legal now."""

    # What they share:

    def _observe(self) -> NDArray[np.int8]:
        return np.add(self._cells, _ONE).T  # fresh, and the layout of the cells

    def _rows_to_step(self) -> tuple[Rows, Rows]:
        """Return the environments that step and those that begin anew instead."""
        if self._mode is AutoresetMode.NEXT_STEP and self._begun:
            return np.flatnonzero(~self._over), np.flatnonzero(self._over)
        if self._over.any():
            raise self._is_over()
        return np.arange(self.num_envs), np.arange(0)

    def _is_over(self) -> EpisodeOver:
        if not self._begun:
            return EpisodeOver("no episode has begun: call reset() before step().")
        over = np.flatnonzero(self._over)
        return EpisodeOver(
            f"the episodes of {len(over)} environments, the first of them number {over[0]}, are over: call "
            'reset(options={"reset_mask": terminated | truncated}), or make them with another autoreset_mode.'
        )

    def _checked(self, actions: Any) -> NDArray[np.int64]:
        """Return actions as ``int64[num_envs]`` in range; raises `InvalidAction`."""
        array = np.asarray(actions)
        if array.shape != self._shape or array.dtype.kind not in "iu":
            raise InvalidAction(f"actions are {self.num_envs} integers; got shape {array.shape} of {array.dtype}.")
        if array.dtype is not _INT64:
            array = array.astype(np.int64)
        if np.maximum.reduce(array.view(np.uint64)) >= self._actions:  # negative ones are huge
            row = int(np.argmax((array < 0) | (array >= self._actions)))
            raise InvalidAction(f"action {array[row]} of environment {row} is outside 0..{self._actions - 1}.")
        return array

    def _legal_actions(self, actions: Any, rows: Rows) -> NDArray[np.int64]:
        array = np.asarray(actions)
        if len(rows) < self.num_envs and array.shape == (self.num_envs,):
            array = array.copy()
            array[self._over] = 0  # those that begin anew: their action is ignored
        array = self._checked(array)[rows]
        return array if self._legal is None else legal_actions(array, self._legal[rows], self.illegal)

    def _put(self, info: Info, report: Report, rows: Rows) -> None:
        put(info, report, rows, self.num_envs)

    def _put_masks(self, info: Info, rows: Rows) -> None:
        masks = self._masks(rows)
        if self._legal is not None:
            self._legal[rows] = masks
        self._put(info, {"action_mask": masks.view(np.int8)}, rows)

    def _info_of_step(self, report: Report, evaluated: Rows) -> Info:
        """Return ``info`` without masks; under SAME_STEP the episodes that ended are put away and begun anew."""
        info: Info = {}
        ended = np.flatnonzero(self._over)
        if self._mode is not AutoresetMode.SAME_STEP or not len(ended):
            self._put(info, report, evaluated)
            return info
        last = self._over[evaluated]
        final: Info = {}
        self._put(final, {key: values[last] for key, values in report.items()}, evaluated[last])
        self._put(final, {"action_mask": self._masks(ended).view(np.int8)}, ended)
        final_obs = np.full(self.num_envs, None, dtype=object)
        final_obs[ended] = row_objects(self._observe()[ended])
        info.update(final_obs=final_obs, _final_obs=self._over.copy(), final_info=final, _final_info=self._over.copy())
        self._put(info, {key: values[~last] for key, values in report.items()}, evaluated[~last])
        self._put(info, self._begin(ended, None), ended)
        return info


def nothing(n: int) -> tuple[NDArray[np.float64], Mask, Mask]:
    """Return rewards, terminations and truncations of a step that gave nothing and ended nothing."""
    return np.zeros(n), np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)


def put(info: Info, report: Report, rows: Rows, n: int) -> None:
    """Put values ``[k]`` of some environments into ``info`` as Gymnasium does: arrays ``[n]`` and masks ``_key``."""
    if not len(rows):
        return
    for key, values in report.items():
        if len(rows) == n:
            info[key], info[f"_{key}"] = values, np.ones(n, dtype=np.bool_)
            continue
        if key not in info:
            shape = (n, *values.shape[1:])
            info[key] = np.full(shape, None) if values.dtype == object else np.zeros(shape, values.dtype)
            info[f"_{key}"] = np.zeros(n, dtype=np.bool_)
        info[key][rows] = values
        info[f"_{key}"][rows] = True


def _autoreset_mode(mode: Mode) -> AutoresetMode:
    """Return the mode given as a member, its value or its name in any case."""
    if isinstance(mode, AutoresetMode):
        return mode
    for member in AutoresetMode:
        if str(mode).lower() in (member.value.lower(), member.name.lower()):
            return member
    raise UnknownName("autoreset mode", str(mode), [member.name for member in AutoresetMode])


def reset_mask(options: Info | None, n: int) -> Mask:
    """Return where to begin, ``bool[n]``; raises `InvalidSetting` for a mask that Gymnasium would refuse."""
    mask = (options or {}).get("reset_mask")
    if mask is None:
        return np.ones(n, dtype=np.bool_)
    if not isinstance(mask, np.ndarray) or mask.shape != (n,) or mask.dtype != np.bool_ or not (mask[0] or mask.any()):
        raise InvalidSetting(
            f'options["reset_mask"] is a numpy array of {n} booleans with at least one True; got {mask!r}.'
        )
    return mask
