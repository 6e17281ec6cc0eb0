"""Draw a NAS-Bench-201 cell: `python examples/render_cell.py [ARCHITECTURE] [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path

from nasgym.envs.rendering import save_cell_picture
from nasgym.spaces import get_space

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"


PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "cell.png"


def main(architecture: str = CELL, path: Path | str = PICTURE) -> None:
    space = get_space("nb201")
    save_cell_picture(space, space.from_str([architecture])[0], path, caption=architecture)
    print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
