"""Studies: agents x tasks x seeds, from a design to records, figures and a picture."""

from nasgym.study.analysis import Report, TaskReport, analyse
from nasgym.study.design import StudyDesign, TaskSpec
from nasgym.study.published import published_note, published_rows
from nasgym.study.reporting import summary_rows, task_facts, write_report
from nasgym.study.running import Progress, StudyRuns, run_study
from nasgym.study.settings import parse_settings

__all__ = [
    "Progress",
    "Report",
    "StudyDesign",
    "StudyRuns",
    "TaskReport",
    "TaskSpec",
    "analyse",
    "parse_settings",
    "published_note",
    "published_rows",
    "run_study",
    "summary_rows",
    "task_facts",
    "write_report",
]
