"""The environment that walks through the space, one rewritten decision at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from nasgym.envs.base import Observation, TaskEnv
from nasgym.envs.common import TaskOptions, as_action
from nasgym.envs.moves import Illegal, legal_action
from nasgym.errors import InvalidArchitecture, InvalidSetting, UnknownName
from nasgym.spaces import Genotypes, Space
from nasgym.task import Result

__all__ = ["EditEnv", "RewardMode", "check_max_edits", "check_reward_mode", "starting_cells"]

RewardMode: TypeAlias = Literal["accuracy", "improvement"]


class EditEnv(TaskEnv):
    """Rewrite one decision of a complete architecture per step; every step is an evaluation.

    ## Description

    A walk through a search space: the episode begins at a random architecture, each action gives one decision another
    option, and the new architecture is evaluated. The evaluation's seconds are charged to a simulated clock, which
    runs on across episodes until its budget is spent.

    ## Action Space

    `Discrete(sum(choices))`: which decision gets which option, decision by decision. For NAS-Bench-201 `Discrete(30)`:
    action `5 * edge + operation`, with the edges 0→1, 0→2, 1→2, 0→3, 1→3, 2→3 and the operations none, skip_connect,
    nor_conv_1x1, nor_conv_3x3, avg_pool_3x3; for NATS-SSS `Discrete(40)`: action `8 * layer + k` gives a layer `8 * (k
    + 1)` channels; for NAS-Bench-101 `Discrete(57)`: two for each of the 21 edges (action `2 * edge + 1` draws it),
    then three for each of the five operations; what leaves no valid cell is illegal. An action that changes nothing is
    legal and evaluates the same architecture again.

    `info["action_mask"]` (int8) and `action_masks()` (bool) say which are legal.

    ## Observation Space

    `MultiDiscrete([choices + 1, ...])`, int8, one entry per decision: the option plus 1, as where a cell is built;
    the 0 of an open decision does not occur.

    ## Rewards

    With `reward_mode="accuracy"` the validation accuracy (a fraction) of the new architecture, or what `reward` names.
    With `"improvement"` the difference to the last evaluation of the episode; the first step gives 0 unless
    `evaluate_start=True`. 0 for an evaluation that the budget refused.

    ## Starting State

    A random architecture, drawn with the environment's generator, or `reset(options={"start": ...})`: its string, its
    index or its genotype. It is given: its evaluation is neither made nor charged unless `evaluate_start=True`.

    ## Episode End

    An episode never terminates. It is truncated after `max_edits` steps, and when the simulated budget is spent.

    ## Arguments

    | Argument | Default | Meaning |
    |---|---|---|
    | `max_edits` | 10 | steps of an episode |
    | `reward_mode` | `"accuracy"` | or `"improvement"` |
    | `evaluate_start` | `False` | whether `reset` evaluates the first architecture, charges and tells it |

    and those of `nasgym.envs.construct.ConstructEnv`.

    ## Version History

    * v0: the first version.
    """

    def __init__(
        self,
        space: str = "nb201",
        *,
        max_edits: int = 10,
        reward_mode: RewardMode = "accuracy",
        evaluate_start: bool = False,
        illegal: Illegal = "error",
        render_mode: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        super().__init__(space, illegal, render_mode, options)
        self.max_edits = check_max_edits(max_edits)
        self.reward_mode = check_reward_mode(reward_mode)
        self.evaluate_start = evaluate_start
        self.action_space = Discrete(self.moves.edits)
        self._all = np.ones(self.moves.edits, dtype=np.int8)
        self._legal = self._all
        self._decision, self._choice = self.moves.decision_of_edit.tolist(), self.moves.choice_of_edit.tolist()
        self._choices: list[int] = []
        self._left = 0  # edits until the episode ends
        self._before: float | None = None  # the last reward of the episode, to improve on

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin at a random architecture.

        Args:
            seed: Seeds the generator, and starts a clock that the environment owns again; without it the clock runs on.
            options: ``{"start": architecture}`` begins there.

        Raises:
            InvalidArchitecture: The start is not an architecture of the space.
        """
        super().reset(seed=seed)
        self.judge.restart(seed)
        space = self.task.space
        start = starting_cells(space, options, 1)
        genotype = (space.sample(self.np_random, 1) if start is None else start)[0]
        choices, before, result = genotype.tolist(), None, None
        info: dict[str, Any] = {}
        if self.evaluate_start:
            result, reward, info = self._evaluate(choices)
            before = reward if result.counted else None
        self._cell, self._choices, self._result = genotype + np.int8(1), choices, result
        self._left, self._before = self.max_edits, before
        info["action_mask"] = self._next_mask()
        return self._cell.copy(), info

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Rewrite one decision and evaluate the architecture. Where the evaluation fails nothing is rewritten.

        Raises:
            InvalidAction: The action is outside the action space, or illegal and ``illegal="error"``.
            EpisodeOver: The episode is over, or `reset` was never called.
        """
        if not self._left:
            raise self._over()
        edit = as_action(action, self.moves.edits)
        if not self._legal[edit]:
            edit = legal_action(edit, self._legal, self.illegal)
        decision, choice = self._decision[edit], self._choice[edit]
        choices = self._choices.copy()
        choices[decision] = choice
        result, reward, info = self._evaluate(choices)
        self._choices, self._result = choices, result
        self._cell[decision] = choice + 1
        before = self._before
        if result.counted:
            self._before = reward
        if self.reward_mode == "improvement":
            reward = reward - before if result.counted and before is not None else 0.0
        self._left = 0 if info["budget_exhausted"] else self._left - 1
        info["action_mask"] = self._next_mask()
        return self._cell.copy(), reward, False, not self._left, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return ``bool[actions]``: the edits that leave an architecture of the space."""
        masks: NDArray[np.bool_] = self._legal.astype(np.bool_)
        return masks

    def _evaluate(self, choices: list[int]) -> tuple[Result, float, dict[str, Any]]:
        """Evaluate a cell that is not the environment's yet: where this fails, all is as it was."""
        result = self.judge.evaluate(self.moves.index(choices))
        return result, self.judge.reward(result), self.judge.report(result)

    def _next_mask(self) -> NDArray[np.int8]:
        if not self.moves.free:
            self._legal = self.moves.edit_masks(self.genotype[:, None])[0].view(np.int8)
        return self._legal.copy()


