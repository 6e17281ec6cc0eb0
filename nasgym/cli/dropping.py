"""`nasgym store drop`: results of one's own that are not wanted any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nasgym.cli import show
from nasgym.cli.options import StorePath, seed_policy
from nasgym.errors import InvalidSetting, StoreError, UnknownName

if TYPE_CHECKING:
    from nasgym.results import Seed, TableKey

__all__ = ["drop"]


def drop(
    table: Annotated[str, typer.Argument(metavar="SPACE/DATASET/RECIPE", help="The table.")],
    architecture: Annotated[
        list[str] | None,
        typer.Option(metavar="ARCH", help="An architecture string or index; may be repeated.  [default: all]"),
    ] = None,
    seed: Annotated[
        list[str] | None, typer.Option(metavar="mean|N", help="A seed; may be repeated.  [default: all]")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: StorePath = None,
) -> None:
    """Forget results for good: a whole table, or some architectures or seeds of it. Says what goes, and asks before.

    What is embedded in nasgym stays; results of your own over an embedded table go. The file keeps its size: later
    results use the room again.

    \b
    Examples:
      nasgym store drop nb201/cluttered-digits/cluttered-digits-10
      nasgym store drop nb201/cifar10/nb201-12 --seed 777 --yes
      nasgym store drop nb201/cifar10/nb201-12 --architecture 6111
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.results import TableKey
    from nasgym.store import Store, open_store

    key, opened = TableKey.parse(table), open_store(store)
    if key not in opened:
        raise UnknownName("table", table, map(str, opened.keys()))
    indices = None if architecture is None else _indices(key, architecture)
    seeds = None if seed is None else [_seed(text) for text in seed]
    own = Store(opened.path)  # what is embedded does not count
    found = [
        cell
        for cell in (own.cells(key) if key in own else ())
        if (indices is None or cell.index in indices) and (seeds is None or cell.seed in seeds)
    ]
    if key in own and not found and (architecture or seed):
        raise StoreError(f"the store {opened.path} holds nothing of the kind in {key}: nothing to drop.")
    if key in own:
        architectures = len({cell.index for cell in found})
        typer.echo(f"{len(found):,} evaluations of {architectures:,} architectures go from {key} in {opened.path}.")
        if not (yes or typer.confirm("They cannot be brought back. Go on?")):
            raise typer.Abort
    dropped = opened.drop(key, architectures=indices, seeds=seeds)
    typer.echo(f"{dropped:,} evaluations dropped.")
    show.status("The file keeps its size: later results use the room again.")


def _indices(key: TableKey, texts: list[str]) -> list[int]:
    from nasgym.spaces import get_space

    space = get_space(key.space)
    named = [text for text in texts if not text.isdecimal()]
    numbers = [int(text) for text in texts if text.isdecimal()]
    space.from_index(numbers)  # raises for one that is out of bounds
    return [*numbers, *(space.index(space.from_str(named)).tolist() if named else [])]


def _seed(text: str) -> Seed:
    policy = seed_policy(text)
    if policy is None or policy == "random":
        raise InvalidSetting(f'a seed to drop is "mean" or an integer of 0 or more; got {text!r}.')
    return policy
