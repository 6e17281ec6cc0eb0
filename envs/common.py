"""What all environments share: the task behind them, what it rewards, what ``info`` tells, and their errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import signature
from operator import index
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import gymnasium
import numpy as np
from numpy.typing import NDArray

from nasgym import errors
from nasgym.benchmark import AGGREGATE, OnMissing, SeedPolicy
from nasgym.errors import InvalidAction, InvalidSetting, MissingResult, UnknownName
from nasgym.recipes import DEFAULT_DATASET
from nasgym.results import METRICS, Evaluation
from nasgym.spaces import Indices
from nasgym.store import Store
from nasgym.task import Outcome, Protocol, Result, Task, make_task

__all__ = ["EpisodeOver", "Judge", "RewardOption", "TaskOptions", "as_action", "check_options"]

RewardOption: TypeAlias = str | Callable[[Evaluation], float]
"""A metric of `nasgym.results.METRICS`, or a function of the evaluation."""


class EpisodeOver(errors.EpisodeOver, gymnasium.error.ResetNeeded):
    """A step after the end of an episode, or before the first reset; Gymnasium's own error as well."""


class TaskOptions(TypedDict, total=False):
    """Arguments that every environment passes on to its task. ``docs/environments.md`` explains them.

    Attributes:
        dataset: The data set (default ``"cluttered-digits"``).
        recipe: The training recipe; None: the data set's default.
        protocol: The rules of the search, by name or as a value (default ``"plain"``).
        seeds: Which stored training answers: a seed, ``"mean"`` or ``"random"``; None: the protocol's.
        reward: A metric by name, or a function of the evaluation; None: what the protocol shows, the validation
            accuracy. Losses and seconds count negative, for a reward is maximised.
        time_budget: Simulated seconds; None: the protocol's, else no budget.
        workers: Simulated workers.
        on_missing: ``"train"`` trains what the table lacks, ``"error"`` raises `MissingResult`.
        share_equal: Let an architecture without results answer with those of an equal network (default: where
            the table says that its results stand for equal networks).
        device: Where to train.
        store: A store or its path; None: the user's.
        task: A ready task, perhaps shared with others; then none of the options above but ``reward`` is given.
        reveal_test: Whether test metrics may be rewarded and are told in ``info``.
        info_strings: Whether ``info`` also gives the architecture string.
    """

    dataset: str
    recipe: str | None
    protocol: str | Protocol
    seeds: SeedPolicy | None
    reward: RewardOption | None
    time_budget: float | None
    workers: int
    on_missing: OnMissing
    share_equal: bool | None
    device: str
    store: Store | Path | str | None
    task: Task | None
    reveal_test: bool
    info_strings: bool


