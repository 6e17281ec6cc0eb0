"""Reports: the figures are those of the runs, and what is not known is a dash."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasgym.agents import get_agent
from nasgym.spaces import get_space
from nasgym.store import Store
from nasgym.study import (
    Report,
    StudyDesign,
    TaskReport,
    TaskSpec,
    analyse,
    published_note,
    published_rows,
    run_study,
    summary_rows,
    task_facts,
    write_report,
)
from nasgym.study.plots import _pen
from nasgym.study.statistics import interquartile_mean, mean_interval
from nasgym.task import PROTOCOLS
from tests.study.samples import FINAL, TASK

AGENTS = ("random_search", "regularized_evolution", "local_search")


@pytest.fixture(scope="module")
def report(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two tasks: one whose final scores are stored, one plain with two workers."""
    common = {"on_missing": "error", "store": str(filled), "budget": 250.0}
    tasks = (TaskSpec(TASK, protocol="nasbench201-2020", **common), TaskSpec(TASK, workers=2, **common))  # type: ignore[arg-type]
    folder = tmp_path_factory.mktemp("report") / "out"
    done = analyse(run_study(StudyDesign(tasks, AGENTS, 12, first_seed=5), folder))
    write_report(done)
    return done


def rows_of(report: Report, name: str) -> list[dict[str, str]]:
    with (report.study.folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_finals_are_the_best_that_was_seen(report: Report) -> None:
    evaluations = rows_of(report, "evaluations.csv")
    runs = rows_of(report, "runs.csv")
    assert len(runs) == 2 * len(AGENTS) * 12 and {r["status"] for r in runs} == {"ok"}
    for run in runs:
        own = [e for e in evaluations if all(e[k] == run[k] for k in ("task", "agent", "run"))]
        best = max(own, key=lambda e: float(e["accuracy"]))  # the first of equals, as max has it
        assert (run["index"], run["seen"], run["found"]) == (best["index"], best["accuracy"], best["finished"])
        assert int(run["evaluations"]) == len(own)
        assert int(get_space("nb201").index(get_space("nb201").from_str([run["architecture"]]))[0]) == int(run["index"])


def test_scores_are_looked_up_where_the_protocol_says(report: Report) -> None:
    for run in rows_of(report, "runs.csv"):
        if run["task"] == f"{TASK}@nasbench201-2020":
            final = Store(report.tasks[0].spec.store).get(FINAL, int(run["index"]), 0)
            assert final is not None and float(run["cifar10 valid"]) == pytest.approx(final.valid_accuracy)
            assert run["cifar100 valid"] == "" and run["valid"] == ""
        else:
            assert run["valid"] and run["cifar10 valid"] == ""


def test_the_summary_is_that_of_the_runs(report: Report) -> None:
    runs, summary = rows_of(report, "runs.csv"), rows_of(report, "summary.csv")
    for line in summary:
        column = line["quantity"]
        own = [r for r in runs if all(r[k] == line[k] for k in ("task", "agent"))]
        values = np.array([float(r[column]) for r in own if r[column]])
        assert int(line["runs"]) == len(values)
        if len(values):
            expected = [values.mean(), values.std(), *mean_interval(values), float(interquartile_mean(values))]
            assert [float(line[k]) for k in ("mean", "std", "low", "high", "iqm")] == pytest.approx(expected)
            assert float(line["iqm_low"]) <= float(line["iqm"]) <= float(line["iqm_high"])
        else:
            assert line["mean"] == ""


def test_people_read_percent_and_dashes(report: Report) -> None:
    heads, rows = summary_rows(report.tasks[0])
    row = dict(zip(heads, rows[1], strict=True))
    found = report.tasks[0].summaries[1].quantities["cifar10 valid"]
    assert row["cifar10 valid"] == f"{100 * found.mean:.2f} ± {100 * found.std:.2f}"
    assert dict(zip(heads, rows[0], strict=True))["better than random_search"] == "—"
    page = (report.study.folder / "summary.md").read_text()
    assert "not in the store: cifar100 valid —" in page


def test_more_than_three_agents_are_ranked(filled: Path, tmp_path: Path) -> None:
    agents = ("random_search", "regularized_evolution", "local_search", "regularized_evolution:small")
    spec = TaskSpec(TASK, budget=200.0, on_missing="error", store=str(filled))
    (task,) = analyse(run_study(StudyDesign((spec,), agents, 3), tmp_path / "out")).tasks
    heads, rows = summary_rows(task)
    assert heads[-1] == "mean rank" and [row[-1] for row in rows] == [f"{s.rank:.1f}" for s in task.summaries]
    assert sum(s.rank for s in task.summaries) == pytest.approx(10.0)
    assert "mean rank" not in summary_rows(replace(task, summaries=task.summaries[:3]))[0]


def test_the_first_pens_differ() -> None:
    assert len({_pen(number) for number in range(32)}) == 32


@pytest.fixture(scope="module")
def by_the_rules(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A study as its protocol says, with an agent of the paper, one of its presets, and one that is not in it."""
    agents = ("random_search", "regularized_evolution:small", "local_search", "bohb:nb201-2020", "reinforce:nats")
    spec = TaskSpec(TASK, protocol="nasbench201-2020", on_missing="error", store=str(filled))
    return analyse(run_study(StudyDesign((spec,), agents, 2), tmp_path_factory.mktemp("rules") / "out"))


def test_published_figures_stand_beside(by_the_rules: Report) -> None:
    (task,) = by_the_rules.tasks
    heads, rows = published_rows(task)
    assert heads[2:] == ["here", "published", "difference"]
    assert [row[:2] + row[3:4] for row in rows] == [
        ["random_search", "cifar10 valid", "90.93 ± 0.36"],
        ["random_search", "cifar10 test", "93.70 ± 0.36"],
        ["bohb:nb201-2020", "cifar10 valid", "90.82 ± 0.53"],  # a row of a preset stands beside that preset
        ["bohb:nb201-2020", "cifar10 test", "93.61 ± 0.52"],
        ["reinforce:nats", "cifar10 valid", "91.09 ± 0.37"],  # a preset with the published settings
        ["reinforce:nats", "cifar10 test", "93.85 ± 0.37"],
    ]
    here = task.summaries[0].quantities["cifar10 valid"].mean
    assert rows[0][4] == f"{100 * here - 90.93:+.2f}"
    assert published_note(task) == (
        "published figures are not shown beside agents with other settings: regularized_evolution:small "
        "(published: regularized_evolution)"
    )


def test_other_rules_have_no_published_figures(report: Report) -> None:
    assert published_rows(report.tasks[0])[1] == []
    assert published_note(report.tasks[0]).endswith("departs from the protocol: budget 250.0, not 12000.0")
    assert published_rows(report.tasks[1])[1] == [] and published_note(report.tasks[1]) == ""
    page = (report.study.folder / "summary.md").read_text()
    assert "Published figures are not shown beside" in page and "| published |" not in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": "nb201-200"}, "recipe nb201-200, not nb201-12"),
        ({"seeds": "mean"}, "seeds mean, not random"),
        ({"workers": 4}, "simulated workers 4, not 1"),
        ({"max_evaluations": 9}, "limit of evaluations 9, not none"),
        ({"charge_repeats": False}, "charge repeats False, not True"),
        ({"share_equal": True}, "equal networks answer for each other True, not False"),
        ({"protocol": replace(PROTOCOLS["nasbench201-2020"], overshoot=True)}, "overshoot True, not False"),
    ],
)
def test_every_departure_from_the_protocol_is_told(by_the_rules: Report, changes: dict[str, object], said: str) -> None:
    spec = replace(by_the_rules.tasks[0].spec, **changes)  # type: ignore[arg-type]
    other = replace(by_the_rules.tasks[0], spec=spec, task=spec.make())
    assert published_rows(other)[1] == [] and published_note(other).endswith(f"the protocol: {said}")


def test_a_score_that_only_some_runs_have_says_so(filled: Path, tmp_path: Path) -> None:
    """The first evaluation of the others does not end within the budget."""
    design = StudyDesign((TaskSpec(TASK, budget=9.0, on_missing="error", store=str(filled)),), ("random_search",), 10)
    task = analyse(run_study(design, tmp_path / "out")).tasks[0]
    known = int(np.isfinite(task.finals[0].scores["valid"]).sum())
    assert 0 < known < 10
    row = dict(zip(*[summary_rows(task)[0], summary_rows(task)[1][0]], strict=True))
    assert row["valid"].endswith(f" ({known} of 10)") and row["regret"].endswith(f" ({known} of 10)")
    assert row["runs"] == "10"


def test_published_figures_name_scores_of_their_protocol() -> None:
    for protocol in PROTOCOLS.values():
        names = {score.name for score in protocol.scores}
        assert {p.score for p in protocol.published} <= names
        assert all(0 < p.mean < 1 and 0 <= p.std < (0.08 if p.seconds else 0.05) for p in protocol.published)
        assert all(get_agent(p.agent) for p in protocol.published)


def test_the_curve_ends_at_the_finals_and_only_rises(report: Report) -> None:
    for task in report.tasks:
        for curve, finals in zip(task.curves, task.finals, strict=True):
            name = task.tables[0].score.name
            assert curve.mean[-1] == pytest.approx(finals.scores[name].mean())
            assert curve.regret[-1] == pytest.approx(finals.regret.mean())
            assert curve.times[-1] == 250.0 and np.isnan(curve.mean[0])
            np.testing.assert_array_equal(curve.runs[:, -1], finals.scores[name])


def test_the_picture_is_drawn(report: Report) -> None:
    from matplotlib.image import imread

    pixels = imread(report.study.folder / "anytime.png")
    assert pixels.shape[0] > 1000 and pixels.shape[1] > 1500
    assert len(np.unique(pixels[..., :3].reshape(-1, 3), axis=0)) > 100


def test_nothing_at_all_can_be_reported(tmp_path: Path, filled: Path) -> None:
    """Every run failed, and no final score is known: a page, a picture, no crash."""
    agent = tmp_path / "bad.py"
    agent.write_text("class Bad:\n    def search(self, task, seed):\n        raise OSError('no')\n")
    spec = TaskSpec("nb201/cifar10", protocol="nats-tss", on_missing="error", store=str(filled))
    study = run_study(StudyDesign((spec,), (f"{agent}:Bad",), 2), tmp_path / "out")
    write_report(analyse(study))
    assert len(study.failures) == 2 and "OSError: no" in (tmp_path / "out" / "summary.md").read_text()
    assert (tmp_path / "out" / "anytime.png").stat().st_size > 1000


def test_figures_of_a_search_that_ends_by_itself_stand_beside_a_budget_that_holds_it(by_the_rules: Report) -> None:
    """RSPS took 8,007 seconds, GDAS 31,610; the budget of the protocol is 12,000."""
    (task,) = by_the_rules.tasks
    names = ("rsps:nb201-2020", "rsps:nb201-2020-batch", "gdas:nb201-2020", "rsps", "enas:nb201-2020")
    summaries = [replace(task.summaries[0], agent=name) for name in names]
    summaries[-1] = replace(summaries[-1], settings={"epochs": 3})
    made = replace(task, summaries=tuple(summaries))

    def shown(report: TaskReport) -> list[tuple[str, str]]:
        return [(row[0], row[3]) for row in published_rows(report)[1] if row[1] == "cifar10 valid"]

    small = [("rsps:nb201-2020", "80.42 ± 3.58"), ("rsps:nb201-2020-batch", "84.16 ± 1.69")]
    assert shown(made) == small
    note = published_note(made)
    assert "rsps (published: rsps:nb201-2020, rsps:nb201-2020-batch), enas:nb201-2020 (published: " in note
    assert note.endswith("beside gdas:nb201-2020, since this study departs from the protocol: "
                         "budget 12000.0, not 31610 or more")  # fmt: skip
    longer = replace(made, task=replace(task.spec, budget=40_000.0).make())
    assert shown(longer) == [*small, ("gdas:nb201-2020", "89.89 ± 0.08")]


def test_where_a_search_runs_is_no_other_setting(by_the_rules: Report) -> None:
    (task,) = by_the_rules.tasks
    summary = replace(task.summaries[0], agent="rsps:nb201-2020", settings={"checkpoints": "folder"})
    assert published_rows(replace(task, summaries=(summary,)))[1]


def test_settings_are_reported(filled: Path, tmp_path: Path) -> None:
    spec = TaskSpec(TASK, protocol="nasbench201-2020", on_missing="error", store=str(filled))
    agent = "regularized_evolution"
    report = analyse(run_study(StudyDesign((spec,), (agent,), 1, settings={agent: {"sample": 2}}), tmp_path / "out"))
    write_report(report)
    assert "- settings: regularized_evolution.sample=2\n" in (tmp_path / "out" / "summary.md").read_text()
    assert published_rows(report.tasks[0])[1] == []
    assert "settings" not in " ".join(task_facts(replace(report.tasks[0], summaries=())))


@pytest.mark.parametrize(
    ("budget", "said"), [(0.0001, "0.0001"), (1.5, "1.5"), (9.25, "9.25"), (12.4, "12"), (12_000.0, "12,000")]
)
def test_a_small_budget_is_told_with_its_digits(by_the_rules: Report, budget: float, said: str) -> None:
    task = by_the_rules.tasks[0]
    made = replace(task, task=replace(task.spec, budget=budget).make())
    assert f"budget: {said} simulated seconds, 1 simulated worker" in task_facts(made)
