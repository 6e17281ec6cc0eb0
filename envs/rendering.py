"""Cells drawn as labelled graphs, sizes as bars: as text, and as pictures with matplotlib.

It is imported when a picture is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasgym.envs.bars import bar_lines, draw_bars, is_sized
from nasgym.spaces import CellGraph, Space
from nasgym.task import Result, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.path import Path as Path2D

__all__ = ["caption", "draw", "picture", "save_cell_picture", "text"]

UNDECIDED = "?"
DEAD = ("none", "zero", "zeroize")
"""Labels of edges that carry nothing."""
_COLOURS = {
    "none": "#9aa0ab",
    "skip_connect": "#7a8290",
    "nor_conv_1x1": "#2f7ed8",
    "nor_conv_3x3": "#d1495b",
    "avg_pool_3x3": "#2a9d6f",
    "conv1x1-bn-relu": "#2f7ed8",
    "conv3x3-bn-relu": "#d1495b",
    "maxpool3x3": "#2a9d6f",
}
_OTHERS = ("#8a5fbf", "#e08e2b", "#178f9b", "#b0507f", "#6b8e23")
_INK, _PAPER, _NODE = "#20242c", "#ffffff", "#f3f5f9"
_SIZE, _DPI = (7.2, 4.2), 100  # inches and dots per inch
_AXES = (0.02, 0.1, 0.96, 0.82)  # left, bottom, width, height, as parts of the picture
_SHORT = 4  # letters that fit into a round node
_MARGIN, _CLEAR = 0.35, 0.17  # beside the first and last node, and around every node; nodes are 1 apart
_CLEAR_OF_LETTER = 0.04  # beside a node with a long name, for each letter of its longer line


def caption(task: Task, result: Result | None) -> str:
    """Return what stands under a picture: the latest evaluation, the best so far and the simulated time."""
    parts = [] if result is None or not result.counted else [f"accuracy {_percent(result.accuracy)}"]
    if task.incumbent is not None:
        parts.append(f"best {_percent(task.incumbent.accuracy)}")
    parts.append(f"{task.evaluations:,} evaluation{'' if task.evaluations == 1 else 's'}")
    budget = "" if np.isinf(task.budget) else f" of {task.budget:,.0f}"
    parts.append(f"{task.seconds:,.0f}{budget} s simulated")
    return " · ".join(parts)


def draw(space: Space, genotype: NDArray[np.integer], caption: str, mode: str) -> Any:
    """Draw a cell ``int8[num_decisions]`` (-1: undecided): a string for ``"ansi"``, else a picture."""
    return text(space, genotype, caption) if mode == "ansi" else picture(space, genotype, caption)


def text(space: Space, genotype: NDArray[np.integer], caption: str = "") -> str:
    """Return the cell as lines of text, one per edge or size; once it is complete its architecture string follows."""
    lines = bar_lines(space, genotype) if is_sized(space) else _edge_lines(space.graph(genotype))
    if (np.asarray(genotype) >= 0).all():
        lines += space.to_str(np.asarray(genotype)[None])
    return "\n".join([*lines, caption] if caption else lines)


def picture(space: Space, genotype: NDArray[np.integer], caption: str = "") -> NDArray[np.uint8]:
    """Return the cell as an image ``uint8[height, width, 3]``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _figure(space, genotype, caption)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def save_cell_picture(space: Space, genotype: NDArray[np.integer], path: Path | str, caption: str = "") -> None:
    """Write the picture of a cell to a file; its ending (``.png``, ``.svg``, ``.pdf``) says in which form."""
    _figure(space, genotype, caption).savefig(path, dpi=2 * _DPI)


def _edge_lines(graph: CellGraph) -> list[str]:
    nodes = graph.nodes
    if len(set(nodes)) < len(nodes):  # operations that occur twice are told apart by their numbers
        nodes = tuple(name if i in (0, len(nodes) - 1) else f"{i} {name}" for i, name in enumerate(nodes))
    names = max(len(name) for name in nodes)
    labels = max((len(label) for _, _, label in graph.edges), default=0)
    return [
        f"{nodes[s]:>{names}} ──{f' {label} ' if label else '':─<{labels + 2}}──▶ {nodes[t]}"
        for s, t, label in graph.edges
    ]


def _percent(accuracy: float) -> str:
    return f"{100 * accuracy:.2f}%"


def _figure(space: Space, genotype: NDArray[np.integer], caption: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor=_PAPER)
    axes = figure.add_axes(_AXES)
    axes.set_axis_off()
    if is_sized(space):
        draw_bars(axes, space, genotype)
    else:
        _draw_graph(axes, space.graph(genotype))
    figure.text(0.03, 0.93, space.name, color=_INK, fontsize=13, fontweight="bold")
    figure.text(0.5, 0.035, caption, color=_INK, fontsize=11 if len(caption) < 75 else 8, ha="center")
    return figure


