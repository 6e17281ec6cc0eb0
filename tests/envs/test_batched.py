"""The batched environments against single ones that share a task, step for step, in all three modes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from nasgym.benchmark import Benchmark
from nasgym.envs.vector import ConstructVectorEnv, EditVectorEnv
from nasgym.errors import EpisodeOver, InvalidAction, InvalidArchitecture, InvalidSetting, UnknownName
from nasgym.results import Evaluation, Series
from nasgym.spaces import get_space
from nasgym.store import Store, TableKey
from nasgym.task import Task, get_protocol, make_task
from nasgym.testing import synthetic_task

MODES = pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
N = 5


def assert_same(one: Any, two: Any, where: str = "") -> None:
    """Equal in structure, types and values, as Gymnasium puts infos together."""
    if isinstance(one, dict):
        assert set(one) == set(two), where
        for key in one:
            assert_same(one[key], two[key], f"{where}/{key}")
    elif isinstance(one, np.ndarray) and one.dtype.hasobject:
        for a, b in zip(one, two, strict=True):
            if a is None or b is None or isinstance(a, str):
                assert a == b, where
            else:
                assert_same(a, b, where)
    else:
        np.testing.assert_array_equal(one, two, err_msg=where)
        assert one.dtype == two.dtype, where


class OneByOne:
    """The task's space, drawing first cells one by one: a batch and single environments then draw the same."""

    def __init__(self, space: Any) -> None:
        self._space, self._rng = space, np.random.default_rng(5)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._space, name)

    def sample(self, rng: np.random.Generator, n: int) -> Any:
        return np.concatenate([self._space.sample(self._rng, 0), *(self._space.sample(self._rng, 1) for _ in range(n))])


def compare(env_id: str, mode: AutoresetMode, tasks: list[Task], steps: int = 50, **kwargs: Any) -> None:
    """Step a batch and ``SyncVectorEnv`` with the same actions and compare all they give."""
    batched = gymnasium.make_vec(env_id, num_envs=N, task=tasks[0], autoreset_mode=mode, **kwargs)
    single = SyncVectorEnv([lambda: gymnasium.make(env_id, task=tasks[1], **kwargs)] * N, autoreset_mode=mode)
    assert batched.observation_space == single.observation_space
    assert batched.action_space == single.action_space
    for task in tasks:
        task.benchmark.space = OneByOne(task.benchmark.space)  # type: ignore[assignment]
    assert_same(dict(enumerate(batched.reset())), dict(enumerate(single.reset())), "reset")
    rng = np.random.default_rng(0)
    for step in range(steps):
        actions = rng.integers(0, batched.single_action_space.n, N)  # type: ignore[attr-defined]
        one, two = batched.step(actions), single.step(actions)
        assert_same(dict(enumerate(one)), dict(enumerate(two)), f"step {step}")
        begin = one[2] | one[3]
        if mode is AutoresetMode.DISABLED and (begin.any() or step == 8):
            begin[1] |= step == 8  # one of them in the middle of its episode: the others go on without it
            fresh = [env.reset(options={"reset_mask": begin.copy()}) for env in (batched, single)]
            assert_same(*(dict(enumerate(part)) for part in fresh), f"reset after step {step}")
    assert tasks[0].seconds == tasks[1].seconds and tasks[0].evaluations == tasks[1].evaluations
    assert tasks[0].incumbent == tasks[1].incumbent
    assert_same(*(task.trajectory.arrays()._asdict() for task in tasks), "trajectory")


@MODES
@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [
        ("nasgym/NB201-v0", {}),
        ("nasgym/NB201-v0", {"info_strings": True, "reveal_test": True}),
        ("nasgym/NB201-v0", {"max_episode_steps": 4}),
        ("nasgym/NB201-v0", {"max_episode_steps": 6}),
        ("nasgym/NB201-Edit-v0", {"max_edits": 3}),
        ("nasgym/NB201-Edit-v0", {"reward_mode": "improvement", "info_strings": True}),
        ("nasgym/NB201-Edit-v0", {"reward_mode": "improvement", "max_episode_steps": 4, "reward": "train_accuracy"}),
    ],
)
@pytest.mark.usefixtures("filled")
def test_a_batch_equals_single_environments(env_id: str, kwargs: dict[str, Any], mode: AutoresetMode) -> None:
    for budget, protocol in itertools.product((None, 150.0, 155.0), ("plain", "overshoot")):
        tasks = [make_task(on_missing="error", budget=budget) for _ in range(2)]
        for task in tasks:
            task.clock.overshoot = protocol == "overshoot"
        compare(env_id, mode, tasks, **kwargs)


