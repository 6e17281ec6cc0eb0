"""Every registered id keeps the rules: Gymnasium's, stable-baselines3's and ours. Later ids join by themselves."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import nasgym
from nasgym.envs import register_envs
from nasgym.spaces import get_space
from nasgym.testing import check_env, synthetic_task

IDS = sorted(env_id for env_id, spec in gymnasium.registry.items() if spec.namespace == "nasgym")
EVERY = pytest.mark.parametrize("env_id", IDS)
pytestmark = pytest.mark.usefixtures("filled")

_STORED = 40_000  # larger spaces are answered from memory: filling a store with them takes minutes


def options_for(env_id: str) -> dict[str, Any]:
    space = gymnasium.spec(env_id).kwargs["space"]
    options: dict[str, Any] = {"on_missing": "error"}
    if space != "nb201":
        assert get_space(space).size >= 1
        options["store"] = synthetic_task(space).benchmark.store
    return options


def make(env_id: str, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(env_id, **options_for(env_id), **kwargs)


def make_vec(env_id: str, num_envs: int = 4, **kwargs: Any) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    return gymnasium.make_vec(env_id, num_envs=num_envs, **options_for(env_id), **kwargs)


def test_the_ids_are_registered_once() -> None:
    assert {"nasgym/NB201-v0", "nasgym/NB201-Edit-v0"} <= set(IDS)
    before = dict(gymnasium.registry)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_envs()
    assert gymnasium.registry == before
    gymnasium.register_envs(nasgym)  # the spelling of Gymnasium's manual


@EVERY
def test_gymnasium_accepts_it_without_a_warning(env_id: str) -> None:
    gymnasium_check_env(make(env_id, illegal="repair").unwrapped)


@EVERY
def test_stable_baselines3_accepts_it_without_a_warning(env_id: str) -> None:
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    sb3_check_env(make(env_id, illegal="repair").unwrapped)


@EVERY
def test_it_keeps_our_own_rules(env_id: str) -> None:
    check_env(env_id)


@EVERY
def test_the_rules_hold_on_the_stored_table_too(env_id: str) -> None:
    check_env(make(env_id))


@EVERY
def test_spellings_and_the_spec_as_text(env_id: str) -> None:
    spec = gymnasium.spec(env_id)
    assert EnvSpec.from_json(spec.to_json()) == spec
    env = gymnasium.make(f"nasgym:{env_id}", **options_for(env_id))
    assert env.spec is not None and env.spec.id == env_id
    assert env.spec.max_episode_steps is None


@EVERY
def test_equal_seeds_give_equal_rollouts_and_other_seeds_other_draws(env_id: str) -> None:
    def rollout(seed: int) -> list[Any]:
        env = make(env_id, illegal="repair")
        env.action_space.seed(3)
        seen: list[Any] = [env.reset(seed=seed)[0].tolist()]
        for _ in range(40):
            observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            seen += [observation.tolist(), reward]
            if terminated or truncated:
                seen.append(env.reset()[0].tolist())
        return seen

    assert rollout(1) == rollout(1)
    if gymnasium.spec(env_id).kwargs["space"] == "nb201":  # two stored seeds, which the task's seed draws from
        assert rollout(1) != rollout(2)


@EVERY
def test_pickled_in_the_middle_it_goes_on_alike(env_id: str) -> None:
    env = make(env_id, illegal="repair")
    env.reset(seed=1)
    env.step(1)
    copy = pickle.loads(pickle.dumps(env))
    for action in (0, 1, 0):
        one, two = env.step(action), copy.step(action)
        assert one[0].tolist() == two[0].tolist() and one[1:4] == two[1:4]
    batched = make_vec(env_id, illegal="repair")
    batched.reset(seed=1)
    copied = pickle.loads(pickle.dumps(batched))
    assert np.array_equal(batched.step(np.zeros(4, int))[0], copied.step(np.zeros(4, int))[0])


@EVERY
def test_a_table_is_searched_without_importing_torch(env_id: str, filled: Path) -> None:
    space = gymnasium.spec(env_id).kwargs["space"]
    store = "" if space == "nb201" else f"store=synthetic_task({space!r}).benchmark.store,"
    program = f"""
import sys, gymnasium, nasgym
if {space!r} != "nb201":
    from nasgym.testing.tasks import synthetic_task
