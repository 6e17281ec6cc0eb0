"""Figures as people read them: accuracies in percent, the unknown as a dash."""

from __future__ import annotations

import math

from nasgym.study.analysis import Quantity, Summary

__all__ = ["UNKNOWN", "figure_text", "score_text", "seconds_text"]

UNKNOWN = "—"


def score_text(mean: float, std: float | None = None, unit: str = "fraction") -> str:
    """Return a figure for people: fractions in percent, the unknown as a dash."""
    if math.isnan(mean):
        return UNKNOWN
    factor = 100 if unit == "fraction" else 1
    return f"{factor * mean:.2f}" + ("" if std is None else f" ± {factor * std:.2f}")


def seconds_text(seconds: float) -> str:
    """Return seconds for people: whole ones from 10 on, all significant digits up to three below."""
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.3g}"


def figure_text(found: Quantity, summary: Summary, unit: str = "fraction") -> str:
    """Return mean ± standard deviation over runs, and of how many runs where that is not all of them.

    One run has no deviation.
    """
    some = f" ({found.runs} of {summary.runs})" if 0 < found.runs < summary.runs else ""
    return score_text(found.mean, found.std if found.runs > 1 else None, unit) + some
