"""What the open points of the published protocols change: the budget's edge, and the learning rate of REINFORCE.

    python benchmarks/protocol_edge.py

Needs the published results of CIFAR-10 and CIFAR-100 in the store (docs/reproducing.md imports them). Prints the tables
of docs/reproducing.md: 500 runs each, means over runs in percent.
"""

from __future__ import annotations

import argparse

import numpy as np

from nasgym.agents import Agent, agent_class, get_agent
from nasgym.study.records import RunSet
from nasgym.study.scoring import NOTHING, ScoreTable, incumbents, score_tables, take
from nasgym.task import Task, make_task

AGENTS = ("random_search", "regularized_evolution", "reinforce")
RATES = (0.01, 0.05)
TASK = "nb201/cifar10"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    seeds = range(parser.parse_args().runs)
    nats = make_task(TASK, protocol="nats-tss", on_missing="error")
    print("| nats-tss | has ended by the budget | counted although it ended later | interpolated between the two |")
    print("|---|---|---|---|")
    for name in AGENTS:
        figures = readings(runs_of(nats, get_agent(name), seeds), score_tables(nats)[0], nats.budget)
        print(f"| {name} | {' | '.join(f'{100 * figure:.3f}' for figure in figures)} |")
    print("\n| reinforce, learning rate | protocol | scores |\n|---|---|---|")
    for protocol in ("nasbench201-2020", "nats-tss"):
        task = make_task(TASK, protocol=protocol, on_missing="error")
        for rate in RATES:
            runs = runs_of(task, agent_class("reinforce")(learning_rate=rate), seeds)  # type: ignore[call-arg]
            print(f"| {rate} | {protocol} | {', '.join(scores(runs, task))} |")


def runs_of(task: Task, agent: Agent, seeds: range) -> RunSet:
    """Return the runs of an agent, as a study makes them."""
    done = []
    for seed in seeds:
        task.restart(seed)
        agent.search(task, seed)
        done.append((seed, task.trajectory.arrays()))
    return RunSet.of(task.name, type(agent).__name__, done)


def readings(runs: RunSet, table: ScoreTable, budget: float) -> tuple[float, float, float]:
    """Return the mean score of the answers in time, of those that count the late evaluation, and of those between.

    Between: linearly in simulated time, from the answer at the last result before the budget to that at the first
    result after it, as NATS-Bench draws its curves.
    """
    in_time, late = (answers(runs, table, end) for end in (budget, np.inf))
    part = []
    for _, trajectory in runs:
        ends = np.sort(trajectory.finished)
        before, after = ends[ends <= budget], ends[ends > budget]
        part.append((budget - before[-1]) / (after[0] - before[-1]) if len(after) else 0.0)
    between = in_time + np.array(part) * (late - in_time)
    return float(in_time.mean()), float(late.mean()), float(between.mean())


def answers(runs: RunSet, table: ScoreTable, end: float) -> np.ndarray:
    """Return the score of what each run answers at a simulated time, ``float64[runs]``."""
    rows = incumbents(runs, np.array([end]))[:, 0]
    return table.of(take(runs.evaluations.indices, rows, NOTHING))


def scores(runs: RunSet, task: Task) -> list[str]:
    """Return the known scores of a protocol in words, in percent."""
    means = {table.score.name: answers(runs, table, task.budget).mean() for table in score_tables(task)}
    return [f"{name} {100 * mean:.2f}" for name, mean in means.items() if not np.isnan(mean)]


if __name__ == "__main__":
    main()