def _draw_graph(axes: Any, graph: CellGraph) -> None:
    """Draw a graph with its nodes on a line and its edges as arcs, the longer the higher, above and below in turn."""
    n = len(graph.nodes)
    height = (n - 1 + 2 * _MARGIN) * _SIZE[1] * _AXES[3] / (_SIZE[0] * _AXES[2]) / 2  # equal units on both axes
    axes.set_xlim(-_MARGIN, n - 1 + _MARGIN)
    axes.set_ylim(-height, height)
    live = _live_nodes(graph)
    for (source, target, label), rise in zip(graph.edges, _rises(graph, height), strict=True):
        path = _arc((source, target), rise) if rise else _line(graph, source, target)
        _draw_edge(axes, (source, target), label, rise, path, dead=not {source, target} <= live)
    for node, name in enumerate(graph.nodes):
        _draw_node(axes, node, name, dead=node not in live)


def _rises(graph: CellGraph, height: float) -> list[float]:
    """Return how high each arc is; an edge to the next node is a straight line."""
    longest = max((t - s for s, t, _ in graph.edges), default=1)
    step = 0.4 * height / max(1, longest - 2)
    order = sorted(range(len(graph.edges)), key=lambda e: (graph.edges[e][1] - graph.edges[e][0], graph.edges[e][0]))
    rises, side = [0.0] * len(order), 1
    for e in order:
        span = graph.edges[e][1] - graph.edges[e][0]
        if span > 1:
            rises[e] = side * (0.45 * height + step * (span - 2))
            side = -side
    return rises


def _live_nodes(graph: CellGraph) -> set[int]:
    """Return the nodes on a path from the first node to the last; undecided edges might carry something."""
    carrying = [(s, t) for s, t, label in graph.edges if label not in DEAD]
    return _reached(0, carrying) & _reached(len(graph.nodes) - 1, [(t, s) for s, t in carrying])


def _reached(start: int, edges: list[tuple[int, int]]) -> set[int]:
    found, frontier = {start}, [start]
    while frontier:
        here = frontier.pop()
        new = {t for s, t in edges if s == here} - found
        found |= new
        frontier += new
    return found


def _draw_edge(axes: Any, ends: tuple[int, int], label: str, rise: float, path: Path2D, *, dead: bool) -> None:
    from matplotlib.patches import FancyArrowPatch

    faint = dead or label in DEAD
    colour = _INK if label in (UNDECIDED, "") else _colour(label)
    arrow = FancyArrowPatch(
        path=path,
        arrowstyle="-|>,head_length=7,head_width=4",
        linewidth=1.3 if faint else 2.4,
        linestyle=(0, (3, 2)) if label == UNDECIDED else (0, (1, 2)) if label in DEAD else "-",
        color=colour,
        alpha=0.4 if faint else 1.0,
        zorder=1,
    )
    axes.add_patch(arrow)
    axes.text(
        (ends[0] + ends[1]) / 2,
        rise + (0.0 if rise else 0.09),
        label,
        ha="center",
        va="center" if rise else "bottom",
        fontsize=9.5,
        color=colour,
        alpha=0.7 if faint else 1.0,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": _PAPER, "edgecolor": "none"} if rise else None,
        zorder=2,
    )


def _line(graph: CellGraph, source: int, target: int) -> Path2D:
    """Return the straight line to the next node, from the edge of one to the edge of the other."""
    from matplotlib.path import Path as Path2D

    start, end = source + _half_width(graph.nodes[source]), target - _half_width(graph.nodes[target])
    return Path2D([(start, 0.0), (end, 0.0)], [Path2D.MOVETO, Path2D.LINETO])


def _half_width(name: str) -> float:
    return _CLEAR if len(name) <= _SHORT else _CLEAR_OF_LETTER * max(map(len, name.split("-", 1)))


def _arc(ends: tuple[int, int], rise: float) -> Path2D:
    """Return a curve from node to node that is ``rise`` high in the middle; it keeps off the nodes."""
    from matplotlib.path import Path as Path2D

    start, end = np.array([ends[0], 0.0]), np.array([ends[1], 0.0])
    lean = np.array([0.22 * (ends[1] - ends[0]), rise * 4 / 3])  # a cubic is 3/4 as high as its control points
    handles = start + lean, end + lean * (-1, 1)
    start = start + (handles[0] - start) * _CLEAR / np.linalg.norm(handles[0] - start)
    end = end + (handles[1] - end) * _CLEAR / np.linalg.norm(handles[1] - end)
    return Path2D([start, *handles, end], [Path2D.MOVETO, Path2D.CURVE4, Path2D.CURVE4, Path2D.CURVE4])


def _draw_node(axes: Any, node: int, name: str, *, dead: bool) -> None:
    long = len(name) > _SHORT
    axes.text(
        node,
        0.0,
        name.replace("-", "\n", 1) if long else name,
        ha="center",
        va="center",
        fontsize=7.5 if long else 12,
        fontweight="bold",
        color=_COLOURS.get(name, _INK),
        alpha=0.45 if dead else 1.0,
        bbox={
            "boxstyle": "round,pad=0.3" if long else f"circle,pad={0.45 if len(name) < 3 else 0.25}",
            "facecolor": _NODE,
            "edgecolor": _COLOURS.get(name, _INK),
            "linewidth": 1.4,
        },
        zorder=3,
    )


def _colour(label: str) -> str:
    return _COLOURS.get(label) or _OTHERS[sum(label.encode()) % len(_OTHERS)]