for make in (gymnasium.make, gymnasium.make_vec):
    env = make({env_id!r}, {store} illegal="repair", render_mode="ansi")
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(30):
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        if make is gymnasium.make and (terminated or truncated):
            env.reset()
    env.render()
    env.close()
loaded = [name for name in ("torch", "stable_baselines3", "sklearn", "matplotlib") if name in sys.modules]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=Path(nasgym.__file__).parent.parent)


@EVERY
@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_it_is_drawn(env_id: str, mode: str) -> None:
    env = make(env_id, render_mode=mode, illegal="repair")
    env.reset(seed=0)
    env.step(0)
    frame: Any = env.render()
    if mode == "ansi":
        assert "simulated" in frame and "▶" in frame
    else:
        assert frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3 and frame.std() > 0
    batched = make_vec(env_id, num_envs=2, render_mode=mode)
    batched.reset(seed=0)
    frames: Any = batched.render()
    assert len(frames) == 2 and type(frames[0]) is type(frame)
    for opened in (env, batched):
        opened.close()
        opened.close()


@EVERY
def test_without_a_mode_render_warns(env_id: str) -> None:
    env = make(env_id).unwrapped
    env.reset()
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


@EVERY
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_make_vec_gives_the_batched_environment_in_every_mode(env_id: str, mode: AutoresetMode) -> None:
    env = make_vec(env_id, autoreset_mode=mode, illegal="repair")
    assert not isinstance(env, SyncVectorEnv)
    assert env.metadata["autoreset_mode"] is mode
    observations, info = env.reset(seed=1)
    assert env.observation_space.contains(observations)
    assert env.single_observation_space.contains(observations[0])
    env.action_space.seed(1)
    for _ in range(30):
        observations, rewards, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(observations)
        assert rewards.dtype == np.float64 and np.isfinite(rewards).all()
        assert all(info[f"_{key}"].dtype == np.bool_ for key in info if not key.startswith("_"))
        done = terminated | truncated
        if mode is AutoresetMode.DISABLED and done.any():
            env.reset(options={"reset_mask": done})


@EVERY
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_gymnasiums_statistics_agree_with_the_rewards(env_id: str, mode: AutoresetMode) -> None:
    env = RecordEpisodeStatistics(make_vec(env_id, num_envs=3, autoreset_mode=mode, illegal="repair"))
    env.reset(seed=1)
    env.action_space.seed(1)
    total, length, episodes = np.zeros(3), np.zeros(3, int), 0
    resting = np.zeros(3, dtype=bool)
    while episodes < 9:
        _, rewards, terminated, truncated, info = env.step(env.action_space.sample())
        length += ~resting
        total += rewards
        done = terminated | truncated
        for i in np.flatnonzero(done):
            assert info["episode"]["r"][i] == pytest.approx(total[i]) and info["episode"]["l"][i] == length[i]
            total[i], length[i], episodes = 0.0, 0, episodes + 1
        resting = done if mode is AutoresetMode.NEXT_STEP else resting
        if mode is AutoresetMode.DISABLED and done.any():
            env.reset(options={"reset_mask": done})


@EVERY
def test_arrays_are_fresh_on_every_call(env_id: str) -> None:
    env = make_vec(env_id, illegal="repair")
    env.action_space.seed(1)
    kept: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []
    results: list[Any] = [env.reset(seed=1)]
    for _ in range(14):
        results.append(env.step(env.action_space.sample()))
        arrays = [part for part in results[-1][:-1]] + [
            v for v in results[-1][-1].values() if isinstance(v, np.ndarray)
        ]
        for array in arrays:
            assert not any(np.shares_memory(array, old) for old, _ in kept if old.dtype != object)
        kept += [(array, array.copy()) for array in arrays if array.dtype != object]
    for array, copy in kept:
        assert np.array_equal(array, copy, equal_nan=array.dtype.kind == "f"), (
            "an array was written to after it was returned"
        )


@EVERY
def test_max_episode_steps_truncates_as_gymnasiums_time_limit_does(env_id: str) -> None:
    single = make(env_id, illegal="repair", max_episode_steps=2)
    batched = make_vec(env_id, illegal="repair", max_episode_steps=2, autoreset_mode="disabled")
    for env in (single, batched):
        env.reset(seed=0)
        assert not np.any(env.step(np.zeros(4, int) if env is batched else 0)[3])
        assert np.all(env.step(np.zeros(4, int) if env is batched else 0)[3])
