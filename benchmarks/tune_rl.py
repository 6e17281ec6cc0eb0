"""Settings of the learning agents, one changed at a time, on real results: what `docs/agents.md` says about tuning.

    python benchmarks/tune_rl.py ppo --store STORE

STORE holds the published results of NAS-Bench-201 (`nasgym import csv`). Each row is the mean over runs of the final
validation accuracy of what a run settled on, in percent, with its standard error. The seeds are the same in all rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3 import PPO

from nasgym.agents import Agent, get_agent
from nasgym.envs.sb3 import StopAtBudget, make_sb3_env
from nasgym.study.scoring import ScoreTable, score_tables
from nasgym.task import Task, make_task

START: Mapping[str, dict[str, Any]] = {
    "ppo": {"trace": 1.0},
    "a2c": {"entropy": 0.0},
    "dqn": {"random_cells": 20},
}
"""Where tuning started; the defaults are what came of it."""
CHANGES: Mapping[str, tuple[dict[str, Any], ...]] = {
    "ppo": (
        {"parallel": 4},
        {"parallel": 6},
        {"parallel": 12},
        {"learning_rate": 3e-4},
        {"learning_rate": 1e-3},
        {"learning_rate": 5e-3},
        {"learning_rate": 1e-2},
        {"epochs": 5},
        {"epochs": 20},
        {"minibatches": 3},
        {"entropy": 0.01},
        {"entropy": 0.03},
        {"trace": 0.95},
        {"hidden": 8},
        {"hidden": 128},
        {"reward": "rank"},
        {"reward": "accuracy"},
    ),
    "a2c": (
        {"parallel": 2},
        {"parallel": 8},
        {"learning_rate": 7e-4},
        {"learning_rate": 1e-2},
        {"learning_rate": 3e-2},
        {"rmsprop": False},
        {"rmsprop": False, "learning_rate": 1e-2},
        {"rmsprop": False, "learning_rate": 3e-2},
        {"entropy": 0.03},
        {"hidden": 128},
        {"reward": "rank"},
        {"reward": "accuracy"},
    ),
    "dqn": (
        {"parallel": 1},
        {"parallel": 4},
        {"learning_rate": 1e-3},
        {"learning_rate": 1e-2},
        {"updates": 4},
        {"updates": 16},
        {"batch": 32},
        {"random_cells": 10},
        {"exploring_cells": 30},
        {"exploring_cells": 100},
    ),
}
RUNS = 24
PEERS = ("random_search", "regularized_evolution", "local_search", "reinforce")


def main() -> None:
    """Print one row per setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", choices=[*CHANGES, "peers"])
    parser.add_argument("--store", help="a store with the published results; default: the user's")
    parser.add_argument("--protocol", default="nasbench201-2020")
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    task = make_task("nb201/cifar10", protocol=arguments.protocol, store=arguments.store, on_missing="error")
    scores = [score for score in score_tables(task) if not np.isnan(score.best) and "valid" in score.score.name]
    print("| setting |", " | ".join(score.score.name for score in scores), "| evaluations | seconds per run |")
    print("|---|" + "---|" * (len(scores) + 2))
    if arguments.agent == "peers":
        for name in PEERS:
            print(row(get_agent(name), name, task, scores, arguments.runs), flush=True)
        return
    if arguments.agent == "ppo":
        print(row(LibraryPPO(), "the library's defaults", task, scores, arguments.runs), flush=True)
    print(row(get_agent(arguments.agent), "the defaults", task, scores, arguments.runs), flush=True)
    for changed in ({}, *CHANGES[arguments.agent]):
        label = ", ".join(f"{key}={value}" for key, value in changed.items()) or "start"
        agent = get_agent(arguments.agent, **(START[arguments.agent] | changed))
        print(row(agent, label, task, scores, arguments.runs), flush=True)


class LibraryPPO:
    """PPO exactly as stable-baselines3 sets it up: one environment, an update after 2,048 steps."""

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        env = make_sb3_env(task, 1, illegal="repair")
        PPO("MlpPolicy", env, device="cpu", seed=seed).learn(10**9, callback=StopAtBudget())


def row(agent: Agent | LibraryPPO, label: str, task: Task, scores: list[ScoreTable], runs: int) -> str:
    """Search ``runs`` times with the seeds 0, 1, ... and return the row of the table."""
    answers, evaluations, began = [], 0, time.perf_counter()
    for seed in range(runs):
        task.restart(seed)
        agent.search(task, seed)
        assert task.incumbent is not None
        answers.append(task.incumbent.index)
        evaluations += task.evaluations
    seconds = (time.perf_counter() - began) / runs
    final = [100 * score.of(np.array(answers)) for score in scores]
    cells = [f"{values.mean():.2f} ± {values.std(ddof=1) / np.sqrt(runs):.2f}" for values in final]
    return f"| {label} | {' | '.join(cells)} | {evaluations / runs:.0f} | {seconds:.2f} |"


if __name__ == "__main__":
    main()
