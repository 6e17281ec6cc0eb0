"""Editing a cell: moves, starts, improvements and the ends of episodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nasgym.envs.edit import EditEnv
from nasgym.errors import EpisodeOver, InvalidAction, InvalidArchitecture, InvalidSetting, UnknownName
from nasgym.task import Task
from nasgym.testing import made_up_accuracies, synthetic_task


def accuracy_of(env: EditEnv) -> float:
    return float(made_up_accuracies(env.task.space, env.genotype[None])[0])


def test_an_action_rewrites_one_decision_and_gives_the_new_accuracy() -> None:
    env = EditEnv(task=synthetic_task())
    first, _ = env.reset(options={"start": [0, 1, 2, 3, 4, 0]})
    assert first.tolist() == [1, 2, 3, 4, 5, 1]
    observation, reward, terminated, truncated, info = env.step(5 * 3 + 2)
    assert observation.tolist() == [1, 2, 3, 3, 5, 1]
    assert reward == accuracy_of(env) == info["accuracy"]
    assert (terminated, truncated, info["simulated_seconds"]) == (False, False, 10.0)
    env.step(5 * 3 + 2)  # changes nothing, and is evaluated again
    assert env.task.evaluations == 2


def test_an_episode_is_truncated_after_max_edits() -> None:
    env = EditEnv(task=synthetic_task(), max_edits=3)
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]
    with pytest.raises(EpisodeOver):
        env.step(0)


def test_improvements_add_up_to_the_difference() -> None:
    env = EditEnv(task=synthetic_task(), reward_mode="improvement", evaluate_start=True)
    _, info = env.reset(seed=4)
    assert info["accuracy"] == accuracy_of(env) and env.task.evaluations == 1
    start = accuracy_of(env)
    rewards = [env.step(action)[1] for action in (3, 8, 13, 29, 0)]
    assert sum(rewards) == pytest.approx(accuracy_of(env) - start)


def test_without_an_evaluated_start_the_first_improvement_is_zero_and_nothing_is_charged() -> None:
    env = EditEnv(task=synthetic_task(), reward_mode="improvement")
    _, info = env.reset(seed=4)
    assert set(info) == {"action_mask"} and env.task.seconds == 0.0
    assert env.step(3)[1] == 0.0
    before = accuracy_of(env)
    assert env.step(9)[1] == pytest.approx(accuracy_of(env) - before)


def test_the_budget_truncates_and_a_refused_evaluation_is_worth_nothing() -> None:
    env = EditEnv(task=synthetic_task(budget=25.0), reward_mode="improvement", evaluate_start=True)
    env.reset(seed=0)
    assert env.step(1)[3] is False
    _, reward, terminated, truncated, info = env.step(7)
    assert (reward, terminated, truncated, info["counted"]) == (0.0, False, True, False)
    _, info = env.reset()
    assert not info["counted"] and info["budget_exhausted"], "the first cell of the next episode says so, too"


@pytest.mark.parametrize("start", ["string", 77, np.int64(77), "genotype", "list"])
def test_starts(start: Any) -> None:
    env = EditEnv(task=synthetic_task())
    cell = env.task.space.from_index([77])
    given = {"string": env.task.space.to_str(cell)[0], "genotype": cell[0], "list": cell[0].tolist()}
    observation, _ = env.reset(options={"start": given.get(start, start) if isinstance(start, str) else start})
    assert (observation - 1).tolist() == cell[0].tolist()


@pytest.mark.parametrize("start", ["|conv~0|", 15_625, -1, [0, 1], [9] * 6, [[0] * 6, [1] * 6]])
def test_a_wrong_start_is_named(start: Any) -> None:
    with pytest.raises(InvalidArchitecture):
        EditEnv(task=synthetic_task()).reset(options={"start": start})


def test_starts_are_drawn_with_the_environments_generator() -> None:
    env = EditEnv(task=synthetic_task())
    starts = [env.reset(seed=seed)[0].tolist() for seed in (1, 1, 2)]
    assert starts[0] == starts[1] != starts[2]
    assert env.reset()[0].tolist() != env.reset()[0].tolist()


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True])
def test_max_edits_must_be_above_zero(wrong: Any) -> None:
    with pytest.raises(InvalidSetting, match="max_edits"):
        EditEnv(task=synthetic_task(), max_edits=wrong)


def test_an_unknown_reward_mode_is_named() -> None:
    with pytest.raises(UnknownName, match="improvement"):
        EditEnv(task=synthetic_task(), reward_mode="improvment")  # type: ignore[arg-type]


def test_masks_forbid_edits_that_leave_the_space(toy: Task) -> None:
    env = EditEnv("toy", task=toy)
    _, info = env.reset(options={"start": [0, 2, 0]})
    assert info["action_mask"].tolist() == [1, 0, 1, 1, 1, 1, 1], "1 in the first decision forbids 2 in the second"
    with pytest.raises(InvalidAction, match="action 1"):
        env.step(1)
    env.step(3)
    observation, *_ = env.step(1)
    assert observation.tolist() == [2, 2, 1]
    repairing = EditEnv("toy", task=toy, illegal="repair")
    repairing.reset(options={"start": [0, 2, 0]})
    assert repairing.step(1)[0].tolist() == [1, 3, 1], "of two equally near actions the lower one"