@MODES
def test_it_equals_them_at_a_limit_of_evaluations(mode: AutoresetMode) -> None:
    for limit in (1, N, N + 2):
        compare("nasgym/NB201-v0", mode, [synthetic_task(budget=None, max_evaluations=limit) for _ in range(2)], 20)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
@pytest.mark.usefixtures("filled")
def test_first_cells_are_evaluated_in_the_same_order(mode: AutoresetMode) -> None:
    """Not under SAME_STEP, where a batch evaluates all steps before all first cells."""
    tasks = [make_task(on_missing="error", budget=400.0) for _ in range(2)]
    compare("nasgym/NB201-Edit-v0", mode, tasks, evaluate_start=True, reward_mode="improvement", max_edits=4)


@MODES
@pytest.mark.parametrize("env_id", ["nasgym/NATS-SSS-v0", "nasgym/NATS-SSS-Edit-v0"])
def test_it_equals_them_in_the_space_of_sizes(env_id: str, mode: AutoresetMode) -> None:
    for budget, overshoot in itertools.product((None, 155.0), (False, True)):
        tasks = [synthetic_task("nats-sss", budget=budget) for _ in range(2)]
        for task in tasks:
            task.clock.overshoot = overshoot
        compare(env_id, mode, tasks, info_strings=True)


@MODES
@pytest.mark.parametrize("env_id", ["nasgym/NB201-v0", "nasgym/NB201-Edit-v0"])
def test_it_equals_them_where_choices_forbid_each_other(env_id: str, mode: AutoresetMode, toy: Task) -> None:
    tasks = [synthetic_task(toy.space, budget=300.0) for _ in range(2)]
    compare(env_id, mode, tasks, space="toy", illegal="repair")


def test_a_missing_result_does_not_part_those_that_run_side_by_side(tmp_path: Path) -> None:
    """Two workers, one barrier: 10 s each, whether a result was there or is trained in between."""

    def train(genotype: NDArray[np.int8], seed: int) -> Evaluation:
        index = int(space.index(genotype[None])[0])
        series = {
            "valid_accuracy": Series.of([0.5], [1], "fraction"),
            "train_seconds": Series.of([10.0], [1], "seconds"),
        }
        return Evaluation(index, seed, 1, series)

    space, store = get_space("nb201"), Store(tmp_path)
    key = TableKey("nb201", "cluttered-digits", "made-up")
    store.ensure_table(key, space.size)
    store.put(key, [train(space.from_index([2])[0], 0)])
    benchmark = Benchmark(space, key, store, on_missing="train", train=train)
    task = Task(benchmark, get_protocol("plain"), workers=2)
    env = ConstructVectorEnv(4, task=task, autoreset_mode="disabled")
    env.reset()
    for column in space.from_index([1, 2, 3, 4]).T:
        *_, info = env.step(column)
    assert info["architecture"].tolist() == [1, 2, 3, 4]
    assert info["simulated_seconds"].tolist() == [10.0, 10.0, 20.0, 20.0]


def test_default_mode_is_same_step_and_final_observations_are_complete() -> None:
    env = ConstructVectorEnv(3, task=synthetic_task())
    env.reset()
    for _ in range(6):
        observations, rewards, terminated, _, info = env.step(np.array([0, 1, 2]))
    assert terminated.all() and (observations == 0).all()
    assert [row.tolist() for row in info["final_obs"]] == [[1] * 6, [2] * 6, [3] * 6]
    assert info["final_info"]["accuracy"].tolist() == rewards.tolist()
    assert "architecture" not in info


