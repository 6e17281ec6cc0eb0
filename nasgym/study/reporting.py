"""A study's report as files: rows for machines, a page for people, and a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nasgym.results import METRICS
from nasgym.study.analysis import Finals, Quantity, Report, Summary, TaskReport
from nasgym.study.design import settings_words
from nasgym.study.published import published_note, published_rows
from nasgym.study.records import csv_text, write_atomic, write_evaluations
from nasgym.study.scoring import ScoreTable
from nasgym.study.texts import UNKNOWN, figure_text, score_text, seconds_text

__all__ = ["summary_rows", "task_facts", "write_report"]

_FEW_AGENTS = 3  # up to so many a rank says nothing that the comparison with the first does not
_QUANTITY_FIELDS = ("runs", "mean", "std", "low", "high", "iqm", "iqm_low", "iqm_high")


def write_report(report: Report) -> None:
    """Write ``evaluations.csv``, ``runs.csv``, ``summary.csv``, ``summary.md`` and ``anytime.png`` into the folder."""
    from nasgym.study.plots import draw_report

    folder = report.study.folder
    write_evaluations(folder / "evaluations.csv", report.study.sets)
    _write_text(folder / "runs.csv", "".join(_run_lines(report)))
    _write_text(folder / "summary.csv", "".join(_summary_lines(report)))
    _write_text(folder / "summary.md", "\n".join(_page(report)) + "\n")
    write_atomic(folder / "anytime.png", lambda temporary: draw_report(report, temporary))


def summary_rows(task: TaskReport) -> tuple[list[str], list[list[str]]]:
    """Return the heads and rows of a task's table for people: mean ± standard deviation, accuracies in percent.

    A score that only some runs have says of how many; one that no run has is left out, and `task_facts` names it. Of
    more than three agents it has their mean ranks.
    """
    first, *others = _shown(task)
    versus = [f"better than {task.summaries[0].agent}"] if len(task.summaries) > 1 else []
    ranks = ["mean rank"] if len(task.summaries) > _FEW_AGENTS else []
    heads = ["agent", "runs", "evaluations", first, "95% interval", *others, "regret", *versus, *ranks]
    return heads, [_summary_row(task, summary, first, others)[: len(heads)] for summary in task.summaries]


def task_facts(task: TaskReport) -> list[str]:
    """Return in words what was searched, under which budget, and the best known scores."""
    key, protocol, clock = task.task.benchmark.key, task.task.protocol, task.task.clock
    budget = f"{seconds_text(clock.budget)} simulated seconds" if math.isfinite(clock.budget) else "no limit of seconds"
    if task.task.max_evaluations is not None:
        budget += f", {task.task.max_evaluations} evaluations"
    best = [
        f"{table.score.name} {score_text(table.best, unit=METRICS[table.score.metric])}{_among(table)}"
        for table in task.tables
        if not math.isnan(table.best)
    ]
    changed = [word for s in task.summaries for word in settings_words(s.agent, s.settings)]
    unknown = [table.score.name for table in task.tables if math.isnan(table.best)]
    return [
        f"searched {key} by {protocol.metric}, stored seeds: {protocol.seeds}",
        f"budget: {budget}, {clock.workers} simulated worker{'s' if clock.workers > 1 else ''}",
        *([f"settings: {', '.join(changed)}"] if changed else []),
        f"best known: {', '.join(best) or UNKNOWN}",
        *([f"not in the store: {', '.join(f'{name} {UNKNOWN}' for name in unknown)}"] if unknown else []),
    ]


def _among(table: ScoreTable) -> str:
    """Return of how many architectures the best is known, where it is not of all."""
    known, size = int(np.count_nonzero(~np.isnan(table.values))), len(table.values)
    return "" if known == size else f" (of {known:,} of {size:,} architectures)"


def _shown(task: TaskReport) -> list[str]:
    """Return the scores that some run has, or the first one where there is none."""
    names = [table.score.name for table in task.tables]
    return [n for n in names if any(s.quantities[n].runs for s in task.summaries)] or names[:1]


def _summary_row(task: TaskReport, summary: Summary, first: str, others: list[str]) -> list[str]:
    units = {table.score.name: METRICS[table.score.metric] for table in task.tables}
    units["regret"] = METRICS[task.tables[0].score.metric]

    def text(name: str) -> str:
        return figure_text(summary.quantities[name], summary, units[name])

    runs = f"{summary.runs}" + (f" ({summary.failed} failed)" if summary.failed else "")
    made = summary.quantities["evaluations"].mean
    return [
        summary.agent,
        runs,
        UNKNOWN if math.isnan(made) else f"{made:.1f}",
        text(first),
        _interval_text(summary.quantities[first], units[first]),
        *map(text, others),
        text("regret"),
        UNKNOWN if summary is task.summaries[0] or math.isnan(summary.better) else f"{100 * summary.better:.0f}%",
        UNKNOWN if math.isnan(summary.rank) else f"{summary.rank:.1f}",
    ]


def _interval_text(found: Quantity, unit: str) -> str:
    if math.isnan(found.low):
        return UNKNOWN
    return f"{score_text(found.low, unit=unit)} to {score_text(found.high, unit=unit)}"


def _run_lines(report: Report) -> Iterator[str]:
    scores = list(dict.fromkeys(t.score.name for task in report.tasks for t in task.tables))
    heads = ["task", "agent", "run", "status", "evaluations", "index", "architecture", "seen", "found", "regret"]
    yield ",".join(map(csv_text, [*heads, *scores])) + "\n"
    for task in report.tasks:
        for finals in task.finals:
            yield from _finals_lines(task, finals, scores)
    for failure in report.study.failures:
        fields = [failure.task, failure.agent, str(failure.seed), "failed", *[""] * (6 + len(scores))]
        yield ",".join(map(csv_text, fields)) + "\n"


def _finals_lines(task: TaskReport, finals: Finals, scores: list[str]) -> Iterator[str]:
    space = task.task.space
    texts = iter(space.to_str(space.from_index(finals.indices[finals.indices >= 0])))
    prefix = f"{csv_text(finals.runs.task)},{csv_text(finals.runs.agent)}"
    for i, seed in enumerate(finals.runs.seeds.tolist()):
        known = finals.indices[i] >= 0
        architecture = f"{finals.indices[i]},{csv_text(next(texts))}" if known else ","
        numbers = [finals.seen[i], finals.found[i], finals.regret[i]]
        numbers += [finals.scores[name][i] if name in finals.scores else math.nan for name in scores]
        yield f"{prefix},{seed},ok,{finals.runs.lengths[i]},{architecture},{','.join(map(_number, numbers))}\n"


def _summary_lines(report: Report) -> Iterator[str]:
    yield ",".join(["task", "agent", "failed", "quantity", *_QUANTITY_FIELDS]) + "\n"
    for task in report.tasks:
        for summary in task.summaries:
            for found in summary.quantities.values():
                names = (task.spec.label, summary.agent, str(summary.failed), found.name)
                yield ",".join([*map(csv_text, names), *_quantity_fields(found)]) + "\n"


def _quantity_fields(found: Quantity) -> list[str]:
    return [_number(getattr(found, name)) for name in _QUANTITY_FIELDS]


def _page(report: Report) -> Iterator[str]:
    design = report.study.design
    yield "# Study\n"
    others = "".join(f", {runs} of {agent}" for agent, runs in design.runs_of.items())
    yield f"{len(design.agents)} agents, {design.runs} runs each{others}; the seeds begin at {design.first_seed}."
    yield "Scores are those of the best architecture that a run had found when its budget was spent: mean ± standard"
    yield "deviation over runs, accuracies in percent, with Student's 95% interval of the first score's mean."
    for task in report.tasks:
        yield f"\n## {task.spec.label}\n"
        yield from (f"- {line}" for line in task_facts(task))
        yield ""
        yield from _markdown(*summary_rows(task))
        heads, rows = published_rows(task)
        if rows:
            yield f"\nBeside the published figures ({task.task.protocol.source}):\n"
            yield from _markdown(heads, rows)
        if note := published_note(task):
            yield f"\n{note[0].upper()}{note[1:]}."
    for failure in report.study.failures:
        yield f"\nFAILED: {failure.agent} on {failure.task}, run {failure.seed}: {failure.error.splitlines()[0]}"


def _markdown(heads: list[str], rows: list[list[str]]) -> Iterator[str]:
    for cells in (heads, ["---"] * len(heads), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(value.item() if hasattr(value, "item") else value)


def _write_text(path: Path, text: str) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8", newline="")

    write_atomic(path, write)
