"""Weight-sharing agents: what each finds, where that stands in the table, and how many skips it has by epoch.

    python benchmarks/weight_sharing.py --seeds 3
    python benchmarks/weight_sharing.py --task nb201/cifar10 --recipe nb201-200 --store STORE --epochs 10 --agents gdas
    python benchmarks/weight_sharing.py --task nb201/imagefolder:PATH --table nb201/cifar10 --store STORE --epochs 10

The first line searches the embedded table with the schedules for small images and prints the tables of
docs/agents-weight-sharing.md. The others take the published settings, cut to ``--epochs``; the third trains on a folder
of images and looks the cells up in another table, which STORE holds. Nothing but super-networks is trained.

Charged seconds are operations at the rate of one processor core, also on a GPU; there the measured seconds are those of
the last column, since processor seconds leave the GPU's time out.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from nasgym.agents import get_agent
from nasgym.agents._sharing import WeightSharing
from nasgym.task import Task, make_task
from nasgym.training.devices import resolve_device
from nasgym.training.sharing import SharingReport

AGENTS = "rsps,darts_v1,darts_v2,gdas,setn,enas"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="nb201/cluttered-digits")
    parser.add_argument("--table", help="the task whose table knows the cells; --task if not given")
    parser.add_argument("--recipe", help="of that table, such as nb201-200; the data set's default if not given")
    parser.add_argument("--store", help="where the results are; the user's store if not given")
    parser.add_argument("--agents", default=AGENTS, help="names, also with presets")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each agent")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="of each super-network; the agents' own if not given")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    task = make_task(given.task, store=given.store, on_missing="error", max_evaluations=1)
    known = make_task(given.table or given.task, recipe=given.recipe, store=given.store, on_missing="error")
    table = Scores(known)
    cuda = resolve_device(given.device).type == "cuda"
    wall = " wall s |" if cuda else ""
    print(f"| agent | seed | cell found | valid | test | rank | charged s | CPU s |{wall}")
    print(f"|---|---:|---|---:|---:|---:|---:|---:|{'---:|' if cuda else ''}")
    skips = {}
    for spec in given.agents.split(","):
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            agent = get_agent(spec, epochs=given.epochs, device=given.device, clock="operations")
            assert isinstance(agent, WeightSharing), f"{spec} trains no super-network"
            began = time.perf_counter()
            line, skips[spec, seed] = search(task, table, agent, spec, seed)
            print(f"{line} {time.perf_counter() - began:.0f} |" if cuda else line, flush=True)
    print("\n| agent | seed | share of skips among the favourites, epoch by epoch |\n|---|---:|---|")
    for (spec, seed), shares in skips.items():
        if shares:
            print(f"| `{spec}` | {seed} | {' '.join(f'{share:.2f}' for share in shares)} |")


class Scores:
    """What a table knows of every architecture, as means over seeds."""

    def __init__(self, task: Task) -> None:
        view = task.benchmark.view(("valid_accuracy", "test_accuracy"), None)
        self.valid, self.test = (100 * view.means(name) for name in ("valid_accuracy", "test_accuracy"))

    def row(self, index: int) -> str:
        """Return validation and test accuracy in percent, and the rank by validation accuracy."""
        rank = 1 + int((self.valid > self.valid[index]).sum())
        known = int((~np.isnan(self.valid)).sum())
        test = "" if np.isnan(self.test[index]) else f"{self.test[index]:.2f}"
        return f"{self.valid[index]:.2f} | {test} | {rank} of {known}"


def search(task: Task, table: Scores, agent: WeightSharing, spec: str, seed: int) -> tuple[str, list[float]]:
    """Return the row of one search, and the share of skips by epoch where the agent has a favourite."""
    task.restart(seed)
    shares: list[float] = []

    def note(report: SharingReport) -> None:
        if report.genotype:
            names = [task.space.choice_labels(edge)[choice] for edge, choice in enumerate(report.genotype)]
            shares.append(names.count("skip_connect") / len(names))

    began = time.process_time()
    found = agent.find(task, seed, note)
    seconds = time.process_time() - began
    cell = task.space.to_str(found[None])[0].replace("|", "\\|")
    figures = table.row(int(task.space.index(found[None])[0]))
    return f"| `{spec}` | {seed} | `{cell}` | {figures} | {task.seconds:.0f} | {seconds:.0f} |", shares


if __name__ == "__main__":
    main()
