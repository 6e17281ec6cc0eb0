"""The `nasgym` program: its commands, and what it says when something is wrong."""

from __future__ import annotations

import errno
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import nasgym
from nasgym.cli import (
    architectures,
    comparing,
    costing,
    demonstrating,
    dropping,
    filling,
    importing_official,
    listing,
    packing,
    storing,
)
from nasgym.cli.enumerating import showing_enumeration
from nasgym.errors import NasgymError

__all__ = ["app", "main"]

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class _Group(TyperGroup):
    """Says what is wrong in one line; the traceback is for `--debug`."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command: exit code 1 and a line on stderr for an error of the user's world."""
        try:
            with showing_enumeration():
                return super().invoke(ctx)
        except (NasgymError, OSError) as error:
            if ctx.params.get("debug") or getattr(error, "errno", None) == errno.EPIPE:
                raise
            typer.secho(f"error: {_words(error)}", fg="red", err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            typer.secho("interrupted.", fg="yellow", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _words(error: Exception) -> str:
    """Return what is wrong; the system's own errors without their numbers."""
    if isinstance(error, NasgymError) or not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror + (f": {error.filename}" if error.filename else "")


app = typer.Typer(
    cls=_Group,
    name="nasgym",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nasgym {nasgym.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Neural architecture search as Gymnasium environments, on trained tables or by training.

    \b
    Start here:
      nasgym demo            compare agents on the embedded table
      nasgym agents          the search algorithms
      nasgym tasks           what can be searched
      nasgym info            which results are stored
    """  # noqa: D301 - \b keeps the lines of an example apart


app.command("demo")(demonstrating.demo)
app.command("compare")(comparing.compare)
app.command("query")(architectures.query)
app.command("train")(architectures.train)
app.command("fill")(filling.fill)
app.command("costs")(costing.costs)
app.command("agents")(listing.agents)
app.command("tasks")(listing.tasks)
app.command("info")(listing.info)
storing.importing.command("nats-tss")(importing_official.nats_tss)
storing.importing.command("nats-sss")(importing_official.nats_sss)
storing.importing.command("nas-bench-201")(importing_official.nas_bench_201)
storing.importing.command("nasbench101")(importing_official.nasbench101)
app.add_typer(storing.importing, name="import")
storing.storing.command("pack")(packing.pack)
storing.storing.command("drop")(dropping.drop)
app.add_typer(storing.storing, name="store")


def main() -> None:
    """Run the program with the words of the command line."""
    app(prog_name="nasgym")
