"""``python -m nasgym.compat script.py [ARGUMENTS]``: run a script with the facades in place of the originals."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from nasgym.compat.installing import install

__all__ = ["main"]

_USAGE = "usage: python -m nasgym.compat SCRIPT.py [ARGUMENTS]"


def main(words: Sequence[str]) -> None:
    """Run a script as ``python SCRIPT.py ARGUMENTS`` would.

    Args:
        words: The script and its arguments.

    Raises:
        SystemExit: There is no such script, with status 2; or the script says so.
    """
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE, file=sys.stdout if words else sys.stderr)
        raise SystemExit(0 if words else 2)
    script = Path(words[0])
    if not script.is_file():
        print(f"{_USAGE}\nthere is no script {script}: check the path.", file=sys.stderr)
        raise SystemExit(2)
    install()
    sys.argv[:] = words
    sys.path[0] = str(script.resolve().parent)
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
