"""`nasgym demo`: a short study on the embedded table."""

from __future__ import annotations

from nasgym.cli import show
from nasgym.cli.comparing import run_and_report
from nasgym.cli.options import StorePath
from nasgym.cli.study_options import Jobs, OutFolder
from nasgym.task.making import DEFAULT_TASK

__all__ = ["demo"]

AGENTS = ("random_search", "local_search", "regularized_evolution", "reinforce")
RUNS = 50
BUDGET = 300.0  # simulated seconds per run


def demo(
    out: OutFolder = None,
    jobs: Jobs = None,
    store: StorePath = None,
) -> None:
    """Compare a few agents on the embedded table: figures and a plot, in less than a minute, with nothing to train.

    \b
    Example:
      nasgym demo
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.study import StudyDesign, TaskSpec

    show.status(f"{len(AGENTS)} agents search a network for {DEFAULT_TASK}, {RUNS} times each.")
    spec = TaskSpec(DEFAULT_TASK, budget=BUDGET, seeds="random", store=None if store is None else str(store))
    run_and_report(StudyDesign((spec,), AGENTS, RUNS), out, jobs)
