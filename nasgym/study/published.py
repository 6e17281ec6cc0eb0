"""Published figures beside a study's own, where the study was run as the published one was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from nasgym.agents import Agent, get_agent
from nasgym.recipes import default_recipe
from nasgym.study.analysis import Summary, TaskReport
from nasgym.study.texts import figure_text, score_text
from nasgym.task import PROTOCOLS
from nasgym.task.published import Published

__all__ = ["published_note", "published_rows"]

_WHERE = ("checkpoints", "device")  # settings that say where a search runs, and nothing of what it finds


def published_rows(task: TaskReport) -> tuple[list[str], list[list[str]]]:
    """Return the heads and rows that show published figures beside these.

    There are no rows where nothing is published, where the study departs from its protocol, and for an agent whose
    settings are not those of the publication, whatever it is called: `published_note` says so.
    """
    rows = []
    for summary in task.summaries:
        known = {paper.score: paper for paper in _figures(task, summary) if not _departures(task, paper.seconds)}
        for name, here in summary.quantities.items():
            paper = known.get(name)
            if paper is not None and here.runs:
                off = 100 * (here.mean - paper.mean)
                figures = (figure_text(here, summary), score_text(paper.mean, paper.std), f"{off:+.2f}")
                rows.append([summary.agent, name, *figures])
    return ["agent", "score", "here", "published", "difference"], rows


def published_note(task: TaskReport) -> str:
    """Return in one line what keeps published figures of these agents from being shown; empty where nothing does."""
    others, departing = [], dict[str, list[str]]()
    for summary in task.summaries:
        named = [p.agent for p in _published(task) if _base(p.agent) == _base(summary.agent)]
        figures = _figures(task, summary)
        if named and not figures:
            others.append(f"{summary.agent} (published: {', '.join(dict.fromkeys(named))})")
        for departures in {_departures(task, paper.seconds) for paper in figures} - {""}:
            departing.setdefault(departures, []).append(summary.agent)
    notes = [f"beside agents with other settings: {', '.join(others)}"] if others else []
    notes += [
        f"beside {', '.join(agents)}, since this study departs from the protocol: {departures}"
        for departures, agents in departing.items()
    ]
    return f"published figures are not shown {'; nor '.join(notes)}" if notes else ""


def _base(agent: str) -> str:
    return agent.partition(":")[0]


def _published(task: TaskReport) -> list[Published]:
    dataset = task.task.benchmark.key.dataset
    return [paper for paper in task.task.protocol.published if paper.dataset == dataset]


def _figures(task: TaskReport, summary: Summary) -> list[Published]:
    """Return what is published of the agent with the settings that it has here."""
    same = [paper for paper in _published(task) if _base(paper.agent) == _base(summary.agent)]
    if not same:
        return []
    here = _deciding(get_agent(summary.agent, **summary.settings))
    return [paper for paper in same if _deciding(get_agent(paper.agent)) == here]


def _deciding(agent: Agent) -> dict[str, Any]:
    """Return the settings of an agent that decide over its search."""
    return {name: value for name, value in vars(agent).items() if name not in _WHERE}


def _departures(task: TaskReport, seconds: float | None) -> str:
    """Return in words where a study was not run by the rules of its protocol; empty where it was.

    ``seconds`` are those of a published search that ended by itself: a budget of at least so many is no departure.
    """
    lines = [(name, here, there) for name, here, there in _settings(task) if here != there]
    if seconds is not None:
        lines = [line for line in lines if line[0] != "budget"]
        if task.task.budget < seconds:
            lines.insert(0, ("budget", task.task.budget, f"{seconds} or more"))
    return "; ".join(f"{name} {here}, not {there}" for name, here, there in lines)


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