@pytest.mark.parametrize("spelling", ["same_step", "SameStep", "SAME_STEP", AutoresetMode.SAME_STEP])
def test_modes_by_name(spelling: Any) -> None:
    env = ConstructVectorEnv(1, task=synthetic_task(), autoreset_mode=spelling)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def test_wrong_settings_are_named() -> None:
    task = synthetic_task()
    with pytest.raises(UnknownName, match="SAME_STEP"):
        ConstructVectorEnv(1, task=task, autoreset_mode="sometimes")  # type: ignore[arg-type]
    for wrong in (0, -1, 1.5):
        with pytest.raises(InvalidSetting, match=f"num_envs.*{wrong}"):
            ConstructVectorEnv(wrong, task=task)  # type: ignore[arg-type]
        with pytest.raises(InvalidSetting, match=f"max_episode_steps.*{wrong}"):
            EditVectorEnv(1, task=task, max_episode_steps=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [ConstructVectorEnv, EditVectorEnv])
@pytest.mark.parametrize("actions", [[0, 99], [-1, 0], [0.5, 0.5], [0], [[0], [0]], [0, 2**40]])
def test_actions_out_of_range_are_refused_and_change_nothing(kind: Any, actions: Any) -> None:
    env = kind(2, task=synthetic_task())
    env.reset(seed=0)
    before = env.genotypes
    with pytest.raises(InvalidAction):
        env.step(np.array(actions))
    assert np.array_equal(env.genotypes, before) and env.task.evaluations == 0


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_any_integer_type_will_do(dtype: Any) -> None:
    env = ConstructVectorEnv(2, task=synthetic_task())
    env.reset()
    assert env.step(np.array([1, 4], dtype=dtype))[0][:, 0].tolist() == [2, 5]


@pytest.mark.parametrize("kind", [ConstructVectorEnv, EditVectorEnv])
def test_a_step_after_the_end_or_before_reset_is_named(kind: Any) -> None:
    env = kind(2, task=synthetic_task(), autoreset_mode="disabled", max_episode_steps=1)
    with pytest.raises(EpisodeOver, match="reset"):
        env.step([0, 0])
    env.reset(seed=0)
    env.step([0, 0])
    with pytest.raises(EpisodeOver, match="2 environments"):
        env.step([0, 0])
    env.reset(options={"reset_mask": np.array([False, True])})
    with pytest.raises(EpisodeOver, match="1 environments, the first of them number 0"):
        env.step([0, 0])
    assert isinstance(EpisodeOver("x"), RuntimeError)


@pytest.mark.parametrize("mask", [np.zeros(2, bool), np.ones(3, bool), np.ones(2, int), [True, True]])
def test_a_wrong_reset_mask_is_named(mask: Any) -> None:
    env = ConstructVectorEnv(2, task=synthetic_task())
    env.reset()
    with pytest.raises(InvalidSetting, match="reset_mask"):
        env.reset(options={"reset_mask": mask})


def test_starts_for_all_and_for_each() -> None:
    env = EditVectorEnv(3, task=synthetic_task())
    assert (env.reset(options={"start": 0})[0] == env.task.space.from_index([0])[0] + 1).all()
    cells = env.task.space.from_index([5, 6, 7])
    assert np.array_equal(env.reset(options={"start": cells})[0], cells + 1)
    mask = np.array([False, True, False])
    observations, info = env.reset(options={"start": 9, "reset_mask": mask})
    assert observations[:, :].tolist() == (env.task.space.from_index([5, 9, 7]) + 1).tolist()
    assert info["_action_mask"].tolist() == mask.tolist()
    with pytest.raises(InvalidArchitecture, match="give 1 or 3"):
        env.reset(options={"start": cells[:2]})


def test_first_cells_come_from_the_one_generator() -> None:
    env = EditVectorEnv(4, task=synthetic_task())
    observations, _ = env.reset(seed=7)
    rng, _ = gymnasium.utils.seeding.np_random(7)
    assert np.array_equal(observations - 1, env.task.space.sample(rng, 4))
