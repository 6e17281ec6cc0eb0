"""Speed of environments and look-ups, beside Gymnasium's own CartPole in the same run.

    python benchmarks/env_speed.py [--rounds 15] [--seconds 0.1] [--cpu]

A round measures all rows one after the other, so that a change in the machine's load meets them alike; a row shows the
median over rounds, and the ratio to CartPole is the median of the ratios within rounds. Actions are drawn before the
clock starts. Steps are environment steps; calls that only reset take time, but are not counted. ``--cpu`` counts the
processor's seconds of this process instead of wall-clock seconds: for a machine that is shared.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from nasgym.store import Store
from nasgym.task import Task, make_task
from nasgym.testing import fill_synthetic

Clock = Callable[[], float]
Run = Callable[[], int]
"""Does some steps and returns how many."""
WIDTHS = (1_024, 16_384)


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
        opening(store)
        evaluation(store, clock)
        single = {
            "CartPole-v1": stepping(gymnasium.make("CartPole-v1")),
            "NB201-v0": stepping(make(store, "nasgym/NB201-v0")),
            "NB201-Edit-v0": stepping(make(store, "nasgym/NB201-Edit-v0")),
        }
        table("gymnasium.make", single, arguments.rounds, arguments.seconds, clock)
        for width in WIDTHS:
            table(f"gymnasium.make_vec, {width:,}", batches(store, width), arguments.rounds, arguments.seconds, clock)


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


def opening(store: Store) -> None:
    """Print what importing costs, and opening a full table with the first answer, in fresh processes."""
    numpy_too = "import time, numpy; t = time.perf_counter(); "
    tail = "; print(time.perf_counter() - t)"
    alone = fresh(numpy_too + "import gymnasium" + tail)
    ours = fresh(numpy_too + "import nasgym, gymnasium" + tail)
    query = fresh(
        "import time; from nasgym.task import make_task; t = time.perf_counter(); "
        f"task = make_task(on_missing='error', store={str(store.path)!r}); "
        "task.evaluate(task.space.from_index([77]))" + tail
    )
    print(f"\nimport gymnasium {1e3 * alone:.0f} ms, import nasgym {1e3 * ours:.0f} ms (numpy was imported before)")
    print(f"open a table of 15,625 cells with three seeds, first evaluation: {1e3 * query:.1f} ms")


def fresh(program: str, times: int = 5) -> float:
    """Return the median of what a program prints."""
    root = Path(__file__).resolve().parent.parent
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root) for _ in range(times)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def evaluation(store: Store, clock: Clock) -> None:
    """Print what one evaluation through a task costs."""
    task = task_of(store)
    cells = task.space.sample(np.random.default_rng(0), 2_000)
    indices = task.space.index(cells).tolist()
    ways: dict[str, Callable[[], Any]] = {
        "Task.evaluate_index(index)": lambda: [task.evaluate_index(i) for i in indices],
        "Task.evaluate(one row)": lambda: [task.evaluate(cells[i : i + 1]) for i in range(len(cells))],
        "Task.evaluate(2,000 rows), each": lambda: task.evaluate(cells),
    }
    for name, way in ways.items():
        took = []
        for _ in range(9):
            began = clock()
            way()
            took.append((clock() - began) / len(cells))
        print(f"{name:34s}{1e6 * statistics.median(took):8.2f} microseconds")


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


def table(title: str, rows: dict[str, Run], rounds: int, seconds: float, clock: Clock) -> None:
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
    print(f"\n| {title} | steps per second | range | times CartPole-v1 |\n|---|---:|---:|---:|")
    peer = next(iter(rates.values()))
    for name, found in rates.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(found, peer, strict=True))
        print(f"| {name} | {statistics.median(found):,.0f} | {min(found):,.0f} to {max(found):,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
