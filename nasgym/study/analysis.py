"""From runs to figures: what each run settled on, summaries over runs, and curves over simulated time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.study.design import TaskSpec
from nasgym.study.records import RunSet
from nasgym.study.running import StudyRuns
from nasgym.study.scoring import NOTHING, ScoreTable, incumbents, score_tables, take
from nasgym.study.statistics import (
    Interval,
    bootstrap_interval,
    interquartile_mean,
    mean,
    mean_interval,
    mean_ranks,
    probability_of_improvement,
    std,
)
from nasgym.task import Task

__all__ = ["Curve", "Finals", "Quantity", "Report", "Summary", "TaskReport", "analyse"]

_GRID = 400  # points of a curve
_BOOTSTRAP_SEED = 0  # the same runs give the same intervals


@dataclass(frozen=True, eq=False)
class Finals:
    """What each run of one agent on one task settled on when its budget was spent; arrays over runs.

    Attributes:
        runs: The runs.
        indices: ``int64[R]``, the architecture; -1 where a run has none.
        seen: ``float64[R]``, the accuracy that the agent saw of it.
        found: ``float64[R]``, simulated seconds at which it was found.
        scores: Score name -> ``float64[R]``, NaN where it is not known.
        regret: ``float64[R]``, distance of the first score from the best known architecture.
    """

    runs: RunSet
    indices: NDArray[np.int64]
    seen: NDArray[np.float64]
    found: NDArray[np.float64]
    scores: Mapping[str, NDArray[np.float64]]
    regret: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """The first score of what runs would have answered, over simulated time.

    Attributes:
        times: ``float64[k]``, simulated seconds.
        runs: ``float64[R, k]``, each run; NaN before its first result.
        mean: ``float64[k]``, over runs; NaN while some run has no result yet.
        interval: 95% confidence interval of the mean.
        regret: ``float64[k]``, mean distance from the best known architecture.
    """

    times: NDArray[np.float64]
    runs: NDArray[np.float64]
    mean: NDArray[np.float64]
    interval: Interval
    regret: NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """One quantity over runs, in the unit of the API; NaN where it is not known.

    Attributes:
        name: A score of the protocol, ``"regret"``, ``"seen"`` or ``"evaluations"``.
        runs: Runs for which it is known.
        mean: Over those.
        std: Divided by the number of runs, as in the published tables.
        low: Lower end of the 95% confidence interval of the mean (Student's).
        high: Its upper end.
        iqm: Interquartile mean.
        iqm_low: Lower end of its 95% bootstrap interval.
        iqm_high: Its upper end.
    """

    name: str
    runs: int
    mean: float
    std: float
    low: float
    high: float
    iqm: float
    iqm_low: float
    iqm_high: float


@dataclass(frozen=True)
class Summary:
    """One agent on one task.

    Attributes:
        agent: The agent as it was named.
        runs: Runs that ended well.
        failed: Runs that did not.
        quantities: By name, the scores in the order of the protocol.
        better: How probable a run of it beats one of the study's first agent, ties counting half; NaN if unknown.
        rank: Among all agents of the study by the first score, 1 for the best, see `mean_ranks`; NaN if unknown.
        settings: Hyper-parameters that the study set.
    """

    agent: str
    runs: int
    failed: int
    quantities: Mapping[str, Quantity]
    better: float
    rank: float
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TaskReport:
    """All agents on one task, in the order of the design.

    Attributes:
        spec: The task as values.
        task: The task.
        tables: The scores of its protocol for every architecture.
        finals: What runs settled on.
        curves: Over simulated time.
        summaries: Over runs.
    """

    spec: TaskSpec
    task: Task
    tables: tuple[ScoreTable, ...]
    finals: tuple[Finals, ...]
    curves: tuple[Curve, ...]
    summaries: tuple[Summary, ...]


@dataclass(frozen=True, eq=False)
class Report:
    """A study with all its figures."""

    study: StudyRuns
    tasks: tuple[TaskReport, ...]


def analyse(study: StudyRuns) -> Report:
    """Score a study's runs. Here, and nowhere before, the scores of architectures are looked up."""
    return Report(study, tuple(_analyse_task(study, spec) for spec in study.design.tasks))


def _analyse_task(study: StudyRuns, spec: TaskSpec) -> TaskReport:
    task = spec.make()
    tables = score_tables(task)
    sets = [runs for runs in study.sets if runs.task == spec.label]
    finals = tuple(_finals(runs, tables, task.budget) for runs in sets)
    last = max((float(runs.evaluations.finished.max(initial=0.0)) for runs in sets), default=0.0)
    by_seconds = np.isfinite(task.budget) and task.max_evaluations is None
    times = np.linspace(0.0, task.budget if by_seconds else min(last, task.budget), _GRID)
    curves = tuple(_curve(runs, tables[0], times) for runs in sets)
    failed = [sum((f.task, f.agent) == (runs.task, runs.agent) for f in study.failures) for runs in sets]
    sign = 1.0 if tables[0].rises else -1.0
    ranks = mean_ranks([sign * f.scores[tables[0].score.name] for f in finals])
    summaries = tuple(
        replace(_summary(f, finals[0], tables[0], n, rank), settings=study.design.settings.get(f.runs.agent, {}))
        for f, n, rank in zip(finals, failed, ranks.tolist(), strict=True)
    )
    return TaskReport(spec, task, tables, finals, curves, summaries)


def _finals(runs: RunSet, tables: tuple[ScoreTable, ...], end: float) -> Finals:
    rows = incumbents(runs, np.array([end]))[:, 0]
    indices = take(runs.evaluations.indices, rows, NOTHING)
    return Finals(
        runs,
        indices,
        take(runs.evaluations.accuracies, rows, np.nan),
        take(runs.evaluations.finished, rows, np.nan),
        {table.score.name: table.of(indices) for table in tables},
        tables[0].regret(indices),
    )


def _curve(runs: RunSet, table: ScoreTable, times: NDArray[np.float64]) -> Curve:
    indices = take(runs.evaluations.indices, incumbents(runs, times), NOTHING)
    scores = table.of(indices)
    complete = np.where(np.isnan(scores).any(axis=0), np.nan, scores).T
    return Curve(times, scores, mean(complete), mean_interval(complete), np.abs(table.best - mean(complete)))


def _summary(finals: Finals, first: Finals, table: ScoreTable, failed: int, rank: float) -> Summary:
    columns = {**finals.scores, "regret": finals.regret, "seen": finals.seen}
    columns["evaluations"] = finals.runs.lengths.astype(np.float64)
    quantities = {name: _quantity(name, values) for name, values in columns.items()}
    better = _better(finals.scores[table.score.name], first.scores[table.score.name], table.rises)
    return Summary(finals.runs.agent, len(finals.runs), failed, quantities, better, rank)


def _quantity(name: str, values: NDArray[np.float64]) -> Quantity:
    known = values[~np.isnan(values)]
    if not len(known):
        return Quantity(name, 0, *(np.nan,) * 7)
    interval = mean_interval(known)
    robust = bootstrap_interval(known, np.random.default_rng(_BOOTSTRAP_SEED))
    figures = (mean(known), std(known), *interval, interquartile_mean(known), *robust)
    return Quantity(name, len(known), *(float(figure) for figure in figures))


def _better(values: NDArray[np.float64], others: NDArray[np.float64], rises: bool) -> float:
    known, against = values[~np.isnan(values)], others[~np.isnan(others)]
    if not len(known) or not len(against):
        return float("nan")
    share = probability_of_improvement(known, against)
    return share if rises else 1 - share
