"""Speed of the stable-baselines3 adapter, alone and under PPO, beside ``DummyVecEnv`` in the same run.

    python benchmarks/sb3_speed.py [--rounds 3]

All rows search the same made-up table. PPO learns with one epoch over minibatches of 3,072 (or one rollout, where that
is smaller); rollouts have 24 steps per environment. One thread. "hold" is what the project promises itself, and whether
this run kept it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import argparse
import statistics
import time
from collections.abc import Callable

import gymnasium
import numpy as np
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from nasgym.envs.sb3 import make_sb3_env
from nasgym.task import Task
from nasgym.testing import synthetic_task

WIDTHS = (8, 256, 1_024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    rows: dict[str, Callable[[], float]] = {"DummyVecEnv, 8": lambda: stepping(dummy(8))}
    rows |= {f"adapter, {n:,}": lambda n=n: stepping(make_sb3_env(task(), n)) for n in WIDTHS}  # type: ignore[misc]
    table("without learning", rows, rounds, lambda rate, ratio: hold("1 M steps/s", rate >= 1e6))
    rows = {"PPO on DummyVecEnv, 8": lambda: learning(PPO, dummy(8))}
    rows |= {f"PPO on the adapter, {n:,}": lambda n=n: learning(PPO, make_sb3_env(task(), n)) for n in WIDTHS}  # type: ignore[misc]
    rows["MaskablePPO on the adapter, 256"] = lambda: learning(MaskablePPO, make_sb3_env(task(), 256))
    table("learning", rows, rounds, lambda rate, ratio: hold("4 times", ratio >= 4))


def task() -> Task:
    """Return a task without a budget that keeps no trajectory, as an environment's own."""
    made = synthetic_task(budget=None)
    made.record = False
    return made


def dummy(width: int) -> VecEnv:
    shared = task()
    return DummyVecEnv([lambda: gymnasium.make("nasgym/NB201-v0", task=shared)] * width)


def stepping(env: VecEnv, seconds: float = 1.0) -> float:
    """Return environment steps per second with actions drawn before."""
    rng = np.random.default_rng(0)
    actions = [rng.integers(0, 5, env.num_envs) for _ in range(30)]
    env.reset()
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for action in actions:
            env.step(action)
        steps += len(actions) * env.num_envs
    return steps / (time.perf_counter() - began)


def learning(algorithm: type[PPO] | type[MaskablePPO], env: VecEnv, rollouts: int = 4) -> float:
    """Return environment steps per second from rollout to update."""
    rollout = 24 * env.num_envs
    model = algorithm("MlpPolicy", env, n_steps=24, batch_size=min(rollout, 3_072), n_epochs=1, seed=0)
    model.learn(rollout)  # the first one warms up
    began = time.perf_counter()
    model.learn(rollouts * rollout, reset_num_timesteps=False)
    return rollouts * rollout / (time.perf_counter() - began)


def hold(bound: str, kept: bool) -> str:
    return f"{bound}: {'held' if kept else '**missed**'}"


def table(title: str, rows: dict[str, Callable[[], float]], rounds: int, holds: Callable[[float, float], str]) -> None:
    """Print a row per way: the median rate and its ratio to the first row; what is held concerns the wide batches."""
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, measure in rows.items():
            rates[name].append(measure())
    peer = next(iter(rates.values()))
    print(f"\n| {title} | steps per second | times DummyVecEnv | hold |\n|---|---:|---:|---|")
    for name, found in rates.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(found, peer, strict=True))
        rate = statistics.median(found)
        print(f"| {name} | {rate:,.0f} | {ratio:.1f} | {'' if name.endswith(', 8') else holds(rate, ratio)} |")


if __name__ == "__main__":
    main()
