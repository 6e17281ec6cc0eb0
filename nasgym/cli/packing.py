"""`nasgym store pack`: a table as a small read-only folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasgym.cli import show
from nasgym.cli.options import StorePath
from nasgym.errors import InvalidSetting, UnknownName

__all__ = ["pack"]


def pack(
    table: Annotated[str, typer.Argument(metavar="SPACE/DATASET/RECIPE", help="The table.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where it goes.")],
    made_by: Annotated[str, typer.Option(metavar="COMMAND", help="The command that filled the table.")] = "nasgym fill",
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="The hardware it was filled on.  [default: what trainings say]")
    ] = None,
    seeds: Annotated[str | None, typer.Option(metavar="0,1,...", help="Which seeds.  [default: all]")] = None,
    sizes: Annotated[
        str | None, typer.Option(metavar="TRAIN,VALID,TEST", help="Images per split.  [default: the data set's]")
    ] = None,
    store: StorePath = None,
) -> None:
    """Write a table as a folder of a few megabytes that opens through a memory map, as the embedded tables are.

    Accuracies are kept exactly, losses in half precision, seconds by the table's cost model.

    \b
    Example:
      nasgym store pack nb201/cluttered-digits/cluttered-digits-10 digits-table --made-by "nasgym fill --seeds 3"
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.results import TableKey
    from nasgym.store import open_store
    from nasgym.tables import pack_table

    opened, key = open_store(store), TableKey.parse(table)
    if key not in opened:
        raise UnknownName("table", table, map(str, opened.keys()))
    wanted = None if seeds is None else set(_whole_numbers(seeds, "--seeds"))
    chosen = (e for e in opened.scan(key) if wanted is None or e.seed in wanted)
    packed = pack_table(
        opened.meta(key),
        chosen,
        folder,
        sizes=_sizes(key.dataset, sizes),
        made={"command": made_by} | ({} if device is None else {"device": device}),
    )
    written = sum(file.stat().st_size for file in folder.iterdir())
    show.fact("trainings", packed.made["trainings"])
    show.fact("seeds", ", ".join(map(str, packed.seeds)))
    show.fact("size", f"{written / 1e6:.2f} MB in {folder}")


def _sizes(dataset: str, given: str | None) -> dict[str, int]:
    from nasgym.recipes import DATASETS
    from nasgym.results import SPLITS

    if given is None and dataset not in DATASETS:
        raise InvalidSetting(f"how many images the splits of {dataset} have must be said: --sizes TRAIN,VALID,TEST.")
    numbers = DATASETS[dataset].sizes if given is None else _whole_numbers(given, "--sizes")
    if len(numbers) != len(SPLITS):
        raise InvalidSetting(f"--sizes takes three numbers, for train, valid and test; got {given!r}.")
    return dict(zip(SPLITS, numbers, strict=True))


def _whole_numbers(text: str, option: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InvalidSetting(f"{option} takes whole numbers with commas between them; got {text!r}.") from None
