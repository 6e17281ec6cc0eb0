"""`nasgym demo`: a short study on the embedded data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasgym.cli import show
from nasgym.cli.comparing import Jobs, run_and_report
from nasgym.cli.options import DEFAULT_TASK, StorePath

__all__ = ["demo"]

AGENTS = ("random_search", "local_search", "regularized_evolution:small")
RUNS = 2
BUDGET = 45.0  # simulated seconds: about seven trainings


def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the records go.")] = Path("nasgym-studies/demo"),
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
    spec = TaskSpec(DEFAULT_TASK, budget=BUDGET, store=None if store is None else str(store))
    run_and_report(StudyDesign((spec,), AGENTS, RUNS), out, jobs)
