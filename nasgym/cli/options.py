"""Options that several commands share, and how their words become values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasgym.benchmark import SeedPolicy
from nasgym.errors import InvalidSetting

__all__ = ["Device", "OnMissing", "ShareEqual", "StorePath", "TaskName", "pairs", "seed_policy", "split_names"]

StorePath = Annotated[
    Path | None,
    typer.Option(
        "--store", metavar="FOLDER", help="The results store.  [default: $NASGYM_HOME/store, else the user's]"
    ),
]
TaskName = Annotated[str, typer.Option("--task", metavar="SPACE/DATASET", help="`nasgym tasks` lists them.")]
Device = Annotated[str, typer.Option("--device", help="Where to train: auto, cpu, cuda, cuda:1.")]
OnMissing = Annotated[
    str, typer.Option("--on-missing", metavar="train|error", help="What happens to results that the table lacks.")
]
ShareEqual = Annotated[
    bool | None,
    typer.Option(
        "--share-equal/--no-share-equal",
        help="Let an architecture without results answer with those of an equal one.  [default: as the table says]",
    ),
]


def seed_policy(text: str | None) -> SeedPolicy | None:
    """Return what ``--seeds`` or ``--seed`` says; raises `InvalidSetting`."""
    words: dict[str | None, SeedPolicy | None] = {None: None, "mean": "mean", "random": "random"}
    if text in words:
        return words[text]
    if text is not None and text.isdecimal():
        return int(text)
    raise InvalidSetting(f'a seed is "mean", "random" or an integer of 0 or more; got {text!r}.')


def split_names(text: str) -> list[str]:
    """Return the names in a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def pairs(texts: list[str], option: str) -> tuple[dict[str, str], str | None]:
    """Read ``FILE'S=NASGYM'S`` pairs of a repeated option; a value without ``=`` stands for all rows.

    Returns:
        The pairs, and the value for all rows or None.
    """
    named, alone = {}, [text for text in texts if "=" not in text]
    if len(alone) > 1:
        raise InvalidSetting(f"{option} says what all rows are: once, not {len(alone)} times ({', '.join(alone)}).")
    for text in texts:
        if "=" in text:
            theirs, _, ours = text.partition("=")
            named[theirs] = ours
    return named, alone[0] if alone else None
