"""Networks whose decisions are numbers, drawn as bars: as text, and on the axes of matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.spaces import Space

__all__ = ["bar_lines", "draw_bars", "is_sized"]

_INK, _OPEN = "#20242c", "#9aa0ab"
_COLOURS = ("#2f7ed8", "#d1495b", "#2a9d6f", "#8a5fbf", "#e08e2b")  # by the first word of the layer's name
_LONGEST = 32  # characters of the longest bar in text
_BOTTOM, _HEIGHT, _WIDTH = -0.85, 1.55, 0.52  # of the bars, where layers are 1 apart
_STRIP = 1.3  # half of the height that is shown


def is_sized(space: Space) -> bool:
    """Tell whether every option of every decision is a number, so that bars show an architecture best."""
    return all(label.isdecimal() for decision in range(space.num_decisions) for label in space.choice_labels(decision))


def bar_lines(space: Space, genotype: NDArray[np.integer]) -> list[str]:
    """Return a line of text for each decision of ``int8[num_decisions]`` (-1: open): its name, its bar, its number."""
    labels = space.decision_labels()
    names, sizes = max(map(len, labels)), _sizes(space, genotype)
    lines = []
    for label, size in zip(labels, sizes, strict=True):
        bar = "?" if size is None else f"{'█' * max(1, round(_LONGEST * size / _largest(space)))} {size}"
        lines.append(f"{label:<{names}} ▶ {bar}")
    return lines


def draw_bars(axes: Any, space: Space, genotype: NDArray[np.integer]) -> None:
    """Draw each decision of ``int8[num_decisions]`` (-1: open) as an upright bar, in order from left to right."""
    labels = space.decision_labels()
    kinds = list(dict.fromkeys(label.split()[0] for label in labels))
    axes.set_xlim(-0.75, len(labels) - 0.25)
    axes.set_ylim(-_STRIP, _STRIP)
    for layer, (label, size) in enumerate(zip(labels, _sizes(space, genotype), strict=True)):
        colour = _COLOURS[kinds.index(label.split()[0]) % len(_COLOURS)]
        height = _HEIGHT * (1.0 if size is None else size / _largest(space))
        _draw_bar(axes, layer, height, None if size is None else colour)
        text = {"ha": "center", "color": _INK if size else _OPEN}
        axes.text(layer, _BOTTOM + height + 0.05, size or "?", va="bottom", fontsize=13, fontweight="bold", **text)
        axes.text(layer, _BOTTOM - 0.08, label, va="top", fontsize=11, **text)
    for layer in range(len(labels) + 1):
        ends = (layer - 0.5 - 0.18, _BOTTOM), (layer - 0.5 + 0.18, _BOTTOM)
        axes.annotate("", ends[1], ends[0], arrowprops={"arrowstyle": "-|>", "color": _INK, "linewidth": 1.4})


def _draw_bar(axes: Any, layer: int, height: float, colour: str | None) -> None:
    """Draw one bar; without a colour it is open: an outline of dashes."""
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = {"facecolor": colour, "edgecolor": _INK, "linewidth": 1.0}
    if colour is None:
        look = {"facecolor": "none", "edgecolor": _OPEN, "linewidth": 1.3, "linestyle": (0, (3, 2))}
    axes.add_patch(Rectangle((layer - _WIDTH / 2, _BOTTOM), _WIDTH, height, **look))


def _sizes(space: Space, genotype: NDArray[np.integer]) -> list[int | None]:
    row = np.asarray(genotype).tolist()
    return [int(space.choice_labels(d)[choice]) if choice >= 0 else None for d, choice in enumerate(row)]


def _largest(space: Space) -> int:
    return max(int(label) for decision in range(space.num_decisions) for label in space.choice_labels(decision))
