"""Multi-fidelity and model-based agents on real results, beside the published figures.

    python benchmarks/agents_reference.py --store STORE
    python benchmarks/agents_reference.py --store STORE --protocol nasbench201-2020-lengths --agents hyperband,bohb
    python benchmarks/agents_reference.py --task nb201/cluttered-digits --protocol plain --budget 2000

The first line searches NAS-Bench-201 on CIFAR-10 under the rules of 2020 (docs/reproducing.md imports the results into
STORE); its table knows whole trainings only, so agents that need shorter ones say so there. The second joins it with
the table of 200 epochs: trainings of 12 and of 200 epochs, each charged as a whole. The third searches the embedded
table. Prints a row of the tables in docs/agents-multi-fidelity.md and docs/agents-model-based.md as each agent ends:
mean and standard deviation over runs, in percent.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from nasgym.agents import get_agent
from nasgym.errors import MissingResult
from nasgym.study.scoring import ScoreTable, score_tables
from nasgym.task import Task, make_task

AGENTS = (
    "random_search",
    "regularized_evolution",
    "bohb",
    "bohb:nb201-2020",
    "successive_halving",
    "hyperband",
    "asha",
    "bananas",
    "predictor_evolution",
    "tpe",
    "tpe:nb101",
    "smac",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="nb201/cifar10")
    parser.add_argument("--protocol", default="nasbench201-2020")
    parser.add_argument("--budget", type=float, help="simulated seconds; the protocol's where it has one")
    parser.add_argument("--store", help="where the results are; the user's store if not given")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--agents", default=",".join(AGENTS))
    given = parser.parse_args()
    task = make_task(given.task, protocol=given.protocol, budget=given.budget, store=given.store, on_missing="error")
    table = score_tables(task)[0]
    print(f"| agent | runs | evaluations | {table.score.name} | published | CPU seconds per run |")
    print("|---|---:|---:|---|---|---:|")
    for spec in given.agents.split(","):
        print(row(task, table, spec, given.runs), flush=True)


def row(task: Task, table: ScoreTable, spec: str, runs: int) -> str:
    """Return the row of one agent."""
    found, evaluations, began = [], [], time.process_time()
    agent = get_agent(spec)
    try:
        for seed in range(runs):
            task.restart(seed)
            agent.search(task, seed)
            if task.incumbent is not None:
                found.append(task.incumbent.index)
            evaluations.append(task.evaluations)
    except MissingResult as error:
        return f"| `{spec}` | | | not known: {str(error).split('. ')[0]} | {published(task, table, spec)} | |"
    scores = 100 * table.of(np.array(found, dtype=np.int64))
    seconds = (time.process_time() - began) / runs
    figures = f"{np.mean(evaluations):.1f} | {scores.mean():.2f} ± {scores.std(ddof=1):.2f}"
    return f"| `{spec}` | {len(found)} | {figures} | {published(task, table, spec)} | {seconds:.3f} |"


def published(task: Task, table: ScoreTable, spec: str) -> str:
    """Return the published figure of an agent, empty where there is none."""
    for figure in task.protocol.published:
        same = (figure.dataset, figure.agent, figure.score)
        if same == (task.benchmark.key.dataset, spec, table.score.name):
            return f"{100 * figure.mean:.2f} ± {100 * figure.std:.2f}"
    return ""


if __name__ == "__main__":
    main()
