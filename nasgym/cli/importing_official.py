"""`nasgym import nats-tss`, `nats-sss` and `nas-bench-201`: the official files into the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nasgym.cli import show
from nasgym.cli.options import StorePath
from nasgym.errors import InvalidSetting

__all__ = ["nas_bench_201", "nats_sss", "nats_tss"]

_OnConflict = Annotated[
    str,
    typer.Option(
        metavar="error|keep|replace",
        help="What happens where the store holds different results for the same training.",
    ),
]
_Workers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Processes that read beside this one.  [default: one per CPU core, at most 4]"),
]


def nats_tss(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder -simple or -full, or a .pickle.pbz2.")],
    on_conflict: _OnConflict = "error",
    workers: _Workers = None,
    store: StorePath = None,
) -> None:
    """Import NATS-Bench's topology space: four data sets, 12 and 200 epochs, every value as it is in the file.

    An import that was stopped goes on when the same command is given again. Weights are left out.

    \b
    Examples:
      nasgym import nats-tss NATS-tss-v1_0-3ffb9-simple
      nasgym import nats-tss NATS-tss-v1_0-3ffb9.pickle.pbz2
    """  # noqa: D301 - \b keeps the lines of an example apart
    _import(path, "nb201", on_conflict, workers, store)


def nats_sss(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder -simple or -full, or a .pickle.pbz2.")],
    on_conflict: _OnConflict = "error",
    workers: _Workers = None,
    store: StorePath = None,
) -> None:
    """Import NATS-Bench's size space: four data sets, 1, 12 and 90 epochs, every value as it is in the file.

    An import that was stopped goes on when the same command is given again. Weights are left out.

    \b
    Example:
      nasgym import nats-sss NATS-sss-v1_0-50262-simple
    """  # noqa: D301 - \b keeps the lines of an example apart
    _import(path, "nats-sss", on_conflict, workers, store)


def nas_bench_201(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth of version 1.0 or 1.1.")],
    on_conflict: _OnConflict = "error",
    workers: _Workers = None,
    store: StorePath = None,
) -> None:
    """Import NAS-Bench-201: four data sets, 12 and 200 epochs, every value as it is in the file, without torch.

    An import that was stopped goes on when the same command is given again.

    \b
    Example:
      nasgym import nas-bench-201 NAS-Bench-201-v1_1-096897.pth
    """  # noqa: D301 - \b keeps the lines of an example apart
    _import(path, "nb201", on_conflict, workers, store)


def _import(path: Path, space: str, on_conflict: str, workers: int | None, store: Path | None) -> None:
    """Import a file and show what each table received."""
    from nasgym.importers import import_official
    from nasgym.spaces import get_space
    from nasgym.store import Store

    if workers is not None and workers < 0:
        raise InvalidSetting(f"--workers is 0 or more; got {workers}.")
    opened = Store(store)
    with show.counter(f"importing {path.name}", get_space(space).size) as advance:
        report = import_official(
            opened, path, space=space, on_conflict=on_conflict,  # type: ignore[arg-type]  # checked there
            workers=min(os.cpu_count() or 1, 4) if workers is None else workers,
            progress=lambda done, size: advance(done, f"{done:,} of {size:,} architectures"),
        )  # fmt: skip
    if report.tables:
        rows = [
            [str(key), f"{table.rows:,}", f"{table.written:,}", ", ".join(map(str, table.seeds))]
            for key, table in report.tables.items()
        ]
        show.table(["table", "trials", "new", "seeds"], rows)
    there = f", {report.skipped:,} were there already" if report.skipped else ""
    typer.echo(f"{report.architectures:,} of {report.size:,} architectures imported into {opened.path}{there}.")
    for fault, trials in report.faults.items():
        typer.echo(f"known fault {fault!r} in {trials:,} trials, imported as they are: see docs/official-files.md.")
