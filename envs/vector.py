"""The batched environments: many cells built, or edited, by array operations on one task."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from nasgym.envs.batched import BatchedEnv, Info, Mode, Report, Rows, Stepped, nothing, reset_mask
from nasgym.envs.common import TaskOptions
from nasgym.envs.edit import RewardMode, check_max_edits, check_reward_mode, starting_cells
from nasgym.envs.moves import Illegal, legal_actions
from nasgym.envs.rows import RowPool
from nasgym.errors import InvalidSetting
from nasgym.spaces.base import Mask
from nasgym.task import Outcome

__all__ = ["ConstructVectorEnv", "EditVectorEnv"]


class ConstructVectorEnv(BatchedEnv):
    """`nasgym.envs.construct.ConstructEnv`, many at once.

    All episodes have one length. As long as all environments began together (always, but after a reset of some of
    them) they take the same decision at the same time, which is what makes a step a handful of array operations.

    Args:
        num_envs: How many.
        space: The search space.
        max_episode_steps: Truncate episodes after so many steps, as Gymnasium's ``TimeLimit`` does.
        autoreset_mode: When a finished environment begins anew: in the same step (its last observation is in
            ``info["final_obs"]``), in the next one, or when `reset` is told so.
        illegal: What an illegal action is: an error, or the nearest legal one.
        render_mode: ``"ansi"`` or ``"rgb_array"``.
        **options: See `nasgym.envs.common.TaskOptions`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        space: str = "nb201",
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: Mode = AutoresetMode.SAME_STEP,
        illegal: Illegal = "error",
        render_mode: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        super().__init__(num_envs, space, autoreset_mode, illegal, render_mode, options)
        self._limit = check_limit(max_episode_steps)
        self._decisions = self.moves.decisions
        self._length = min(self._decisions, self._limit or self._decisions)
        self._set_actions(self.moves.widest, all_legal=self.moves.free and min(self.moves.choices) == self.moves.widest)
        self._together: int | None = None  # the decision that all are at; None where they are apart
        self._final_rows = RowPool()
        self._every = np.ones(self.num_envs, dtype=np.bool_)  # templates: a copy is cheaper than making a new one
        self._all_legal = np.ones((self.num_envs, self.moves.widest), dtype=np.int8)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[NDArray[np.int8], Info]:
        """Begin an episode in every environment, or in those of ``options["reset_mask"]``; see `BatchedEnv.reset`."""
        if self._together is not None and seed is None and reset_mask(options, self.num_envs).all():
            self._begin_together()
            return self._observe(), self._info_together()
        self._fall_apart()
        observations, info = super().reset(seed=seed, options=options)
        self._join()
        return observations, info

    def step(self, actions: NDArray[np.integer]) -> Stepped:
        """Take the next decision in every environment; see `BatchedEnv.step`."""
        at = self._together
        if at == self._length and self._mode is AutoresetMode.NEXT_STEP and self._begun:
            self._begin_together()
            return self._observe(), *nothing(self.num_envs), self._info_together()
        if at is None or at == self._length:
            self._fall_apart()
            stepped = super().step(actions)
            self._join()
            return stepped
        choices = self._checked(actions)
        if self._legal is not None:
            choices = legal_actions(choices, self._legal, self.illegal)
        self._cells[at] = choices
        if at + 1 == self._length:
            return self._finish()
        self._together = at + 1
        return self._observe(), *nothing(self.num_envs), self._info_together()

    def _finish(self) -> Stepped:
        """End the episodes of all environments, which are together."""
        report: Report = {}
        rewards, terminated, truncated = nothing(self.num_envs)
        if self._length == self._decisions:
            try:
                outcome = self.judge.evaluate_all(self.moves.indices(self._cells))
                report, rewards = self.judge.reports(outcome), self.judge.rewards(outcome)
            except BaseException:
                self._cells[-1] = -1  # the last decision stays open
                raise
            terminated, truncated = outcome.counted.copy(), report["budget_exhausted"].copy()
        self._together = self._length
        if self._length == self._limit:
            truncated[:] = True
        observations, info = self._observe(), self._info_together(report)
        if self._mode is not AutoresetMode.SAME_STEP:
            return observations, rewards, terminated, truncated, info
        self._begin_together()
        again = self._info_together()
        again.update(final_obs=self._final_rows.hand_out(observations), _final_obs=self._every.copy())
        again.update(final_info=info, _final_info=self._every.copy())
        return self._observe(), rewards, terminated, truncated, again

    def _begin_together(self) -> None:
        self._cells.fill(-1)
        self._together = 0

    def _info_together(self, report: Report | None = None) -> Info:
        """Return ``info`` where every environment has something to tell."""
        assert self._together is not None
        if self._legal is None and self._together < self._decisions:
            masks = self._all_legal.copy()
        else:
            masks = self._masks_at(self._together, self._cells).view(np.int8)
        if self._legal is not None:
            self._legal[:] = masks
        every = self._every.copy()
        info: Info = {"action_mask": masks, "_action_mask": every}
        for key, values in (report or {}).items():
            info[key], info[f"_{key}"] = values, every
        return info

    def _fall_apart(self) -> None:
        """Write down for each environment where it is."""
        if self._together is not None:
            self._taken[:] = self._together
            self._over[:] = self._together == self._length
            self._together = None

    def _join(self) -> None:
        """See whether all environments are at the same decision."""
        first = int(self._taken[0])
        self._together = first if self._begun and (self._taken == first).all() else None

    def _begin(self, rows: Rows, options: Info | None) -> Report:
        self._cells[:, rows] = -1
        self._taken[rows] = 0
        self._over[rows] = False
        self._begun = True
        return {}

    def _move(self, rows: Rows, actions: NDArray[np.int64]) -> None:
        self._cells[self._taken[rows], rows] = actions

    def _to_evaluate(self, rows: Rows) -> Mask:
        return np.equal(self._taken[rows], self._decisions)

    def _settle(self, rows: Rows, outcome: Outcome) -> tuple[NDArray[np.float64], Mask]:
        return self.judge.rewards(outcome), outcome.counted

    def _at_limit(self, rows: Rows) -> Mask:
        return np.equal(self._taken[rows], self._limit or -1)

    def _masks(self, rows: Rows) -> Mask:
        taken = self._taken[rows] if self._together is None else np.full(len(rows), self._together)
        masks = np.zeros((len(rows), self._actions), dtype=np.bool_)
        for step in np.unique(taken).tolist():
            here = np.flatnonzero(taken == step)
            masks[here] = self._masks_at(step, self._cells[:, rows[here]])
        return masks

    def _masks_at(self, step: int, cells: NDArray[np.int8]) -> Mask:
        n = cells.shape[1]
        if step == self._decisions:
            return np.zeros((n, self._actions), dtype=np.bool_)
        return np.ones((n, self._actions), dtype=np.bool_) if self._legal is None else self.moves.masks(cells, step)


