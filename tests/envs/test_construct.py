"""Building a cell: rewards, masks, the clock and its budget, and what bad input gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from nasgym.envs.common import EpisodeOver
from nasgym.envs.construct import ConstructEnv
from nasgym.errors import EpisodeOver as AnyEpisodeOver
from nasgym.errors import InvalidAction, InvalidBudget, InvalidSetting, MissingResult, UnknownName
from nasgym.recipes import DEFAULT_DATASET, default_recipe
from nasgym.spaces import get_space
from nasgym.store import Store, TableKey
from nasgym.task import Task, make_task
from nasgym.testing import synthetic_evaluations, synthetic_task

CELL = [3, 0, 1, 2, 4, 3]


def build(env: Any, cell: list[int] = CELL) -> tuple[Any, ...]:
    """Build a cell in a fresh episode without a seed; return the last step."""
    env.reset()
    for choice in cell:
        last = env.step(choice)
    return tuple(last)


def test_the_last_decision_is_rewarded_with_the_accuracy() -> None:
    task = synthetic_task()
    env = ConstructEnv(task=task)
    observation, _ = env.reset()
    assert observation.tolist() == [0] * 6 and observation.dtype == np.int8
    for step, choice in enumerate(CELL[:-1]):
        observation, reward, terminated, truncated, info = env.step(choice)
        assert observation.tolist() == [c + 1 for c in CELL[: step + 1]] + [0] * (5 - step)
        assert (reward, terminated, truncated, set(info)) == (0.0, False, False, {"action_mask"})
    observation, reward, terminated, truncated, info = env.step(CELL[-1])
    index = int(task.space.index(np.array([CELL]))[0])
    assert reward == task.benchmark.query(index).valid_accuracy == info["accuracy"]
    assert (terminated, truncated) == (True, False)
    assert (info["architecture"], info["evaluation_seconds"], info["simulated_seconds"]) == (index, 10.0, 10.0)
    assert info["counted"] and not info["budget_exhausted"] and not info["action_mask"].any()


def test_numpy_integers_are_actions_and_other_things_are_not() -> None:
    env = ConstructEnv(task=synthetic_task())
    env.reset()
    for action in (np.int64(4), np.int8(0), np.array(3)):
        env.step(action)  # type: ignore[arg-type]
    for wrong in (5, -1, 1.0, "1", None, np.array([1, 2])):
        with pytest.raises(InvalidAction, match=r"0\.\.4"):
            env.step(wrong)  # type: ignore[arg-type]
    assert env.genotype.tolist() == [4, 0, 3, -1, -1, -1], "a refused action changes nothing"


def test_a_step_after_the_end_or_before_reset_names_the_remedy() -> None:
    env = ConstructEnv(task=synthetic_task())
    with pytest.raises(EpisodeOver, match=r"reset\(\)"):
        env.step(0)
    build(env)
    with pytest.raises(AnyEpisodeOver, match=r"reset\(\)"):
        env.step(0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def test_the_clock_runs_on_until_a_seed_restarts_it() -> None:
    env = ConstructEnv(store=synthetic_task().benchmark.store, on_missing="error", time_budget=1e6)
    assert [build(env)[4]["simulated_seconds"] for _ in range(3)] == [10.0, 20.0, 30.0]
    assert len(env.task.trajectory) == 3
    env.reset(seed=1)
    assert env.task.seconds == 0.0 and env.task.evaluations == 0 and env.task.seed == 1


def test_a_task_that_is_handed_in_is_never_restarted() -> None:
    task = synthetic_task()
    one, two = ConstructEnv(task=task), ConstructEnv(task=task)
    build(one)
    one.reset(seed=3)
    assert build(two)[4]["simulated_seconds"] == 20.0 and task.evaluations == 2


def test_an_endless_environment_keeps_no_trajectory() -> None:
    env = ConstructEnv(store=synthetic_task().benchmark.store, on_missing="error")
    build(env)
    assert env.task.evaluations == 1 and len(env.task.trajectory) == 0


def test_at_the_budget_the_cell_counts_and_after_it_none_does() -> None:
    env = ConstructEnv(task=synthetic_task(budget=20.0))
    assert build(env)[2:4] == (True, False)
    _, reward, terminated, truncated, info = build(env)  # ends exactly at the budget
    assert (terminated, truncated, info["counted"], info["budget_exhausted"]) == (True, True, True, True)
    assert reward > 0
    for _ in range(2):
        _, reward, terminated, truncated, info = build(env, [0] * 6)
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert not info["counted"] and info["budget_exhausted"] and np.isnan(info["accuracy"])
        assert (info["evaluation_seconds"], info["simulated_seconds"]) == (0.0, 20.0)
    assert env.task.evaluations == 2


@pytest.mark.usefixtures("filled")
def test_rewards_by_name_and_by_function() -> None:
    table = make_task(on_missing="error", seeds="mean").benchmark
    index = int(table.space.index(np.array([CELL]))[0])
    evaluation = table.query(index, 1)
    options: dict[str, Any] = {"on_missing": "error", "seeds": 1}
    assert build(ConstructEnv(**options))[1] == pytest.approx(evaluation.valid_accuracy)
    assert build(ConstructEnv(reward="train_accuracy", **options))[1] == pytest.approx(evaluation.train_accuracy)
    assert build(ConstructEnv(reward="train_seconds", **options))[1] == pytest.approx(-evaluation.train_seconds)
    by_function = ConstructEnv(reward=lambda e: (e.valid_accuracy or 0.0) - 0.001 * (e.train_seconds or 0.0), **options)
    assert build(by_function)[1] == pytest.approx(evaluation.valid_accuracy - 0.001 * evaluation.train_seconds)
    mean = ConstructEnv(reward="train_accuracy", on_missing="error", seeds="mean")
    assert build(mean)[1] == pytest.approx(table.query(index, "mean").train_accuracy)


@pytest.mark.usefixtures("filled")
def test_test_metrics_are_seen_only_where_that_is_said() -> None:
    with pytest.raises(InvalidSetting, match="reveal_test=True"):
        ConstructEnv(reward="test_accuracy")
    seen: list[Any] = []
    env = ConstructEnv(on_missing="error", reward=lambda e: seen.append(e.test_accuracy) or 0.0)
    assert "test_accuracy" not in build(env)[4] and seen == [None], "not even a reward function sees one"
    revealed = ConstructEnv(on_missing="error", seeds=0, reward="test_accuracy", reveal_test=True)
    _, reward, *_, info = build(revealed)
    query = make_task(on_missing="error").benchmark.query(info["architecture"], 0)
    assert reward == info["test_accuracy"] == pytest.approx(query.test_accuracy)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_reward_that_is_not_finite_is_an_error(value: float) -> None:
    with pytest.raises(InvalidSetting, match="finite"):
        build(ConstructEnv(task=synthetic_task(), reward=lambda evaluation: value))


def test_a_reward_that_the_table_does_not_know_is_an_error() -> None:
    with pytest.raises(MissingResult, match="architecture"):
        build(ConstructEnv(task=synthetic_task(), reward="valid_loss"))


def test_strings_on_request() -> None:
    env = ConstructEnv(task=synthetic_task(), info_strings=True)
    info = build(env)[4]
    assert info["architecture_string"] == env.task.space.to_str(np.array([CELL], dtype=np.int8))[0]


def test_what_is_missing_is_an_error_where_training_is_not_allowed(tmp_path: Path) -> None:
    env = ConstructEnv(store=tmp_path, on_missing="error")
    with pytest.raises(MissingResult, match="nasgym"):
        build(env)
    env.reset()  # and the environment goes on


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dataset": "cifar11"}, UnknownName, "cifar10"),
        ({"recipe": "nb201-13"}, UnknownName, "nb201-12"),
        ({"space": "nb202"}, UnknownName, "nb201"),
        ({"protocol": "plane"}, UnknownName, "plain"),
        ({"reward": "valid_acuracy"}, UnknownName, "valid_accuracy"),
        ({"time_budget": 0}, InvalidBudget, "above 0"),
        ({"time_budget": -3.0}, InvalidBudget, "-3.0"),
        ({"seeds": "median"}, InvalidSetting, "mean"),
        ({"workers": 0}, InvalidSetting, "workers"),
        ({"illegal": "ignore"}, UnknownName, "repair"),
        ({"render_mode": "svg"}, UnknownName, "rgb_array"),
        ({"on_missing": "guess"}, UnknownName, "train"),
        ({"datset": "cifar10"}, UnknownName, "option of the environment 'datset'. Did you mean 'dataset'"),
        ({"ilegal": "repair"}, UnknownName, "Did you mean 'illegal'"),
        ({"datset": "cifar10", "task": synthetic_task()}, UnknownName, "Did you mean 'dataset'"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ConstructEnv(**options)


def test_where_nothing_is_said_all_search_the_same_task() -> None:
    """An environment, a task and a made-up task; `DEFAULT_DATASET` says what."""
    names = {ConstructEnv(on_missing="error").task.name, make_task(on_missing="error").name, synthetic_task().name}
    assert names == {f"nb201/{DEFAULT_DATASET}"}


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_an_unknown_argument_is_named_by_gymnasium_too(make: Callable[..., Any]) -> None:
    for env_id, wrong, meant in (
        ("nasgym/NB201-v0", "share_equals", "share_equal"),
        ("nasgym/NB201-Edit-v0", "max_edit", "max_edits"),
    ):
        with pytest.raises(UnknownName, match=f"Did you mean '{meant}'"):
            make(env_id, **{wrong: 3})


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_equal_networks_share_results_where_that_is_said(make: Callable[..., Any], tmp_path: Path) -> None:
    space, store = get_space("nb201"), Store(tmp_path / "store")
    cells = space.from_index(np.arange(space.size))
    classes = space.canonical(cells)
    equal = np.flatnonzero(classes == np.bincount(classes).argmax())
    trained, twin = equal[0], cells[equal[-1]]
    key = TableKey("nb201", DEFAULT_DATASET, default_recipe(DEFAULT_DATASET))
    store.ensure_table(key, space.size)
    store.put(key, (e for e in synthetic_evaluations(space, epochs=10, seeds=(0,), size=int(trained) + 1)))
    alone, shared = (make("nasgym/NB201-v0", store=store, on_missing="error", **o) for o in ({}, {"share_equal": True}))
    with pytest.raises(MissingResult):
        finish(alone, twin)
    assert finish(shared, twin) == pytest.approx(store.get(key, int(trained), 0).valid_accuracy)


def finish(env: Any, cell: np.ndarray) -> float:
    """Build one cell in each environment; return the reward of the first."""
    env.reset(seed=0)
    for choice in cell.tolist():
        reward = env.step(np.full(env.action_space.shape, choice))[1]
    return float(np.atleast_1d(reward)[0])


def test_a_ready_task_takes_no_other_options_and_must_fit() -> None:
    with pytest.raises(InvalidSetting, match="dataset, workers"):
        ConstructEnv(task=synthetic_task(), dataset="cifar10", workers=2)
    with pytest.raises(InvalidSetting, match="'nb201'.*'toy'"):
        ConstructEnv("toy", task=synthetic_task())


def test_masks_where_choices_forbid_each_other(toy: Task) -> None:
    env = ConstructEnv("toy", task=toy)
    _, info = env.reset()
    assert info["action_mask"].tolist() == [1, 1, 0], "the first decision has two options"
    _, _, _, _, info = env.step(1)
    assert info["action_mask"].tolist() == [1, 1, 0] == env.action_masks().astype(int).tolist()
    with pytest.raises(InvalidAction, match=r"\[0, 1\].*repair"):
        env.step(2)
    env.reset()
    _, _, _, _, info = env.step(0)
    assert info["action_mask"].tolist() == [1, 1, 1]


def test_repair_takes_the_nearest_legal_action(toy: Task) -> None:
    env = ConstructEnv("toy", task=toy, illegal="repair")
    env.reset()
    for action in (2, 2, 2):
        env.step(action)
    assert env.genotype.tolist() == [1, 1, 1]
    with pytest.raises(InvalidAction):
        env.reset()
        env.step(3)  # outside the action space: nothing to repair