class Judge:
    """Evaluates the cells of an environment: on whose clock, for what reward, with what ``info``.

    Attributes:
        task: What is searched.
        owned: Whether the task belongs to the environment, which then restarts its clock on ``reset(seed=...)``.
    """

    def __init__(
        self,
        space: str,
        *,
        reward: RewardOption | None = None,
        reveal_test: bool = False,
        info_strings: bool = False,
        task: Task | None = None,
        **options: Any,
    ) -> None:
        """Make the task, or take the one given."""
        self.owned = task is None
        self.task = _owned_task(space, **options) if task is None else _given_task(space, task, options)
        self._alone = self.task.workers == 1
        self.reveal_test, self.info_strings = reveal_test, info_strings
        self._reward = None if reward in (None, self.task.protocol.metric) else _reward_function(reward)
        for name in (reward, self.task.protocol.metric):
            if isinstance(name, str) and _tells_test(name) and not reveal_test:
                raise InvalidSetting(
                    f"{name} is a test metric: a search that sees it is not comparable. Reward valid_accuracy, or "
                    "say reveal_test=True."
                )

    def restart(self, seed: int | None) -> None:
        """Start a clock of the environment's own again, where a seed was given."""
        if self.owned and seed is not None:
            self.task.restart(int(seed))

    def evaluate(self, index: int) -> Result:
        """Evaluate one cell."""
        if self._alone:
            return self.task.evaluate_index(index)
        return _single(self.task.evaluate_indices(np.array([index])))

    def evaluate_all(self, indices: Indices) -> Outcome:
        """Evaluate cells one after the other and wait for all."""
        return self.task.evaluate_indices(indices)

    def reward(self, result: Result) -> float:
        """Return what an evaluation is worth: 0.0 where it was not counted."""
        if not result.counted:
            return 0.0
        return result.accuracy if self._reward is None else self._looked_up(result.index, result.seed)

    def rewards(self, outcome: Outcome) -> NDArray[np.float64]:
        """Return ``float64[n]``, a fresh array: the batched form of `reward`."""
        if self._reward is None:
            rewards = outcome.accuracies.copy()
            if self.task.exhausted:
                rewards[~outcome.counted] = 0.0
            return rewards
        rewards = np.zeros(len(outcome.indices))
        for row in np.flatnonzero(outcome.counted).tolist():
            rewards[row] = self._looked_up(int(outcome.indices[row]), int(outcome.seeds[row]))
        return rewards

    def report(self, result: Result) -> dict[str, Any]:
        """Return what ``info`` tells of an evaluation."""
        info: dict[str, Any] = {
            "architecture": result.index,
            "accuracy": result.accuracy,
            "evaluation_seconds": result.seconds,
            "simulated_seconds": result.finished,
            "counted": result.counted,
            "budget_exhausted": self.task.clock.exhausted,
        }
        if self.reveal_test or self.info_strings:
            extra = self._extra(np.array([result.index]), np.array([result.seed]), np.array([result.counted]))
            info.update({key: value[0] for key, value in extra.items()})
        return info

    def reports(self, outcome: Outcome) -> dict[str, NDArray[Any]]:
        """Return the arrays ``[n]`` that ``info`` tells of a batch: the batched form of `report`."""
        info: dict[str, NDArray[Any]] = {
            "architecture": outcome.indices,
            "accuracy": outcome.accuracies,
            "evaluation_seconds": outcome.seconds,
            "simulated_seconds": outcome.finished,
            "counted": outcome.counted,
            "budget_exhausted": self.exhausted_after(outcome),
        }
        if self.reveal_test or self.info_strings:
            info.update(self._extra(outcome.indices, outcome.seeds, outcome.counted))
        return info

    def exhausted_after(self, outcome: Outcome) -> NDArray[np.bool_]:
        """Return ``bool[n]``: whether the budget was spent after each evaluation of a batch, in order."""
        if not self.task.exhausted:
            return np.zeros(len(outcome.counted), dtype=np.bool_)
        exhausted = ~outcome.counted
        ran = len(exhausted) - int(np.count_nonzero(exhausted))
        if ran and (ran == len(exhausted) or self._was_last(float(outcome.finished[ran - 1]))):
            exhausted[ran - 1] = True  # it ended at the edge: the next one was refused because of it
        return exhausted

    def _was_last(self, finished: float) -> bool:
        limit = self.task.max_evaluations
        return finished >= self.task.budget or (limit is not None and self.task.evaluations >= limit)

    def _looked_up(self, index: int, seed: int) -> float:
        assert self._reward is not None
        value = self._reward(self._evaluation(index, seed))
        if value is None:
            raise MissingResult(
                f"the table {self.task.benchmark.key} does not know the reward of architecture {index}."
            )
        if not math.isfinite(value):
            raise InvalidSetting(f"the reward of architecture {index} is {value}; a reward is a finite number.")
        return float(value)

    def _evaluation(self, index: int, seed: int) -> Evaluation:
        """Return the evaluation that answered, without test metrics unless they are revealed."""
        task = self.task
        found = task.benchmark.query(index, "mean" if seed == AGGREGATE else seed, epoch=task.protocol.epoch)
        if self.reveal_test:
            return found
        return replace(found, series={name: s for name, s in found.series.items() if not _tells_test(name)})

    def _extra(self, indices: Indices, seeds: NDArray[np.int64], counted: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        extra: dict[str, NDArray[Any]] = {}
        if self.reveal_test:
            extra["test_accuracy"] = np.full(len(indices), np.nan)
            for row in np.flatnonzero(counted).tolist():
                value = self._evaluation(int(indices[row]), int(seeds[row])).test_accuracy
                extra["test_accuracy"][row] = math.nan if value is None else value
        if self.info_strings:
            space = self.task.space
            extra["architecture_string"] = np.array(space.to_str(space.from_index(indices)), dtype=object)
        return extra


def check_options(kind: type, options: Iterable[str]) -> None:
    """Raise `UnknownName` for an option that neither tasks nor the environment class ``kind`` know."""
    for name in options:
        if name not in TaskOptions.__annotations__:
            own = (p.name for p in signature(kind).parameters.values() if p.kind is not p.VAR_KEYWORD)
            raise UnknownName("option of the environment", name, (*TaskOptions.__annotations__, *own))


def as_action(action: Any, actions: int) -> int:
    """Return an action as an int in ``0..actions-1``; raises `InvalidAction`."""
    try:
        number = index(action)
    except TypeError:
        raise InvalidAction(f"an action is an integer in 0..{actions - 1}; got {action!r}.") from None
    if 0 <= number < actions:
        return number
    raise InvalidAction(f"action {number} is outside 0..{actions - 1}.")


def _owned_task(
    space: str,
    *,
    dataset: str = DEFAULT_DATASET,
    recipe: str | None = None,
    protocol: str | Protocol = "plain",
    seeds: SeedPolicy | None = None,
    time_budget: float | None = None,
    workers: int = 1,
    on_missing: OnMissing = "train",
    share_equal: bool | None = None,
    device: str = "auto",
    store: Store | Path | str | None = None,
) -> Task:
    """Make a task; its trajectory is kept only where a budget bounds it, for an environment may run for ever."""
    task = make_task(
        f"{space}/{dataset}",
        protocol=protocol,
        recipe=recipe,
        seeds=seeds,
        budget=time_budget,
        workers=workers,
        on_missing=on_missing,
        share_equal=share_equal,
        device=device,
        store=store,
    )
    task.record = task.bounded
    return task


def _given_task(space: str, task: Task, options: dict[str, Any]) -> Task:
    said = [name for name, value in options.items() if value is not None]
    if said:
        raise InvalidSetting(f"{', '.join(sorted(said))}: a ready task= brings its own; say it when you make the task.")
    if task.space.name != space:
        raise InvalidSetting(f"the task searches {task.space.name!r}, this environment is for {space!r}.")
    return task


def _reward_function(reward: RewardOption | None) -> Callable[[Evaluation], float | None]:
    if callable(reward):
        return reward
    if reward is None or reward not in METRICS:
        raise UnknownName("reward", str(reward), METRICS, "A function of the evaluation will do, too.")
    return _Metric(reward)


class _Metric:
    """The reward of a metric by name: losses and seconds count negative."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sign = 1.0 if name.endswith("_accuracy") else -1.0

    def __call__(self, evaluation: Evaluation) -> float | None:
        value = evaluation.value(self.name)
        return None if value is None else self.sign * value


def _tells_test(metric: str) -> bool:
    return "test" in metric


def _single(outcome: Outcome) -> Result:
    index, accuracy, seconds, seed, finished, counted = (column[0].item() for column in outcome)
    return Result(index, accuracy, seconds, seed, 0, finished, counted)
