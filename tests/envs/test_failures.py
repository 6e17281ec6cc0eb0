"""An evaluation that fails (a result is missing, a data set is not there) leaves an environment as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from nasgym.envs.construct import ConstructEnv
from nasgym.envs.edit import EditEnv
from nasgym.envs.vector import ConstructVectorEnv, EditVectorEnv
from nasgym.errors import MissingResult
from nasgym.results import Evaluation
from nasgym.spaces import get_space
from nasgym.store import Store
from nasgym.task import Task, make_task
from nasgym.testing import FailingTask, fill_synthetic, synthetic_task

SPACE = get_space("nb101-5")
MODES = pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with results of the first half of NB101-5."""
    path = tmp_path_factory.mktemp("half") / "store"
    fill_synthetic(Store(path), space="nb101-5", size=SPACE.size // 2)
    return Store(path)


def half_known(store: Store) -> Task:
    return make_task("nb101-5/cluttered-digits", store=store, on_missing="error")


def stored_cell() -> Any:
    return SPACE.from_index([SPACE.size // 2 - 1])


def test_a_walk_over_a_partial_table_stays_in_the_space(store: Store) -> None:
    env = EditEnv("nb101-5", task=half_known(store), max_edits=10_000)
    env.reset(options={"start": stored_cell()}, seed=0)
    rng, failed = np.random.default_rng(0), 0
    for _ in range(60):
        assert SPACE.is_valid(env.genotype[None]).all()
        before, evaluations = env.genotype, env.task.evaluations
        try:
            env.step(int(rng.choice(np.flatnonzero(env.action_masks()))))
        except MissingResult:
            failed += 1
            assert np.array_equal(env.genotype, before) and env.task.evaluations == evaluations
        assert np.array_equal(env.action_masks(), env.moves.edit_masks(env.genotype[:, None])[0])
    assert 5 < failed < 55


@MODES
def test_batched_walks_over_a_partial_table_stay_in_the_space(store: Store, mode: AutoresetMode) -> None:
    env = EditVectorEnv(2, "nb101-5", task=half_known(store), max_edits=10_000, autoreset_mode=mode)
    env.reset(options={"start": stored_cell()}, seed=0)
    rng, failed = np.random.default_rng(0), 0
    for _ in range(40):
        before = env.genotypes
        masks = env.action_masks()
        try:
            env.step(np.array([rng.choice(np.flatnonzero(mask)) for mask in masks]))
        except MissingResult:
            failed += 1
            assert np.array_equal(env.genotypes, before) and np.array_equal(env.action_masks(), masks)
    assert 5 < failed < 39


def flaky(*failing: int) -> FailingTask:
    """Made-up results; the calls of these numbers (from 0, failures too) are errors."""
    return FailingTask(synthetic_task(budget=None), failing)


def test_a_start_that_cannot_be_evaluated_begins_no_episode() -> None:
    env = EditEnv(task=flaky(0, 3), evaluate_start=True, max_edits=2, reward_mode="improvement")
    with pytest.raises(MissingResult):
        env.reset(seed=0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset()
    _, first, _, _, info = env.step(0)
    before = env.genotype
    with pytest.raises(MissingResult):
        env.reset()
    assert np.array_equal(env.genotype, before)
    _, second, _, truncated, after = env.step(1)  # the episode goes on where it was
    assert truncated and second == pytest.approx(after["accuracy"] - info["accuracy"])


@MODES
def test_starts_of_a_batch_that_cannot_be_evaluated_begin_no_episode(mode: AutoresetMode) -> None:
    """One edit to an episode: evaluations 0 and 1 are of the reset, 2 and 3 of the step, 4 of the starts after it."""
    env = EditVectorEnv(3, task=flaky(0, 2, 4), evaluate_start=True, max_edits=1, autoreset_mode=mode)
    with pytest.raises(MissingResult):
        env.reset(seed=0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(3, int))
    env.reset()
    before = env.genotypes
    with pytest.raises(MissingResult):
        env.step(np.array([1, 2, 3]))
    assert np.array_equal(env.genotypes, before)
    begin = {"reset_mask": np.ones(3, bool)}
    with pytest.raises(MissingResult):  # evaluation 4: the starts that follow the step
        env.step(np.array([1, 2, 3]))
        ended = env.genotypes
        env.reset(options=begin) if mode is AutoresetMode.DISABLED else env.step(np.zeros(3, int))
    assert np.array_equal(env.genotypes, before if mode is AutoresetMode.SAME_STEP else ended)
    if mode is AutoresetMode.DISABLED:
        env.reset(options=begin)
    *_, info = env.step(np.array([1, 2, 3]))
    assert (info["_simulated_seconds"]).all() and env.task.evaluations == 3 * (env.task.asked - 3)


def test_the_last_decision_of_a_cell_stays_open() -> None:
    env = ConstructEnv(task=flaky(0))
    env.reset()
    for action in (1, 2, 3, 4, 0):
        env.step(action)
    with pytest.raises(MissingResult):
        env.step(1)
    assert env.genotype.tolist() == [1, 2, 3, 4, 0, -1] and env.action_masks().all()
    observation, _, terminated, _, info = env.step(2)
    assert terminated and (observation - 1).tolist() == [1, 2, 3, 4, 0, 2] and info["counted"]


@MODES
@pytest.mark.parametrize("together", [True, False])
def test_the_last_decisions_of_a_batch_stay_open(mode: AutoresetMode, together: bool) -> None:
    env = ConstructVectorEnv(2, task=flaky(0), autoreset_mode=mode)
    env.reset()
    if not together:
        env.step(np.array([3, 3]))
        env.reset(options={"reset_mask": np.array([True, False])})
    steps = 5 if together else 4
    for action in range(steps):
        env.step(np.array([action, action]))
    before = env.genotypes
    with pytest.raises(MissingResult):
        env.step(np.array([1, 1]))
    assert np.array_equal(env.genotypes, before) and (before[:, -1] == -1).any()
    *_, terminated, _, info = env.step(np.array([2, 4]))
    assert terminated.tolist() == [together, True]
    last = info["final_obs"] if mode is AutoresetMode.SAME_STEP else env.genotypes + 1
    assert last[1][-1] == 5


@pytest.mark.parametrize("kind", [ConstructEnv, EditEnv, ConstructVectorEnv, EditVectorEnv])
def test_a_reward_that_fails_changes_no_cell(kind: Any) -> None:
    calls: list[int] = []

    def reward(evaluation: Evaluation) -> float:
        calls.append(evaluation.index)
        if len(calls) == 1:
            raise ZeroDivisionError
        return 1.0

    env = kind(task=synthetic_task(), reward=reward)
    batched = hasattr(env, "num_envs")
    env.reset(seed=0)
    action: Any = np.zeros(1, int) if batched else 0
    while not calls:
        before = (env.genotypes if batched else env.genotype).copy()
        try:
            _, given, *_ = env.step(action)
        except ZeroDivisionError:
            assert np.array_equal(env.genotypes if batched else env.genotype, before)
            _, given, *_ = env.step(action)
    assert given == 1.0 and calls[0] == calls[1]
    assert env.task.evaluations == 2, "an evaluation is charged, whatever its reward"


def test_what_ran_before_a_missing_result_counts(tmp_path: Path) -> None:
    """Three workers: two of four evaluations ran, and are charged and in the trajectory as on one worker."""
    store = Store(tmp_path)
    fill_synthetic(store, size=10)
    for workers in (1, 3):
        task = make_task(store=store, on_missing="error", workers=workers)
        with pytest.raises(MissingResult):
            task.evaluate_indices(np.array([1, 2, 11, 3]))
        assert task.evaluations == 2 and sorted(task.trajectory.arrays().indices.tolist()) == [1, 2]
        assert task.seconds > 0 and task.seconds == task.trajectory.arrays().finished[-1]
        later = task.evaluate_indices(np.array([3]))
        assert later.counted.all() and later.finished[0] > task.trajectory.arrays().finished[-2]
