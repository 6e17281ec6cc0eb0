"""Published figures beside a study's own, where the study was run as the published one was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from nasgym.recipes import default_recipe
from nasgym.study.analysis import Summary, TaskReport
from nasgym.study.texts import figure_text, score_text
from nasgym.task import PROTOCOLS
from nasgym.task.published import Published

__all__ = ["published_note", "published_rows"]


def published_rows(task: TaskReport) -> tuple[list[str], list[list[str]]]:
    """Return the heads and rows that show published figures beside these.

    There are no rows where nothing is published, or where the study departs from its protocol, and none for an agent
    with a preset: `published_note` says so.
    """
    known = {} if _departures(task) else _published(task)
    rows = []
    for summary in task.summaries:
        for name, here in summary.quantities.items():
            paper = known.get((summary.agent, name))
            if paper is not None and here.runs:
                off = 100 * (here.mean - paper.mean)
                figures = (figure_text(here, summary), score_text(paper.mean, paper.std), f"{off:+.2f}")
                rows.append([summary.agent, name, *figures])
    return ["agent", "score", "here", "published", "difference"], rows


def published_note(task: TaskReport) -> str:
    """Return in one line what keeps published figures of these agents from being shown; empty where nothing does."""
    named = {agent for agent, _ in _published(task)}
    presets = [s.agent for s in task.summaries if _base(s) in named and s.agent != _base(s)]
    if not any(_base(summary) in named for summary in task.summaries):
        return ""
    if departures := _departures(task):
        return f"published figures are not shown beside, since this study departs from the protocol: {departures}"
    return f"published figures are not shown beside agents with a preset: {', '.join(presets)}" if presets else ""


def _base(summary: Summary) -> str:
    return summary.agent.partition(":")[0]


def _published(task: TaskReport) -> dict[tuple[str, str], Published]:
    dataset = task.task.benchmark.key.dataset
    return {(p.agent, p.score): p for p in task.task.protocol.published if p.dataset == dataset}


def _departures(task: TaskReport) -> str:
    """Return in words where a study was not run by the rules of its protocol; empty where it was."""
    return "; ".join(f"{name} {here}, not {there}" for name, here, there in _settings(task) if here != there)


def _settings(task: TaskReport) -> Iterator[tuple[str, object, object]]:
    """Yield what can be set in a study: its name, its value here, and the protocol's."""
    made, dataset = task.task, task.task.benchmark.key.dataset
    rules = PROTOCOLS.get(made.protocol.name, made.protocol)
    yield "budget", made.budget, rules.budget(dataset) or float("inf")
    yield "recipe", made.benchmark.key.recipe, rules.recipe or default_recipe(dataset, made.space.name)
    yield "simulated workers", made.workers, 1
    yield "limit of evaluations", made.max_evaluations or "none", "none"
    yield "equal networks answer for each other", made.benchmark.share_equal, False
    for rule in fields(rules):
        if rule.name not in ("recipe", "budgets"):
            yield rule.name.replace("_", " "), getattr(made.protocol, rule.name), getattr(rules, rule.name)
