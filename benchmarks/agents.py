"""Processor seconds of a published study: 500 runs with 20,000 simulated seconds each, beside a bare loop.

    python benchmarks/agents.py

The table is made up (15,625 cells, about 112 seconds each), so that nothing has to be imported; what a run costs does
not depend on the numbers. The bare loop is regularized evolution on a dictionary, without task, clock or space. Of the
agents over stable-baselines3 one run of 12,000 simulated seconds is timed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from nasgym.agents import get_agent
from nasgym.spaces import get_space
from nasgym.testing import made_up_accuracies, synthetic_task

AGENTS = ("random_search", "regularized_evolution", "reinforce", "local_search")
LEARNING = ("ppo", "maskable_ppo", "a2c", "dqn")
SECONDS, BUDGET, LEARNING_BUDGET = 112.0, 20_000.0, 12_000.0
NODES = ((0,), (1, 2), (3, 4, 5))  # the edges that enter each node


def main() -> None:
    """Print the seconds of the studies and their ratio to the bare loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    bare = median_seconds(bare_loop(arguments.runs), arguments.repeats)
    print(f"| | seconds for {arguments.runs} runs | times the bare loop |\n|---|---:|---:|")
    print(f"| bare loop | {bare:.2f} | 1.0 |", flush=True)
    for name in AGENTS:
        seconds = median_seconds(study(name, arguments.runs), arguments.repeats)
        print(f"| `{name}` | {seconds:.2f} | {seconds / bare:.1f} |", flush=True)
    print("\n| | seconds for one run |\n|---|---:|")
    for name in LEARNING:
        seconds = median_seconds(study(name, 1, LEARNING_BUDGET), arguments.repeats)
        print(f"| `{name}` | {seconds:.2f} |", flush=True)


def study(name: str, runs: int, budget: float = BUDGET) -> Callable[[], None]:
    """Return a function that does all runs of one agent."""
    task = synthetic_task(seconds=SECONDS, budget=budget, protocol="nats-tss")
    agent = get_agent(name)

    def work() -> None:
        for seed in range(runs):
            task.restart(seed)
            agent.search(task, seed)

    return work


def bare_loop(runs: int) -> Callable[[], None]:
    """Return a function that does regularized evolution as one would write it down for this table alone."""
    space = get_space("nb201")
    genotypes = space.from_index(np.arange(space.size))
    accuracies = made_up_accuracies(space, genotypes).tolist()
    table = dict(zip(map(tuple, genotypes.tolist()), accuracies, strict=True))

    def work() -> None:
        for seed in range(runs):
            evolve(table, random.Random(seed))

    return work


def evolve(table: dict[tuple[int, ...], float], rng: random.Random) -> float:
    """Spend one budget; return the best accuracy."""
    spent, best = 0.0, 0.0
    alive: deque[tuple[float, tuple[int, ...]]] = deque(maxlen=10)
    while spent < BUDGET:
        if len(alive) < 10:
            cell = tuple(rng.randrange(5) for _ in range(6))
        else:
            parent = max((rng.choice(alive) for _ in range(3)), key=lambda member: member[0])[1]
            edge = rng.choice(rng.choice(NODES))
            cell = (*parent[:edge], (parent[edge] + rng.randrange(1, 5)) % 5, *parent[edge + 1 :])
        accuracy = table[cell]
        alive.append((accuracy, cell))
        spent, best = spent + SECONDS, max(best, accuracy)
    return best


def median_seconds(work: Callable[[], None], repeats: int) -> float:
    """Return the median processor time of ``work`` after one warm-up call."""
    times = []
    for _ in range(repeats + 1):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
