"""Compare all agents on the embedded table, and write the table and the picture of docs/studies.md.

python docs/all_agents.py
python docs/all_agents.py --runs 10 --sharing-runs 0

The first line is the study of the page; the second one leaves out weight sharing, whose agents train a network of their
own. The same command goes on where it was interrupted. It is one `nasgym compare`, which the page shows.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from nasgym.agents import agent_class, agent_names
from nasgym.executors import cores, executor_for
from nasgym.study import Report, StudyDesign, StudyRuns, TaskSpec, analyse, run_study, summary_rows, write_report
from nasgym.study.reporting import task_facts
from nasgym.task.making import DEFAULT_TASK

BEGIN, END = "<!-- all agents: written by docs/all_agents.py -->\n", "<!-- end of all agents -->\n"
DOCS = Path(__file__).parent
BUDGET = 100.0
"""Simulated seconds: a hundred whole trainings or more, about as many as the published budgets buy."""


def main() -> None:
    """Run what is left of the study and rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--sharing-runs", type=int, default=3, help="runs of each weight-sharing agent; 0: none")
    parser.add_argument("--out", type=Path, default=Path("nasgym-studies/all-agents"))
    parser.add_argument("--jobs", type=int, default=cores())
    given = parser.parse_args()
    design = everything(given.runs, given.sharing_runs)
    study = run_study(design, given.out, executor=executor_for(given.jobs))
    report = analyse(study)
    write_report(report)
    picture = DOCS / "images" / "all-agents.png"
    shutil.copyfile(given.out / "anytime.png", picture)
    path = DOCS / "studies.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(before + BEGIN + "\n".join(["", *lines(report), "", END]) + after, encoding="utf-8")
    print(f"{seconds():,.0f} processor seconds; {len(study.failures)} runs failed")


def everything(runs: int, sharing_runs: int) -> StudyDesign:
    """Return the study: every agent with its defaults, those of weight sharing with runs of their own."""
    sharing = [name for name in agent_names() if agent_class(name).family == "weight sharing"]
    names = [name for name in agent_names() if sharing_runs or name not in sharing]
    few = {name: sharing_runs for name in sharing if sharing_runs}
    return StudyDesign((TaskSpec(DEFAULT_TASK, budget=BUDGET, on_missing="error"),), tuple(names), runs, runs_of=few)


def lines(report: Report) -> Iterator[str]:
    """Yield the section: the command, what was searched, the table by rank, the time that it took, the picture."""
    (task,) = report.tasks
    yield from (
        "<!-- no-run: every agent, many runs: minutes -->",
        "```console",
        command(report.study.design),
        "```",
        "",
    )
    yield from (f"- {fact}" for fact in task_facts(task))
    yield from ("", took(report.study), "")
    heads, rows = summary_rows(task)
    families = {name: agent_class(name).family for name in report.study.design.agents}
    yield f"| {' | '.join([heads[0], 'family', *heads[1:]])} |"
    yield f"|---|---|{'---:|' * (len(heads) - 1)}"
    for row in sorted(rows, key=lambda row: float(row[-1]) if row[-1] != "—" else len(rows) + 1.0):
        yield f"| {' | '.join([f'`{row[0]}`', families[row[0]], *row[1:]])} |"
    yield from ("", "![Best accuracy so far of all agents, and the spread over runs](images/all-agents.png)")


def command(design: StudyDesign) -> str:
    """Return the command that is this study."""
    words = [f"--budget {BUDGET:g} --runs {design.runs} --on-missing error", f"--agents {','.join(design.agents)}"]
    words += [" ".join(f"--runs-of {agent}={runs}" for agent, runs in design.runs_of.items())] if design.runs_of else []
    words += [" ".join(f"--set {shlex.quote(word)}" for word in design.settings_words)] if design.settings else []
    return "$ nasgym compare " + " \\\n    ".join(words)


def took(study: StudyRuns) -> str:
    """Return how long the runs took, where all were made now."""
    if study.resumed:
        return f"{study.design.total_runs} runs."
    return f"{study.design.total_runs} runs, which took {seconds():,.0f} processor seconds in all."


def seconds() -> float:
    """Return the processor seconds of this process and of its workers so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


if __name__ == "__main__":
    main()
