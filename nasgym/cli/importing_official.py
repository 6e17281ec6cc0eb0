"""`nasgym import nats-tss`, `nats-sss`, `nas-bench-201` and `nasbench101`: the official files into the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasgym.cli import show
from nasgym.cli.options import StorePath
from nasgym.errors import InvalidSetting

if TYPE_CHECKING:
    from nasgym.importers import ImportedTable
    from nasgym.store import TableKey

__all__ = ["nas_bench_201", "nasbench101", "nats_sss", "nats_tss"]

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


def nasbench101(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="nasbench_full.tfrecord or nasbench_only108.tfrecord.")],
    on_conflict: _OnConflict = "error",
    store: StorePath = None,
) -> None:
    """Import NAS-Bench-101: CIFAR-10, 4, 12, 36 and 108 epochs, every value as it is in the file, without TensorFlow.

    An import that was stopped goes on when the same command is given again: what is there is read and checked, not
    written.

    \b
    Example:
      nasgym import nasbench101 nasbench_full.tfrecord
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.importers import import_nasbench101
    from nasgym.store import Store

    opened = Store(store)
    size = path.stat().st_size if path.is_file() else 0
    with show.counter(f"importing {path.name}", size) as advance:
        report = import_nasbench101(
            opened, path, on_conflict=on_conflict,  # type: ignore[arg-type]  # checked there
            progress=lambda done, size: advance(done, f"{done / 1e6:,.0f} of {size / 1e6:,.0f} MB"),
        )  # fmt: skip
    _show_tables(report.tables)
    old = report.trainings - sum(table.written for table in report.tables.values())
    there = f"; {old:,} were there already, and were read and checked again" if old else ""
    share = f"{report.trainings:,} of {report.size:,} trainings of {report.cells:,} cells"
    typer.echo(f"{share} imported into {opened.path}{there}.")
    _show_faults(report.faults)


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
        _show_tables(report.tables)
    there = f", {report.skipped:,} were there already" if report.skipped else ""
    typer.echo(f"{report.architectures:,} of {report.size:,} architectures imported into {opened.path}{there}.")
    _show_faults(report.faults)


def _show_tables(tables: Mapping[TableKey, ImportedTable]) -> None:
    """Show what each table received."""
    rows = [
        [str(key), f"{table.rows:,}", f"{table.written:,}", ", ".join(map(str, table.seeds))]
        for key, table in tables.items()
    ]
    show.table(["table", "trials", "new", "seeds"], rows)


def _show_faults(faults: Mapping[str, int]) -> None:
    """Tell known faults of what was imported."""
    for fault, trials in faults.items():
        typer.echo(f"known fault {fault!r} in {trials:,} trials, imported as they are: see docs/official-files.md.")
