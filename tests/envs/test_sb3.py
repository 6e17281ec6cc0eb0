"""The adapter for stable-baselines3: what it gives, which algorithms learn on it, and where learning stops."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from nasgym.envs.sb3 import SB3VecEnv, StopAtBudget, make_sb3_env
from nasgym.envs.vector import ConstructVectorEnv
from nasgym.errors import InvalidSetting
from nasgym.task import Task
from nasgym.testing import synthetic_task

ALGORITHMS: list[tuple[Any, dict[str, Any]]] = [
    (PPO, {"n_steps": 6, "batch_size": 24}),
    (A2C, {"n_steps": 6}),
    (DQN, {"learning_starts": 16, "buffer_size": 500}),
    (MaskablePPO, {"n_steps": 6, "batch_size": 24}),
]


@pytest.mark.parametrize(("algorithm", "settings"), ALGORITHMS, ids=[a.__name__ for a, _ in ALGORITHMS])
@pytest.mark.parametrize("edit", [False, True], ids=["construct", "edit"])
@pytest.mark.parametrize("space", ["nb201", "nats-sss"])  # every action is legal: not all of these know masks
def test_it_learns_until_the_budget_is_spent(algorithm: Any, settings: dict[str, Any], edit: bool, space: str) -> None:
    task = synthetic_task(space, budget=600.0)
    model = algorithm("MlpPolicy", make_sb3_env(task, 8, edit=edit), seed=0, **settings)
    model.learn(10_000, callback=StopAtBudget())
    assert task.exhausted and task.evaluations == 60
    assert model.num_timesteps == 64 * (1 if edit else task.space.num_decisions)


@pytest.mark.parametrize("algorithm", [MaskablePPO])
@pytest.mark.parametrize("edit", [False, True], ids=["construct", "edit"])
def test_masks_keep_to_what_is_legal(algorithm: Any, edit: bool, toy: Task) -> None:
    env = make_sb3_env(toy, 4, edit=edit)
    assert is_masking_supported(env) and get_action_masks(env).shape == (4, env.action_space.n)
    algorithm("MlpPolicy", env, n_steps=6, batch_size=24, seed=0).learn(480)  # an illegal action would be an error
    assert toy.evaluations > 100


def test_steps_are_those_of_single_environments_under_dummy_vec_env() -> None:
    tasks = synthetic_task(budget=None), synthetic_task(budget=None)
    ours = make_sb3_env(tasks[0], 3)
    theirs = DummyVecEnv([lambda: Monitor(gymnasium.make("nasgym/NB201-v0", task=tasks[1]))] * 3)
    rng = np.random.default_rng(0)
    assert np.array_equal(ours.reset(), theirs.reset())
    for _ in range(20):
        actions = rng.integers(0, 5, 3)
        one, two = ours.step(actions), theirs.step(actions)
        for a, b in zip(one[:3], two[:3], strict=True):
            assert np.array_equal(a, b) and a.dtype == b.dtype
        for mine, other in zip(one[3], two[3], strict=True):
            assert ("episode" in mine) == ("episode" in other)
            if "episode" in mine:
                assert mine["episode"]["r"] == pytest.approx(other["episode"]["r"], abs=1e-6)
                assert mine["episode"]["l"] == other["episode"]["l"] == 6
                assert np.array_equal(mine["terminal_observation"], other["terminal_observation"])
                assert mine["TimeLimit.truncated"] == other["TimeLimit.truncated"]
                assert all(mine[key] == other[key] for key in ("architecture", "accuracy", "simulated_seconds"))


def test_an_episode_cut_off_by_the_budget_is_told_as_truncated() -> None:
    env = make_sb3_env(synthetic_task(budget=15.0), 2)
    env.reset()
    for _ in range(6):
        _, rewards, dones, infos = env.step(np.zeros(2, dtype=int))
    assert dones.all() and rewards[1] == 0.0
    assert [info["TimeLimit.truncated"] for info in infos] == [False, True]
    assert [info["counted"] for info in infos] == [True, False]


def test_attributes_methods_and_seeds() -> None:
    env = make_sb3_env(synthetic_task(), 3, edit=True, max_edits=2)
    assert env.get_attr("max_edits") == [2, 2, 2] and env.get_attr("max_edits", 1) == [2]
    assert env.has_attr("action_masks") and not env.has_attr("no_such_thing")
    env.set_attr("max_edits", 4)
    assert env.venv.max_edits == 4  # type: ignore[attr-defined]
    assert np.array(env.env_method("action_masks", indices=[0, 2])).shape == (2, 30)
    assert env.env_is_wrapped(Monitor) == [True] * 3 and env.env_is_wrapped(gymnasium.Wrapper) == [False] * 3
    env.seed(5)
    first = env.reset()
    env.seed(5)
    assert np.array_equal(env.reset(), first) and not np.array_equal(env.reset(), first)
    env.close()


def test_other_tools_work_on_it() -> None:
    env = make_sb3_env(synthetic_task(budget=None), 4)
    model = PPO("MlpPolicy", env, n_steps=6, batch_size=24, seed=0)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=8)
    assert 0.2 <= mean <= 0.8
    with pytest.warns(UserWarning, match="already wrapped"):  # it gives the statistics itself
        VecMonitor(env)


def test_pictures_are_tiled() -> None:
    env = SB3VecEnv(ConstructVectorEnv(2, task=synthetic_task(), autoreset_mode="disabled", render_mode="rgb_array"))
    env.reset()
    frame = env.render()
    assert frame is not None and frame.ndim == 3


def test_an_environment_that_begins_by_itself_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="disabled"):
        SB3VecEnv(ConstructVectorEnv(2, task=synthetic_task()))


def test_the_callback_logs_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    task = synthetic_task(budget=100.0)
    model = A2C("MlpPolicy", make_sb3_env(task, 2), n_steps=6, seed=0)
    model.learn(600, callback=StopAtBudget(verbose=1))
    logged = model.logger.name_to_value
    assert task.incumbent is not None and logged["nas/best_valid"] == task.incumbent.accuracy
    assert logged["nas/simulated_seconds"] == 100.0 and logged["nas/evaluations"] == 10
    assert "budget is spent" in capsys.readouterr().out


def test_the_callback_waits_for_all_of_several_tasks() -> None:
    tasks = [synthetic_task(budget=budget) for budget in (30.0, 90.0)]
    env = DummyVecEnv([lambda task=task: gymnasium.make("nasgym/NB201-v0", task=task) for task in tasks])  # type: ignore[misc]
    A2C("MlpPolicy", env, n_steps=6, seed=0).learn(600, callback=StopAtBudget())
    assert [task.evaluations for task in tasks] == [3, 9]
