"""The environment that builds a cell decision by decision."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from nasgym.envs.base import Observation, TaskEnv
from nasgym.envs.common import TaskOptions, as_action
from nasgym.envs.moves import Illegal, legal_action

__all__ = ["ConstructEnv"]


class ConstructEnv(TaskEnv):
    """Build an architecture decision by decision; the last decision is rewarded with its accuracy.

    ## Description

    An architecture of a search space is a list of decisions: for NAS-Bench-201 the operations on the six edges 0→1,
    0→2, 1→2, 0→3, 1→3, 2→3 of a cell, for NATS-SSS the channels of the five layers from the image to the classifier,
    for NAS-Bench-101 whether each of the 21 edges between seven vertices is there, row by row, and then the operations
    of the five inner vertices. An episode takes them in this order. The finished architecture is evaluated: its result
    is read from a table, or the network is trained. The evaluation's seconds are charged to a simulated clock, which
    runs on across episodes until its budget is spent.

    ## Action Space

    `Discrete(max(choices))`: the option of the next decision. For NAS-Bench-201 `Discrete(5)`:

    | Action | Operation |
    |---|---|
    | 0 | none |
    | 1 | skip_connect |
    | 2 | nor_conv_1x1 |
    | 3 | nor_conv_3x3 |
    | 4 | avg_pool_3x3 |

    For NATS-SSS `Discrete(8)`: action `k` gives the layer `8 * (k + 1)` channels. For NAS-Bench-101 `Discrete(3)`: no
    edge or an edge, then conv3x3-bn-relu, conv1x1-bn-relu or maxpool3x3; what leaves no way to a cell with a path from
    input to output and at most nine edges is illegal.

    `info["action_mask"]` (int8) and `action_masks()` (bool) say which are legal; once the cell is complete none is.

    ## Observation Space

    `MultiDiscrete([choices + 1, ...])`, int8, one entry per decision; for NAS-Bench-201 `MultiDiscrete([6] * 6)`, for
    NATS-SSS `MultiDiscrete([9] * 5)`, for NAS-Bench-101 `MultiDiscrete([3] * 21 + [4] * 5)`. 0 is an open decision, `k
    + 1` the option `k`.

    ## Rewards

    0 but for the last step, which gives the validation accuracy (a fraction) or what `reward` names. 0 for a cell
    that the budget refused.

    ## Starting State

    Nothing is decided.

    ## Episode End

    The episode terminates with the last decision. Where the simulated budget is spent it is truncated as well, and
    where it was spent before this cell was evaluated it is truncated only: `info["counted"]` is False.

    ## Arguments

    | Argument | Default | Meaning |
    |---|---|---|
    | `dataset` | `"cluttered-digits"` | the data set |
    | `recipe` | the data set's | the training recipe |
    | `protocol` | `"plain"` | the rules of the search |
    | `seeds` | the protocol's | which stored training answers: a seed, `"mean"`, `"random"` |
    | `reward` | `"valid_accuracy"` | a metric by name, or a function of the evaluation |
    | `time_budget` | none | simulated seconds |
    | `workers` | 1 | simulated workers |
    | `on_missing` | `"train"` | train what the table lacks, or `"error"` |
    | `share_equal` | as the table says | let an architecture without results answer with those of an equal network |
    | `device` | `"auto"` | where to train |
    | `store` | the user's | a store or its path |
    | `task` | none | a ready task, perhaps shared; it brings all of the above but `reward` |
    | `illegal` | `"error"` | what an illegal action is: an error, or `"repair"`: the nearest legal one |
    | `reveal_test` | `False` | whether test metrics may be rewarded and are told |
    | `info_strings` | `False` | whether `info` gives the architecture string, too |
    | `render_mode` | none | `"ansi"`, `"rgb_array"`; `"human"` through `gymnasium.make` |

    ## Version History

    * v0: the first version.
    """

    def __init__(
        self,
        space: str = "nb201",
        *,
        illegal: Illegal = "error",
        render_mode: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        super().__init__(space, illegal, render_mode, options)
        self.action_space = Discrete(self.moves.widest)
        self._decisions, self._free = self.moves.decisions, self.moves.free
        self._step_masks = self.moves.step_masks
        self._choices = [0] * self._decisions  # nothing can be decided before the first reset
        self._actions = self.moves.widest
        self._none = np.zeros(self._actions, dtype=np.int8)
        self._legal = self._none

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a cell with nothing decided.

        Args:
            seed: Seeds the generator, and starts a clock that the environment owns again; without it the clock runs on.
            options: Not used.
        """
        super().reset(seed=seed)
        self.judge.restart(seed)
        self._result = None
        self._choices = []
        self._cell[:] = 0
        return self._cell.copy(), {"action_mask": self._next_mask(0)}

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take the next decision. Where the evaluation of a complete cell fails, its last decision stays open.

        Raises:
            InvalidAction: The action is outside the action space, or illegal and ``illegal="error"``.
            EpisodeOver: The cell is complete, or `reset` was never called.
        """
        choices = self._choices
        at = len(choices)
        if at == self._decisions:
            raise self._over()
        choice = as_action(action, self._actions)
        if not self._legal[choice]:
            choice = legal_action(choice, self._legal, self.illegal)
        if at + 1 == self._decisions:
            return self._finish(choice)
        choices.append(choice)
        self._cell[at] = choice + 1
        return self._cell.copy(), 0.0, False, False, {"action_mask": self._next_mask(at + 1)}

    def action_masks(self) -> NDArray[np.bool_]:
        """Return ``bool[actions]``: the choices allowed for the next decision; none once the cell is complete."""
        masks: NDArray[np.bool_] = self._legal.astype(np.bool_)
        return masks

    def _next_mask(self, at: int) -> NDArray[np.int8]:
        """Return ``int8[actions]``, a fresh array: the choices allowed for decision ``at``, and remember them."""
        if self._free:
            self._legal = self._step_masks[at]
        else:
            self._legal = self.moves.masks((self._cell - np.int8(1))[:, None], at)[0].view(np.int8)
        return self._legal.copy()

    def _finish(self, choice: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Evaluate the cell that the last choice completes, and only then make the choice."""
        choices = [*self._choices, choice]
        result = self.judge.evaluate(self.moves.index(choices))
        reward, info = self.judge.reward(result), self.judge.report(result)
        self._choices, self._result, self._legal = choices, result, self._none
        self._cell[-1] = choice + 1
        info["action_mask"] = self._legal.copy()
        return self._cell.copy(), reward, result.counted, info["budget_exhausted"], info
