"""The picture of a study: scores over simulated time, and how final scores are spread over runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasgym.results import METRICS
from nasgym.study.analysis import Report, TaskReport
from nasgym.study.statistics import performance_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_report"]

# Okabe and Ito's colours, which people with any colour vision can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800")
_STYLES = ("-", "--", "-.", ":")  # so that curves on top of each other can be told apart
_GREY = "#666666"
_NAMES_IN_A_ROW = 4  # of the legend
_FEW_RUNS = 8  # up to so many are drawn each; an interval of so few says little


def draw_report(report: Report, path: Path) -> None:
    """Draw one row for each task and write it as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = math.ceil(max(len(task.summaries) for task in report.tasks) / _NAMES_IN_A_ROW)
    figure = Figure(figsize=(11, 4.4 * len(report.tasks) + 0.2 + 0.2 * names), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(report.tasks), 2, squeeze=False, width_ratios=(3, 2))
    for (left, right), task in zip(axes, report.tasks, strict=True):
        _anytime(left, task)
        _profile(right, task)
        for axis in (left, right):
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(color="#e4e4e4", linewidth=0.7)
            axis.set_axisbelow(True)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=_NAMES_IN_A_ROW, frameon=False, handlelength=3.5)
    canvas.print_png(str(path))  # type: ignore[no-untyped-call]


def _anytime(axis: Axes, task: TaskReport) -> None:
    table = task.tables[0]
    factor, unit = _scale(table.score.metric)
    banded = len(task.summaries) <= len(_COLOURS)  # the bands of more would cover each other and the curves
    for number, (summary, curve) in enumerate(zip(task.summaries, task.curves, strict=True)):
        colour, style = _pen(number)
        axis.plot(curve.times, factor * curve.mean, color=colour, linestyle=style, linewidth=2, label=summary.agent)
        if len(curve.runs) <= _FEW_RUNS:
            for run in curve.runs:
                axis.plot(curve.times, factor * run, color=colour, linestyle=style, linewidth=0.8, alpha=0.45)
        elif banded:
            low, high = (factor * bound for bound in curve.interval)
            axis.fill_between(curve.times, low, high, color=colour, alpha=0.18, linewidth=0)
    if np.isfinite(table.best):
        axis.axhline(factor * table.best, color=_GREY, linewidth=1, linestyle=(0, (1, 2)))
        axis.annotate(
            f"best known {factor * table.best:.2f}", (0.01, factor * table.best), xycoords=("axes fraction", "data"),
            xytext=(0, 3), textcoords="offset points", color=_GREY, fontsize=8,
        )  # fmt: skip
    axis.set_xlim(0, task.curves[0].times[-1] or 1)
    _focus(axis, task, factor)
    few = max(len(curve.runs) for curve in task.curves) <= _FEW_RUNS
    axis.set_title(f"{task.spec.label}: best found so far", fontsize=11, loc="left")
    beside = ", thin: each run" if few else ", with its 95% interval" if banded else ""
    axis.set_xlabel(f"simulated seconds (mean of runs{beside})")
    axis.set_ylabel(f"{table.score.name} {unit}")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _focus(axis: Axes, task: TaskReport, factor: float) -> None:
    """Leave out the steep beginning: the axis shows what lies between the level at 5% of the time and the best."""
    lines = [line for c in task.curves for line in (c.runs if len(c.runs) <= _FEW_RUNS else c.mean[None])]
    early = [line[max(len(line) // 20, _first_known(line))] for line in lines]
    known = [value for value in early if np.isfinite(value)]
    best = task.tables[0].best
    if not known or not np.isfinite(best):
        return
    far = max(known, key=lambda value: abs(best - value))
    span = max(abs(best - far), 1e-4)
    worst, top = (far - 0.06 * span, best + 0.1 * span) if far <= best else (best - 0.1 * span, far + 0.06 * span)
    axis.set_ylim(factor * worst, factor * top)


def _first_known(values: NDArray[np.float64]) -> int:
    known = np.flatnonzero(np.isfinite(values))
    return int(known[0]) if len(known) else 0


def _profile(axis: Axes, task: TaskReport) -> None:
    table = task.tables[0]
    factor, unit = _scale(table.score.metric)
    finals = [f.scores[table.score.name] for f in task.finals]
    known = [scores[np.isfinite(scores)] for scores in finals]
    pooled = np.concatenate(known) if known else np.empty(0)
    axis.set_title("spread over runs when the budget is spent", fontsize=11, loc="left")
    axis.set_xlabel(f"{table.score.name} {unit}")
    axis.set_ylabel("share of runs above")
    axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
    axis.set_ylim(0, 1.02)
    if not len(pooled):
        return
    low, high = np.quantile(pooled, 0.01), max(pooled.max(), np.nan_to_num(table.best, nan=-np.inf))
    thresholds = np.linspace(low - 0.02 * (high - low + 1e-6), high, 400)
    for number, scores in enumerate(known):
        if len(scores):
            colour, style = _pen(number)
            axis.plot(
                factor * thresholds, performance_profile(scores, thresholds), color=colour, linestyle=style, linewidth=2
            )
    axis.set_xlim(factor * thresholds[0], factor * thresholds[-1])


def _pen(number: int) -> tuple[str, str]:
    """Return colour and style; the first 32 differ."""
    colours, styles = len(_COLOURS), len(_STYLES)
    return _COLOURS[number % colours], _STYLES[(number + number // colours) % styles]


def _scale(metric: str) -> tuple[float, str]:
    return (100.0, "accuracy (%)") if METRICS[metric] == "fraction" else (1.0, f"({METRICS[metric]})")
