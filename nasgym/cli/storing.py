"""`nasgym import ...` and `nasgym store ...`: results in, out, together, and checked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from nasgym.cli import show
from nasgym.cli.options import StorePath, pairs
from nasgym.errors import NasgymError, StoreError, UnknownName

__all__ = ["importing", "storing"]

importing = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Import published results into the store.")
storing = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Check, export and merge results stores.")


OnConflict = Annotated[
    str,
    typer.Option(
        metavar="error|keep|replace",
        help="What happens where both sides hold different results for the same training.",
    ),
]


@importing.callback()
def _importing() -> None:
    """Import published results into the store."""


@importing.command("csv")
def import_table(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table, .csv or .csv.gz.")],
    unit: Annotated[str, typer.Option(metavar="percent|fraction", help="The unit of its accuracies.")],
    space: Annotated[str, typer.Option(help="The search space of its architectures.")] = "nb201",
    recipe: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE'S=NAME", help="What the file calls a recipe; a NAME alone is that of all rows."),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE'S=NAME", help="What the file calls a data set; a NAME alone is that of all rows."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE'S=NAME", help="What the file calls a column; NAME `ignore` leaves it out."),
    ] = None,
    store: StorePath = None,
) -> None:
    """Import a plain table: all of its rows, or none where one of them is wrong.

    Columns: architecture (string or index), dataset, recipe, seed (a number, or `mean`), and metrics:
    {train,valid,test}_{accuracy,loss,seconds}. An empty cell is unknown.

    \b
    Examples:
      nasgym import csv nb201-results.csv.gz --unit percent --recipe 12=nb201-12 --recipe 200=nb201-200
      nasgym import csv mine.csv --unit fraction --dataset cifar10 --recipe nb201-12 --column acc=valid_accuracy
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.importers import import_csv
    from nasgym.spaces import get_space
    from nasgym.store import open_store

    recipes, recipe_of_all = pairs(recipe or [], "--recipe")
    datasets, dataset_of_all = pairs(dataset or [], "--dataset")
    columns, no_column = pairs(column or [], "--column")
    if no_column is not None:
        raise typer.BadParameter(f"a column is written FILE'S=NAME; got {no_column!r}.", param_hint="--column")
    with show.counter(f"reading {file.name}") as advance:
        report = import_csv(
            open_store(store), file, space=get_space(space), unit=unit,  # type: ignore[arg-type]  # checked there
            recipes=recipes, datasets=datasets, columns=columns, dataset=dataset_of_all, recipe=recipe_of_all,
            progress=lambda rows: advance(rows, f"{rows:,} rows"),
        )  # fmt: skip
    rows = [
        [str(key), f"{table.rows:,}", f"{table.written:,}", ", ".join(map(str, table.seeds))]
        for key, table in report.tables.items()
    ]
    show.table(["table", "rows", "new", "seeds"], rows)


@importing.command("results")
def import_results(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files made by `nasgym fill --into` or `store export`.")
    ],
    on_conflict: OnConflict = "error",
    store: StorePath = None,
) -> None:
    """Take over results that were trained elsewhere, file by file: all of a file, or none of it on an error.

    A file that was cut off gives its whole results. What `nasgym store merge` does, for any number of files.

    \b
    Examples:
      nasgym import results part-1.nasgym part-2.nasgym
      nasgym import results part-*.nasgym --on-conflict keep
    """  # noqa: D301 - \b keeps the lines of an example apart
    for file in files:
        if not file.is_file():
            what = f"{file} is a folder" if file.is_dir() else f"there is no file {file}"
            raise StoreError(f"{what}: nothing was taken.")
    _take_over(files, on_conflict, store)


@storing.command()
def verify(store: StorePath = None) -> None:
    """Read everything in the store and say what is not as it was written; exit code 1 if anything is not.

    \b
    Example:
      nasgym store verify
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.store import open_store

    opened = open_store(store)
    problems = opened.verify()
    for problem in problems:
        typer.secho(f"error: {problem}", fg="red", err=True)
    if problems:
        raise typer.Exit(1)
    rows = sum(table.rows for table in opened.tables())
    typer.echo(f"{opened.path} is sound: {rows:,} evaluations in {len(opened.keys())} tables.")


@storing.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    table: Annotated[
        list[str] | None, typer.Option(metavar="SPACE/DATASET/RECIPE", help="A table; may be repeated.  [default: all]")
    ] = None,
    store: StorePath = None,
) -> None:
    """Write tables into one portable file, which `nasgym store merge` takes elsewhere.

    \b
    Examples:
      nasgym store export results.nasgym
      nasgym store export digits.nasgym --table nb201/cluttered-digits/cluttered-digits-10
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.store import TableKey, open_store

    opened = open_store(store)
    keys = None if table is None else [TableKey.parse(text) for text in table]
    for key in keys or ():
        if key not in opened:
            raise UnknownName("table", str(key), map(str, opened.keys()))
    typer.echo(f"{opened.export(file, keys):,} evaluations written to {file}.")


@storing.command()
def merge(
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="Another store, or a file made by `nasgym store export`.")
    ],
    on_conflict: OnConflict = "error",
    store: StorePath = None,
) -> None:
    """Take over the results of another store or of an exported file: all, or none on an error.

    \b
    Example:
      nasgym store merge results.nasgym
    """  # noqa: D301 - \b keeps the lines of an example apart
    _take_over([other], on_conflict, store)


def _take_over(sources: list[Path], on_conflict: str, store: Path | None) -> None:
    """Merge sources into the store one by one, and tell what was new; what is damaged gives what is whole."""
    from nasgym.store import open_store

    opened, read, new = open_store(store), 0, Counter[str]()
    with show.counter("merging", total=len(sources)) as advance:
        for done, source in enumerate(sources):
            advance(done, source.name)
            try:
                report = opened.merge(source, on_conflict=on_conflict)  # type: ignore[arg-type]  # checked there
            except NasgymError:
                if done:
                    typer.secho(f"{source}: nothing was taken; {done} before it are in the store.", fg="red", err=True)
                raise
            read += report.read
            new.update({str(key): written for key, written in report.written.items()})
            if report.damage:
                typer.secho(
                    f"the end of {source} is damaged ({report.damage}); what stands before it was taken.",
                    fg="yellow", err=True,
                )  # fmt: skip
    show.table(["table", "new"], [[key, f"{new[key]:,}"] for key in sorted(new)])
    typer.echo(f"{read:,} evaluations read, {new.total():,} new in {opened.path}.")
