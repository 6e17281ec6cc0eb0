"""`nasgym agents`, `nasgym tasks` and `nasgym info`: what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from nasgym.cli import show
from nasgym.cli.options import StorePath

if TYPE_CHECKING:
    from nasgym.store import Store, TableKey

__all__ = ["agents", "info", "tasks"]


def agents(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this agent's hyper-parameters.")] = None,
) -> None:
    """List the search agents, or the hyper-parameters of one.

    \b
    Examples:
      nasgym agents
      nasgym agents regularized_evolution
      nasgym agents my_file.py:MyAgent
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.agents import agent_class, agent_names, describe

    if name is None:
        found = [(n, describe(agent_class(n))) for n in agent_names()]
        rows = [[n, a.family, ", ".join(a.presets) or "—", a.summary, a.source or "—"] for n, a in found]
        show.entries(["agent", "family", "presets", "what it does", "source"], rows)
        typer.echo("\n`nasgym agents NAME` shows all settings; NAME:PRESET is an agent with those settings.")
        return
    about = describe(agent_class(name))
    typer.echo(about.summary or about.name)
    if about.source:
        show.fact("source", about.source)
    for preset, settings in about.presets.items():
        show.fact(f"preset {preset}", ", ".join(f"{k}={v!r}" for k, v in settings.items()))
    if about.settings:
        show.table(["setting", "default", "what it is"], [[s.name, repr(s.default), s.doc] for s in about.settings])


def tasks(store: StorePath = None) -> None:
    """List what can be searched, under which protocols, and what is stored of it; that of which most is comes first.

    \b
    Example:
      nasgym tasks
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.recipes import default_recipe
    from nasgym.store import open_store
    from nasgym.task import PROTOCOLS, task_names

    opened, rows = open_store(store), []
    stored = {name: _stored_rows(opened, name) for name in task_names()}
    for name in sorted(stored, key=lambda name: -stored[name].rows):
        space, _, dataset = name.partition("/")
        recipe = default_recipe(dataset, space)
        embedded = f"{stored[name].embedded:,}" if stored[name].embedded else "—"
        rows.append([name, recipe, f"{stored[name].rows:,}", embedded, _data(dataset, recipe)])
    show.table(["task", "default recipe", "stored", "embedded", "data"], rows)
    typer.echo()
    protocols = [[p.name, _budgets(p.budgets), p.source] for p in PROTOCOLS.values()]
    show.entries(["protocol", "budget in simulated seconds", "source"], protocols)


def info(store: StorePath = None) -> None:
    """List the tables: rows and how many are embedded, seeds, best values, size on disk.

    \b
    Example:
      nasgym info
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.store import open_store
    from nasgym.tables import embedded_table

    opened = open_store(store)
    rows = []
    for table in opened.tables():
        seeds = ", ".join(map(str, table.seeds[:6])) + (", ..." if len(table.seeds) > 6 else "")
        share = f"{table.architectures:,} of {table.size:,}" + (", equal ones share" if table.shares_equal else "")
        base = embedded_table(table.key)
        embedded = "—" if base is None else f"{base.stored().sum():,}"
        best = [_best(opened, table.key, metric) for metric in ("valid_accuracy", "test_accuracy")]
        rows.append([str(table.key), f"{table.rows:,}", embedded, share, seeds, *best, table.created[:10]])
    show.fact("store", opened.path)
    show.fact("size on disk", f"{opened.size_on_disk / 1e6:,.1f} MB")
    if not rows:
        typer.echo("It is empty: `nasgym demo` trains a few networks, `nasgym import csv` takes published results.")
        return
    show.table(["table", "rows", "embedded", "architectures", "seeds", "best valid %", "best test %", "made"], rows)


_SPLITS = {
    "halves": "the published halves of the training images are train and valid",
    "last fifth": "the last 10,000 of the training images are valid, the 40,000 before them train",
}


def _data(dataset: str, recipe: str) -> str:
    """Say what the images are, and how a recipe splits those of CIFAR-10, which has no fixed way."""
    from nasgym.recipes import DATASETS, get_recipe, is_image_folder

    if is_image_folder(dataset):
        return "any folder of images, one sub-folder per class"
    source = DATASETS[dataset].source
    return f"{source}; {_SPLITS[get_recipe(recipe).split]}" if dataset == "cifar10" else source


class _Stored(NamedTuple):
    """How many evaluations there are of a task, over all recipes, and how many of them are embedded."""

    rows: int
    embedded: int


def _stored_rows(store: Store, task: str) -> _Stored:
    from nasgym.tables import embedded_table

    keys = [key for key in store.keys() if f"{key.space}/{key.dataset}" == task]
    bases = [base for base in map(embedded_table, keys) if base is not None]
    return _Stored(sum(store.info(key).rows for key in keys), sum(int(base.stored().sum()) for base in bases))


def _budgets(budgets: object) -> str:
    known = dict(budgets)  # type: ignore[call-overload]
    return ", ".join(f"{'any' if k == '*' else k} {v:,.0f}" for k, v in known.items()) or "none: say --budget"


def _best(store: Store, key: TableKey, metric: str) -> str:
    """Return the best mean over seeds and the index that has it."""
    from nasgym.benchmark import Benchmark
    from nasgym.spaces import get_space
    from nasgym.study.scoring import NOTHING, best_architecture

    values = Benchmark(get_space(key.space), key, store).view((metric,)).means(metric)
    best = best_architecture(values, metric)
    return "—" if best == NOTHING else f"{100 * values[best]:.2f} ({best})"
