"""`nasgym demo`: a short study on the embedded data set."""

from __future__ import annotations

from nasgym.cli import show
from nasgym.cli.comparing import run_and_report
from nasgym.cli.options import StorePath
from nasgym.cli.study_options import Jobs, OutFolder
from nasgym.task.making import DEFAULT_TASK

__all__ = ["demo"]

AGENTS = ("random_search", "local_search", "regularized_evolution:small")
RUNS = 3
BUDGET = 50.0  # simulated seconds per run: what a slow machine may spend
MAX_EVALUATIONS = 6  # what a quick one needs


def demo(
    out: OutFolder = None,
    jobs: Jobs = None,
    store: StorePath = None,
) -> None:
    """Compare a few agents on the embedded data set: a table, a plot, in a few minutes.

    What the store lacks is trained on this machine and kept, so that the second time is quick.

    \b
    Example:
      nasgym demo
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.study import StudyDesign, TaskSpec

    show.status(f"{len(AGENTS)} agents search a network for {DEFAULT_TASK}; what is not stored yet is trained now.")
    spec = TaskSpec(
        DEFAULT_TASK, budget=BUDGET, max_evaluations=MAX_EVALUATIONS, store=None if store is None else str(store)
    )
    run_and_report(StudyDesign((spec,), AGENTS, RUNS), out, jobs)
