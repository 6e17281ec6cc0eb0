"""Official files for the facades: imported once, and single ones read without running what they contain."""

from __future__ import annotations

import bz2
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nasgym.errors import InvalidArchive, InvalidSetting
from nasgym.importers.archives import Archive
from nasgym.importers.official_names import tables_of
from nasgym.importers.official_table import import_official
from nasgym.importers.pickles import PickleMachine
from nasgym.results import TableKey
from nasgym.store import Store

__all__ = ["ensure_imported", "import_once", "read_architecture", "read_pickle"]

NOTES = "official-files.json"
"""A file beside the store's own: official file -> its size, its time, its space, and the tables of the store after it
was imported whole. Where one of these was dropped since, the file is imported again."""


def ensure_imported(path: Path, space: str, store: Store) -> None:
    """Import an official file or folder, unless this store has it.

    Args:
        path: The file or folder.
        space: ``"nb201"`` or ``"nats-sss"``.
        store: The store.

    Raises:
        InvalidSetting: There is no such file or folder; a ValueError.
        InvalidArchive: It is no official one; a ValueError.
        ResultConflict: The store has other results for the same trainings, from another file.
    """
    # in this process: a script without a main guard cannot start others
    import_once(path, space, store, tables_of(space), lambda: import_official(store, path, space=space))


def import_once(path: Path, space: str, store: Store, tables: Iterable[TableKey], run: Callable[[], object]) -> None:
    """Import what is at a path, unless this store has it; raises as `ensure_imported`.

    Args:
        path: The file or folder.
        space: What it is of.
        store: The store.
        tables: The tables that it may fill.
        run: Imports it.
    """
    if not path.exists():
        raise InvalidSetting(f"{path} is neither a file or a dir: check the path, or None for the nasgym store.")
    found, notes = path.stat(), _notes(store)
    name, state, every = str(path.resolve()), [found.st_size, found.st_mtime_ns, space], list(tables)
    if _is_imported(notes.get(name), state, [str(key) for key in every if key in store]):
        return
    print(f"nasgym: importing {path} into {store.path}, once", file=sys.stderr)
    run()
    with suppress(OSError):  # the results are stored; without the note the next opening looks for them one by one
        _write(store, {**_notes(store), name: [*state, [str(key) for key in every if key in store]]})


def _is_imported(note: object, state: Sequence[object], there: Sequence[str]) -> bool:
    """Tell whether a note is of this state of a file, and what it filled is still there."""
    if not isinstance(note, list) or note[:3] != state or not there:
        return False
    return set(note[3]) <= set(there) if len(note) == 4 and isinstance(note[3], list) else len(note) == 3


def _notes(store: Store) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((store.path / NOTES).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(store: Store, notes: Mapping[str, Any]) -> None:
    draft = store.path / f"{NOTES}.{os.getpid()}"
    draft.write_text(json.dumps(notes, indent=1, sort_keys=True) + "\n")
    draft.replace(store.path / NOTES)


def read_architecture(folder: Path, index: int, space: str) -> Mapping[str, Any]:
    """Return the results of one architecture from its file in a folder, by recipe, without weights.

    Raises:
        InvalidArchive: There is no such file, or it is of something else.
    """
    names = (f"{index:06d}.pickle.pbz2", f"{index}.pickle.pbz2")
    file = next((folder / name for name in names if (folder / name).is_file()), None)
    if file is None:
        raise InvalidArchive(f"{folder} has no file {names[0]}: it holds other architectures.")
    states = Archive(folder, "folder", space).record(index, file)[1]
    for hp, state in states.items():
        if not isinstance(state, dict) or state.get("arch_index") != index:
            raise InvalidArchive(f"{file} holds no results of architecture {index} under {hp} epochs.")
        for trial in state["all_results"].values():
            trial["net_state_dict"] = None
    return states


def read_pickle(path: Path) -> Any:
    """Return what is in a compressed pickle of results; raises `InvalidArchive` for anything else."""
    try:
        with bz2.open(path) as stream:
            return PickleMachine(stream.read1, str(path)).load()
    except (OSError, EOFError) as error:
        raise InvalidArchive(f"{path} cannot be read ({error}): is it whole?") from error
