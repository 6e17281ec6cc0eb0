"""Speed of environments and look-ups, beside Gymnasium's own CartPole in the same run.

    python benchmarks/env_speed.py [--rounds 15] [--seconds 0.1] [--cpu]

A round measures all rows one after the other, so that a change in the machine's load meets them alike; a row shows the
median over rounds, and the ratio to CartPole is the median of the ratios within rounds. Actions are drawn before the
clock starts. Steps are environment steps; calls that only reset take time, but are not counted. ``--cpu`` counts the
processor's seconds of this process instead of wall-clock seconds: for a machine that is shared. "hold" is what the
project promises itself, and whether this run kept it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from nasgym.envs.rows import RowPool, row_objects
from nasgym.store import Store
from nasgym.task import Task, make_task
from nasgym.testing import fill_synthetic

Clock = Callable[[], float]
Run = Callable[[], int]
"""Does some steps and returns how many."""
HOLD = {"NB201-v0": 3.0}
HOLD_BATCHED = {
    1_024: {"NB201-v0, SAME_STEP": 3.0, "NB201-v0, DISABLED": 8.0},
    16_384: {"NB201-v0, SAME_STEP": 2.0, "NB201-v0, DISABLED": 8.0},
}
"""At least so many times CartPole."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each row in each round")
    parser.add_argument("--cpu", action="store_true")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu else time.perf_counter
    print(
        hardware(), f"{arguments.rounds} rounds of {arguments.seconds} s,", "CPU" if arguments.cpu else "wall", "time"
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        fill_synthetic(store, seeds=(0, 1, 2))
        print("\n| | measured | hold |\n|---|---:|---|")
        importing(arguments.cpu)
        opening(store, arguments.cpu)
        evaluation(store, clock)
        parts(store, clock)
        single = {
            "CartPole-v1": stepping(gymnasium.make("CartPole-v1")),
            "NB201-v0": stepping(make(store, "nasgym/NB201-v0")),
            "NB201-Edit-v0": stepping(make(store, "nasgym/NB201-Edit-v0")),
        }
        table("gymnasium.make", single, HOLD, arguments.rounds, arguments.seconds, clock)
        for width, hold in HOLD_BATCHED.items():
            rows = batches(store, width)
            table(f"gymnasium.make_vec, {width:,}", rows, hold, arguments.rounds, arguments.seconds, clock)


def hardware() -> str:
    """Name the processor and the versions."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        model = next(
            (line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), model
        )
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, gymnasium {gymnasium.__version__}"
    return f"{model}, {os.cpu_count()} cores{load}; {versions}; one thread;"


def line(name: str, measured: float, unit: str, below: float | None = None) -> None:
    """Print a row: what was measured, and the bound that it is to stay below."""
    digits = 2 if measured < 1 else 1 if measured < 100 else 0
    hold = "" if below is None else f"below {below:g}: {'held' if measured < below else '**missed**'}"
    print(f"| {name} | {measured:.{digits}f} {unit} | {hold} |", flush=True)


def importing(cpu: bool) -> None:
    """Print what importing costs, in fresh processes where numpy is imported before."""
    clock = "process_time" if cpu else "perf_counter"
    gymnasium_alone, ours, torch = fresh(
        f"import sys, numpy; from time import {clock} as clock; began = clock(); import gymnasium; between = clock(); "
        "import nasgym; print(between - began, clock() - between, int('torch' in sys.modules))"
    )
    line("`import gymnasium`", 1e3 * gymnasium_alone, "ms")
    line("`import nasgym` after it", 1e3 * ours, "ms", 100)
    print(f"| whether that imports torch | {'yes' if torch else 'no'} | no: {'**missed**' if torch else 'held'} |")


def opening(store: Store, cpu: bool) -> None:
    """Print what opening a full table costs with the first answer, and by how much the peak of memory grows."""
    clock = "process_time" if cpu else "perf_counter"
    seconds, grown = fresh(
        f"from time import {clock} as clock; from nasgym.task import make_task; {_PEAK}; "
        "before, began = peak(), clock(); "
        f"task = make_task(on_missing='error', store={str(store.path)!r}); "
        "task.evaluate(task.space.from_index([77])); print(clock() - began, peak() - before)"
    )
    line("open a table of 15,625 cells with three seeds, first evaluation", 1e3 * seconds, "ms", 50)
    line("memory that this takes (growth of the peak)", grown / 1e3, "MB", 100)


_PEAK = "peak = lambda: float(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) * 1.024"
"""Peak of resident memory in kilobytes; ``ru_maxrss`` would begin at that of the process which started this one."""


def fresh(program: str, times: int = 9) -> tuple[float, ...]:
    """Return the medians of the numbers that a program prints."""
    root = Path(__file__).resolve().parent.parent
    runs = []
    for _ in range(times):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True)
        runs.append([float(word) for word in done.stdout.split()])
    return tuple(statistics.median(column) for column in zip(*runs, strict=True))


def evaluation(store: Store, clock: Clock) -> None:
    """Print what one evaluation through a task costs."""
    task = task_of(store)
    cells = task.space.sample(np.random.default_rng(0), 2_000)
    indices = task.space.index(cells).tolist()
    ways: dict[str, Callable[[], Any]] = {
        "`Task.evaluate_index(index)`": lambda: [task.evaluate_index(i) for i in indices],
        "`Task.evaluate` of one row": lambda: [task.evaluate(cells[i : i + 1]) for i in range(len(cells))],
        "`Task.evaluate` of 2,000 rows, each": lambda: task.evaluate(cells),
    }
    for name, way in ways.items():
        line(name, median_of(way, 25, clock) / len(cells), "µs", 10)


def parts(store: Store, clock: Clock, width: int = 1_024) -> None:
    """Print where the time of 1,024 environments that build goes: microseconds per call, for all of them."""
    actions = np.random.default_rng(0).integers(0, 5, (24, width))
    every = {"reset_mask": np.ones(width, dtype=np.bool_)}
    for mode in (AutoresetMode.DISABLED, AutoresetMode.SAME_STEP):
        env = gymnasium.make_vec("nasgym/NB201-v0", num_envs=width, task=task_of(store), autoreset_mode=mode)
        env.reset(seed=0)
        took: list[list[float]] = [[] for _ in range(7)]
        for episode in range(2_000):
            for times, action in zip(took, actions[episode % 4 * 6 :][:6], strict=False):
                began = clock()
                env.step(action)
                times.append(clock() - began)
            if mode is AutoresetMode.DISABLED:
                began = clock()
                env.reset(options=every)
                took[6].append(clock() - began)
        steps = [1e6 * statistics.median(times) for times in took if times]
        if mode is AutoresetMode.DISABLED:
            line(f"{width:,} environments: a step that ends no episode", statistics.median(steps[:5]), "µs")
            line(f"{width:,} environments: `reset` of all", steps[6], "µs")
        line(f"{width:,} environments: the last step of an episode, {mode.name}", steps[5], "µs")
    observations, pool = env.reset()[0], RowPool()
    line(
        f"{width:,} last observations, rows handed out again",
        median_of(lambda: pool.hand_out(observations), 2_000, clock),
        "µs",
    )
    line(
        f"{width:,} last observations, rows made anew", median_of(lambda: row_objects(observations), 2_000, clock), "µs"
    )


def median_of(way: Callable[[], Any], times: int, clock: Clock) -> float:
    """Return the median microseconds of a call."""
    took = []
    for _ in range(times):
        began = clock()
        way()
        took.append(clock() - began)
    return 1e6 * statistics.median(took)


def task_of(store: Store) -> Task:
    """Return a task without a budget that keeps no trajectory, as an environment's own."""
    return make_task(on_missing="error", store=store, record=False)


def make(store: Store, env_id: str) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(env_id, store=store, on_missing="error")


def stepping(env: gymnasium.Env[Any, Any]) -> Run:
    """Return a function that does 600 steps with actions drawn before."""
    actions = np.random.default_rng(0).integers(0, env.action_space.n, 600).tolist()  # type: ignore[attr-defined]
    env.reset(seed=0)

    def run() -> int:
        step, reset = env.step, env.reset
        for action in actions:
            _, _, terminated, truncated, _ = step(action)
            if terminated or truncated:
                reset()
        return len(actions)

    return run


def batches(store: Store, width: int) -> dict[str, Run]:
    """Return the rows of one width."""
    rows = {"CartPole-v1": batch(gymnasium.make_vec("CartPole-v1", num_envs=width))}
    for mode in AutoresetMode:
        env = gymnasium.make_vec("nasgym/NB201-v0", num_envs=width, task=task_of(store), autoreset_mode=mode)
        rows[f"NB201-v0, {mode.name}"] = batch(env)
    env = gymnasium.make_vec("nasgym/NB201-Edit-v0", num_envs=width, task=task_of(store))
    rows["NB201-Edit-v0, SAME_STEP"] = batch(env)
    return rows


def batch(env: gymnasium.vector.VectorEnv[Any, Any, Any]) -> Run:
    """Return a function that does 24 steps of a batch; CartPole's resting steps count for it, for they are few."""
    rng = np.random.default_rng(0)
    actions = [rng.integers(0, env.single_action_space.n, env.num_envs) for _ in range(24)]  # type: ignore[attr-defined]
    mode = env.metadata["autoreset_mode"]
    every = {"reset_mask": np.ones(env.num_envs, dtype=np.bool_)}
    resting = mode is AutoresetMode.NEXT_STEP and hasattr(env, "moves")
    env.reset(seed=0)

    def run() -> int:
        steps = 0
        for action in actions:
            result = env.step(action)
            steps += 1
            if result[2][0]:
                if mode is AutoresetMode.DISABLED:
                    env.reset(options=every)
                elif resting:
                    env.step(action)
        return steps * env.num_envs

    return run


def table(
    title: str, rows: dict[str, Run], hold: Mapping[str, float], rounds: int, seconds: float, clock: Clock
) -> None:
    """Print a row per environment: the median rate, its range and its ratio to the first row."""
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for run in rows.values():
        run()
    for _ in range(rounds):
        for name, run in rows.items():
            steps, began = 0, clock()
            while clock() - began < seconds:
                steps += run()
            rates[name].append(steps / (clock() - began))
    print(f"\n| {title} | steps per second | range | times CartPole-v1 | hold |\n|---|---:|---:|---:|---|")
    peer = next(iter(rates.values()))
    for name, found in rates.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(found, peer, strict=True))
        promised = f"{hold[name]:g}: {'held' if ratio >= hold[name] else '**missed**'}" if name in hold else ""
        spread = f"{min(found):,.0f} to {max(found):,.0f}"
        print(f"| {name} | {statistics.median(found):,.0f} | {spread} | {ratio:.2f} | {promised} |")


if __name__ == "__main__":
    main()
