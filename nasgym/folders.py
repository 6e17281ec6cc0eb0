"""Where files of the user's lie beside the store: data sets, compiled kernels, the cells of a search space."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

__all__ = ["user_folder"]

_UNIX = {"data": (".local", "share"), "cache": (".cache",)}


def user_folder(name: str, kind: Literal["data", "cache"]) -> Path:
    """Return ``$NASGYM_HOME/name``, else ``name`` in nasgym's folder of the platform's data or cache directory.

    Training runs where platformdirs is not installed, too: there it is the directory of Unix.
    """
    if home := os.environ.get("NASGYM_HOME"):
        return Path(home).expanduser() / name
    try:
        from platformdirs import user_cache_dir, user_data_dir
    except ImportError:
        return Path.home().joinpath(*_UNIX[kind], "nasgym", name)
    return Path((user_data_dir if kind == "data" else user_cache_dir)("nasgym")) / name
