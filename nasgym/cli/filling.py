"""`nasgym fill`: a whole table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasgym.cli import show
from nasgym.cli.architectures import fetch
from nasgym.cli.options import Device, StorePath, TaskName
from nasgym.errors import InvalidSetting, UnknownName
from nasgym.task.making import DEFAULT_TASK

if TYPE_CHECKING:
    from nasgym.training.fill import FillProgress, FillReport
    from nasgym.training.fill_results import FillResults

__all__ = ["fill"]

_SHOWN_FAILURES = 10


def fill(
    task: TaskName = DEFAULT_TASK,
    recipe: Annotated[str | None, typer.Option(help="The training recipe.  [default: the data set's]")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")] = 1,
    unique: Annotated[bool, typer.Option("--unique", help="Train one of equal networks, and record that.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many architectures.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, or bundles at once in a cluster.  [default: one per core; one on a GPU]"),
    ] = None,
    members: Annotated[int | None, typer.Option(min=1, help="Trainings per bundle.")] = None,
    executor: Annotated[str, typer.Option(metavar="local|ray", help="This machine, or a Ray cluster.")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The cluster.  [default: $RAY_ADDRESS, else one here]")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")] = False,
    device: Device = "auto",
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set first (cifar10, cifar100).")] = False,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="FILE", help="A file for the results, instead of the store.")
    ] = None,
    store: StorePath = None,
) -> None:
    """Train every missing cell of a table. May be stopped at any moment, and run several times at once on one store.

    \b
    Examples:
      nasgym fill --task nb201/cluttered-digits --seeds 3
      nasgym fill --unique --limit 100 --into results.nasgym
      nasgym fill --executor ray --ray-address 10.0.0.1:6379 --seeds 3
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.recipes import check_dataset, default_recipe, get_recipe
    from nasgym.spaces import get_space
    from nasgym.training.fill import cells_of
    from nasgym.training.fill import fill as fill_table

    name, slash, dataset = task.partition("/")
    if not slash:
        raise UnknownName("task", task, [DEFAULT_TASK], "A task is written space/dataset.")
    space = get_space(name)
    found = get_recipe(recipe or default_recipe(check_dataset(dataset), space.name))
    if download:
        fetch(dataset)
    cells = cells_of(space, range(seeds), unique=unique, limit=limit)
    results = _results(into, store)

    def kept() -> str:
        held = len(results.done().intersection(cells))  # asked there: a bundle may have landed with the interrupt
        return f"results of {held:,} of {len(cells):,} cells are kept, only the bundles under way are lost"

    with show.stopping(kept), show.counter(f"filling {task}", total=1.0) as advance:
        report = fill_table(
            *(space, dataset, found, cells, results),
            executor=executor,  # type: ignore[arg-type]  # checked there
            ray_address=ray_address,
            workers=workers,
            members=members,
            device=device,
            shares_equal=unique,
            retry_failed=retry_failed,
            on_progress=lambda progress: advance(_share(progress), _note(progress)),
        )
    _tell(report)


def _results(into: Path | None, store: Path | None) -> FillResults:
    from nasgym.store import open_store
    from nasgym.training.fill_results import FileResults, StoreResults

    if into is None:
        return StoreResults(open_store(store))
    if store is not None:
        raise InvalidSetting("results go into a store or into a file: give --store or --into, not both.")
    return FileResults(into)


def _share(progress: FillProgress) -> float:
    return (progress.done + progress.failed + progress.elsewhere) / max(progress.total, 1)


def _note(progress: FillProgress) -> str:
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    speed = f"{progress.present_speed:.2f} cells/s (mean {progress.cells_per_second:.2f})"
    return f"{progress.done:,} of {progress.total:,}{failed}, {speed}{_time_left(progress.seconds_left)}"


def _time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f", {seconds:.0f} s left"
    return f", {seconds / 3600:.1f} h left" if seconds >= 3600 else f", {seconds / 60:.0f} min left"


def _tell(report: FillReport) -> None:
    """Print what was done; exit code 1 where something failed."""
    show.fact("cells wanted", f"{report.wanted:,}")
    show.fact("there already", f"{report.present:,}")
    show.fact("trained now", f"{report.trained:,} in {report.seconds:.0f} s")
    if report.elsewhere:
        show.fact("left to another filling", f"{report.elsewhere:,}")
    for failure in report.failures[:_SHOWN_FAILURES]:
        where = f"architecture {failure.cell.index}, seed {failure.cell.seed}"
        typer.secho(f"error: {where} failed: {failure.reason}", fg="red", err=True)
    if report.failures:
        typer.secho(
            f"error: {len(report.failures):,} cells failed; --retry-failed tries them again.", fg="red", err=True
        )
        raise typer.Exit(1)
