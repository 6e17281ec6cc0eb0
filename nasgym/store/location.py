"""Where the user's store lies."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["default_path"]


def default_path() -> Path:
    """Return where the user's store lies: ``$NASGYM_HOME/store``, else in the platform's data directory."""
    home = os.environ.get("NASGYM_HOME")
    if home:
        return Path(home).expanduser() / "store"
    from platformdirs import user_data_dir

    return Path(user_data_dir("nasgym", appauthor=False)) / "store"