class EditVectorEnv(BatchedEnv):
    """`nasgym.envs.edit.EditEnv`, many at once.

    First cells are drawn from one generator, in the order of the environments that begin:
    ``space.sample(np_random, k)``.

    Args:
        num_envs: How many.
        space: The search space.
        max_edits: Steps of an episode.
        reward_mode: ``"accuracy"`` or ``"improvement"``.
        evaluate_start: Whether first cells are evaluated and charged.
        max_episode_steps: Truncate episodes after so many steps, as Gymnasium's ``TimeLimit`` does.
        autoreset_mode: As for `ConstructVectorEnv`.
        illegal: What an illegal action is: an error, or the nearest legal one.
        render_mode: ``"ansi"`` or ``"rgb_array"``.
        **options: See `nasgym.envs.common.TaskOptions`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        space: str = "nb201",
        *,
        max_edits: int = 10,
        reward_mode: RewardMode = "accuracy",
        evaluate_start: bool = False,
        max_episode_steps: int | None = None,
        autoreset_mode: Mode = AutoresetMode.SAME_STEP,
        illegal: Illegal = "error",
        render_mode: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        super().__init__(num_envs, space, autoreset_mode, illegal, render_mode, options)
        self.max_edits = check_max_edits(max_edits)
        self.reward_mode = check_reward_mode(reward_mode)
        self.evaluate_start = evaluate_start
        self._length = min(self.max_edits, check_limit(max_episode_steps) or self.max_edits)
        self._set_actions(self.moves.edits, all_legal=self.moves.free)
        self._before = np.full(self.num_envs, np.nan)  # the last reward of each episode; NaN: none yet

    def _begin(self, rows: Rows, options: Info | None) -> Report:
        if not len(rows):
            return {}
        space = self.task.space
        start = starting_cells(space, options, self.num_envs)
        cells = space.sample(self.np_random, len(rows)) if start is None else start[rows]
        self._cells[:, rows] = cells.T
        self._taken[rows] = 0
        self._over[rows] = False
        self._begun = True
        self._before[rows] = np.nan
        if not self.evaluate_start:
            return {}
        outcome = self.judge.evaluate_all(self.moves.indices(self._cells[:, rows]))
        self._before[rows] = np.where(outcome.counted, self.judge.rewards(outcome), np.nan)
        return self.judge.reports(outcome)

    def _state(self) -> dict[str, Any]:
        return super()._state() | {"_before": self._before.copy()}

    def _move(self, rows: Rows, actions: NDArray[np.int64]) -> None:
        self._cells[self.moves.decision_of_edit[actions], rows] = self.moves.choice_of_edit[actions]

    def _to_evaluate(self, rows: Rows) -> Mask:
        return np.ones(len(rows), dtype=np.bool_)

    def _settle(self, rows: Rows, outcome: Outcome) -> tuple[NDArray[np.float64], Mask]:
        rewards = self.judge.rewards(outcome)
        if self.reward_mode == "improvement":
            before = self._before[rows]
            self._before[rows] = np.where(outcome.counted, rewards, before)
            rewards = np.where(outcome.counted & ~np.isnan(before), rewards - before, 0.0)
        return rewards, np.zeros(len(rows), dtype=np.bool_)

    def _at_limit(self, rows: Rows) -> Mask:
        return np.equal(self._taken[rows], self._length)

    def _masks(self, rows: Rows) -> Mask:
        return self.moves.edit_masks(self._cells[:, rows])


def check_limit(max_episode_steps: Any) -> int | None:
    """Return a limit of steps if it is None or a whole number above 0; raises `InvalidSetting`."""
    if max_episode_steps is None:
        return None
    if (
        isinstance(max_episode_steps, bool)
        or not isinstance(max_episode_steps, (int, np.integer))
        or max_episode_steps < 1
    ):
        raise InvalidSetting(f"max_episode_steps is a whole number above 0; got {max_episode_steps!r}.")
    return int(max_episode_steps)
