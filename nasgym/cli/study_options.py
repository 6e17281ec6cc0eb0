"""The options of `nasgym compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from nasgym.task.making import DEFAULT_TASK

__all__ = [
    "AgentNames",
    "AgentSpecs",
    "Budget",
    "FirstSeed",
    "Jobs",
    "MaxEvaluations",
    "OutFolder",
    "ProtocolName",
    "RecipeName",
    "Runs",
    "RunsOf",
    "Seeds",
    "Settings",
    "TaskNames",
    "Workers",
]

TaskNames: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--task", metavar="SPACE/DATASET", help=f"What is searched; may be repeated.  [default: {DEFAULT_TASK}]"
    ),
]
ProtocolName: TypeAlias = Annotated[str, typer.Option(help="The rules; `nasgym tasks` lists them.")]
Budget: TypeAlias = Annotated[float | None, typer.Option(help="Simulated seconds per run.  [default: the protocol's]")]
MaxEvaluations: TypeAlias = Annotated[int | None, typer.Option(help="Evaluations per run.  [default: no limit]")]
AgentNames: TypeAlias = Annotated[
    str, typer.Option(metavar="A,B,...", help="Agents, with commas; `nasgym agents` lists them.")
]
AgentSpecs: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="SPEC", help="One more agent: a name, name:preset or my_file.py:MyAgent; may be repeated."),
]
Runs: TypeAlias = Annotated[int, typer.Option(help="Runs per agent.")]
RunsOf: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="AGENT=N", help="Another number of runs for one of the agents; may be repeated."),
]
FirstSeed: TypeAlias = Annotated[int, typer.Option(help="The seed of the first run.")]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="AGENT.SETTING=VALUE",
        help="A hyper-parameter of one of the agents, `gdas.epochs=10` (see `nasgym agents NAME`); may be repeated.",
    ),
]
RecipeName: TypeAlias = Annotated[
    str | None, typer.Option(help="The recipe to search.  [default: the protocol's, else the data set's]")
]
Seeds: TypeAlias = Annotated[
    str | None, typer.Option(metavar="mean|random|N", help="Which stored training answers.  [default: the protocol's]")
]
Workers: TypeAlias = Annotated[
    int, typer.Option(help="Simulated workers: how many evaluations run at once on the simulated clock.")
]
Jobs: TypeAlias = Annotated[
    int | None, typer.Option("--jobs", "-j", help="Processes of this machine.  [default: one per core]")
]
OutFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Where the records go.  [default: nasgym-studies/...]")
]