def starting_cells(space: Space, options: dict[str, Any] | None, n: int) -> Genotypes | None:
    """Return ``int8[n, num_decisions]`` from ``options["start"]``, or None where it is not given.

    A string, an index or a genotype stands for all; a list of strings or an array of genotypes has one for each.

    Raises:
        InvalidArchitecture: A start is not an architecture of the space.
    """
    start = (options or {}).get("start")
    if start is None:
        return None
    if isinstance(start, str):
        start = [start]
    if isinstance(start, (int, np.integer)):
        cells = space.from_index([int(start)])
    elif isinstance(start, Sequence) and all(isinstance(s, str) for s in start):
        cells = space.from_str(start)
    else:
        cells = np.atleast_2d(np.asarray(start))
    space.to_str(cells)  # raises with what is wrong
    if len(cells) not in (1, n):
        raise InvalidArchitecture(
            f'options["start"] has {len(cells)} architectures for {n} environments: give 1 or {n}.'
        )
    return np.broadcast_to(cells.astype(np.int8), (n, space.num_decisions))


def check_max_edits(max_edits: int) -> int:
    """Return ``max_edits`` if it is a whole number above 0; raises `InvalidSetting`."""
    if isinstance(max_edits, bool) or not isinstance(max_edits, (int, np.integer)) or max_edits < 1:
        raise InvalidSetting(f"max_edits is a whole number above 0; got {max_edits!r}.")
    return int(max_edits)


def check_reward_mode(reward_mode: str) -> RewardMode:
    """Return ``reward_mode`` if there is such a mode; raises `UnknownName`."""
    if reward_mode not in ("accuracy", "improvement"):
        raise UnknownName("reward mode", reward_mode, ("accuracy", "improvement"))
    return reward_mode  # type: ignore[return-value]  # compared just above
