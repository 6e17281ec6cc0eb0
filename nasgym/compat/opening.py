"""Where a facade's results come from: the store, a file that is imported into it first, or a dictionary."""

from __future__ import annotations

import os
import random
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nasgym.compat.arch_results import ArchResults
from nasgym.compat.engine import Engine, NotEvaluated, generator
from nasgym.compat.imported import ensure_imported
from nasgym.compat.stored import StoredResults
from nasgym.errors import InvalidSetting
from nasgym.importers.official_names import tables_of
from nasgym.store import Store

__all__ = ["Source", "engine_of", "official_home"]

Source = str | os.PathLike[str] | Mapping[str, Any] | None
"""A path, a dictionary as the originals load it, or None for the store."""
_COMMANDS = {"nb201": "nasgym import nats-tss PATH", "nats-sss": "nasgym import nats-sss PATH"}


def official_home() -> Path | None:
    """Return where the originals look for files: ``$TORCH_HOME``, else ``~/.torch``; None where it is no folder."""
    home = Path(os.environ.get("TORCH_HOME") or Path.home() / ".torch")
    return home if home.is_dir() else None


def engine_of(
    source: Source,
    space: str,
    kind: type[ArchResults],
    *,
    names: Iterable[str],
    recipes: Mapping[str, str] | None = None,
    store: Store | os.PathLike[str] | str | None = None,
    rng: random.Random | int | None = None,
) -> Engine:
    """Return the results of a source.

    Args:
        source: See `Source`.
        space: ``"nb201"`` or ``"nats-sss"``.
        kind: The class of results by architecture.
        names: What the official files are called, to look for where the store is empty and no path was given.
        recipes: Recipe -> what a dictionary calls it; None: the same.
        store: The store; None: the user's.
        rng: See `nasgym.compat.engine.generator`.

    Raises:
        NotEvaluated: The store has no official results of that space; a ValueError.
        ValueError: There is no such path, or the dictionary is of another form.
    """
    if isinstance(source, Mapping):
        return _of_dictionary(source, space, kind, recipes, generator(rng))
    if source is not None and not isinstance(source, str | os.PathLike):
        raise InvalidSetting(f"results come from a path, a dictionary or None; got {type(source).__name__}.")
    opened = store if isinstance(store, Store) else Store(None if store is None else Path(store))
    if source is not None:
        ensure_imported(Path(source), space, opened)
    elif not _has_results(opened, space):
        found = _official_file(names)
        if found is None:
            raise NotEvaluated(f"the store {opened.path} has no official results: run `{_COMMANDS[space]}` once.")
        ensure_imported(found, space, opened)
    return Engine(space, kind, StoredResults(opened, space), rng=generator(rng))


def _has_results(store: Store, space: str) -> bool:
    return any(key in store for key in tables_of(space))


def _official_file(names: Iterable[str]) -> Path | None:
    home = official_home()
    return next((home / name for name in names if (home / name).exists()), None) if home else None


def _of_dictionary(
    content: Mapping[str, Any],
    space: str,
    kind: type[ArchResults],
    recipes: Mapping[str, str] | None,
    rng: random.Random | None,
) -> Engine:
    for name in ("meta_archs", "arch2infos", "evaluated_indexes"):
        if name not in content:
            raise InvalidSetting(f"Can not find key[{name}] in the dict.")
    held = {}
    for index in sorted(content["arch2infos"] or {}):
        infos = content["arch2infos"][index]
        names = {hp: hp for hp in infos} if recipes is None else recipes
        held[index] = OrderedDict((hp, kind.create_from_state_dict(infos[name])) for hp, name in names.items())
    strings = list(content["meta_archs"])
    if len(set(strings)) < len(strings):
        raise InvalidSetting(f"{len(strings) - len(set(strings))} architectures of the dict are there twice.")
    return Engine(space, kind, held=held, strings=strings, rng=rng)
