"""`nasgym compare`: agents on a task, many runs each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nasgym.cli import show
from nasgym.cli.options import Device, OnMissing, ShareEqual, StorePath, seed_policy, split_names
from nasgym.cli.study_options import (
    AgentNames,
    AgentSpecs,
    Budget,
    FirstSeed,
    Jobs,
    MaxEvaluations,
    OutFolder,
    ProtocolName,
    RecipeName,
    Runs,
    RunsOf,
    Seeds,
    Settings,
    TaskNames,
    Workers,
)
from nasgym.errors import InvalidSetting
from nasgym.task.making import DEFAULT_TASK

if TYPE_CHECKING:
    from nasgym.study import Report, StudyDesign

__all__ = ["compare", "run_and_report"]


def compare(
    task: TaskNames = None,
    protocol: ProtocolName = "plain",
    budget: Budget = None,
    max_evaluations: MaxEvaluations = None,
    agents: AgentNames = "",
    agent: AgentSpecs = None,
    runs: Runs = 10,
    runs_of: RunsOf = None,
    settings: Settings = None,
    first_seed: FirstSeed = 0,
    recipe: RecipeName = None,
    seeds: Seeds = None,
    workers: Workers = 1,
    jobs: Jobs = None,
    on_missing: OnMissing = "train",
    share_equal: ShareEqual = None,
    device: Device = "auto",
    out: OutFolder = None,
    store: StorePath = None,
) -> None:
    """Compare agents under one simulated budget, and write records, a summary and a plot.

    A study that was interrupted goes on with the same command.

    \b
    Examples:
      nasgym compare --budget 100 --agents random_search,regularized_evolution --runs 4
      nasgym compare --task nb201/cifar10 --protocol nasbench201-2020 \\
          --agents random_search,regularized_evolution,reinforce --runs 500
      nasgym compare --task nb201/cifar10 --protocol nats-tss --agents random_search --agent my_file.py:MyAgent
      nasgym compare --agents random_search,gdas --budget 100 --runs-of gdas=3 --set gdas.epochs=10
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.study import StudyDesign, TaskSpec, parse_settings

    rules = TaskSpec(
        DEFAULT_TASK, protocol=protocol, recipe=recipe, seeds=seed_policy(seeds), budget=budget,
        max_evaluations=max_evaluations, workers=workers, share_equal=share_equal, device=device,
        on_missing=on_missing,  # type: ignore[arg-type]  # checked by the task
        store=None if store is None else str(store),
    )  # fmt: skip
    specs = tuple(replace(rules, name=name) for name in task or [DEFAULT_TASK])
    named = _named(agents, agent)
    changed = parse_settings(settings or (), named)
    design = StudyDesign(specs, named, runs, first_seed, _numbers(runs_of), changed)
    run_and_report(design, out, jobs)


def _numbers(given: list[str] | None) -> dict[str, int]:
    """Return how many runs which agents have."""
    found = {}
    for text in given or ():
        agent, _, number = text.rpartition("=")
        if not agent or not number.isdecimal():
            raise InvalidSetting(
                f"--runs-of takes an agent and a number of runs, such as random_search=3; got {text!r}."
            )
        found[agent] = int(number)
    return found


def _named(agents: str, more: list[str] | None) -> tuple[str, ...]:
    """Return all agents that were named; raises `InvalidSetting` where none was."""
    from nasgym.agents import agent_names

    named = (*split_names(agents), *(more or ()))
    if not named:
        raise InvalidSetting(
            f"name at least one agent: --agents A,B or --agent SPEC. Known: {', '.join(agent_names())}."
        )
    return named


def run_and_report(design: StudyDesign, out: Path | None, jobs: int | None) -> None:
    """Run a study with progress on stderr, write its files and print its tables; exit code 1 where a run failed."""
    from nasgym.executors import cores, executor_for
    from nasgym.study import analyse, run_study, write_report

    folder = out or _default_folder(design)
    executor = executor_for(cores() if jobs is None else jobs)
    with show.stopping(lambda: "finished runs are kept"):
        show.status(f"{design.total_runs} runs into {folder}")
        with show.study_progress("searching") as on_progress:
            study = run_study(design, folder, executor=executor, on_progress=on_progress)
        if study.resumed:
            show.status(f"{study.resumed} of {design.total_runs} runs had been done before")
        report = analyse(study)
        write_report(report)
    print_report(report)
    if study.failures:
        _complain(report)
        raise typer.Exit(1)


def print_report(report: Report) -> None:
    """Print the tables of a study and where its files are."""
    from nasgym.study import published_note, published_rows, summary_rows, task_facts

    for task in report.tasks:
        typer.echo()
        typer.secho(task.spec.label, bold=True)
        for line in task_facts(task):
            typer.echo(f"  {line}")
        typer.echo()
        show.table(*summary_rows(task))
        heads, rows = published_rows(task)
        if rows:
            typer.echo()
            show.table(heads, rows, title=f"beside the published figures ({task.task.protocol.source})")
        if note := published_note(task):
            typer.echo(f"\n{note}")
    typer.echo()
    show.fact("plot", report.study.folder / "anytime.png")
    show.fact("records", report.study.folder)


def _complain(report: Report) -> None:
    failures = report.study.failures
    folder = report.study.folder / "failures"
    typer.secho(f"error: {len(failures)} of {report.study.design.total_runs} runs failed:", fg="red", err=True)
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for failure in failures:
        error = failure.error.splitlines()[0]
        kinds.setdefault((failure.agent, failure.task, error.partition(":")[0]), []).append(error)
    for (agent, task, _), errors in kinds.items():
        such = ", such as" if len(set(errors)) > 1 else ""
        typer.secho(f"  {agent} on {task}, {len(errors)} times{such}: {errors[0]}", fg="red", err=True)
    typer.secho(f"  tracebacks: {folder}. The same command tries these runs again.", fg="red", err=True)


def _default_folder(design: StudyDesign) -> Path:
    """Return a folder that the same study has every time, and no other study."""
    label = "".join(c if c.isalnum() or c in "-." else "-" for c in design.tasks[0].label)
    return Path("nasgym-studies") / f"{label[:60]}-{design.fingerprint}"
