"""docs/environments.md says what the docstrings say."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path

import pytest

from nasgym.envs.construct import ConstructEnv
from nasgym.envs.edit import EditEnv

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "environments.md"
HEADINGS = (
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Version History",
)


@pytest.mark.parametrize("kind", [ConstructEnv, EditEnv])
def test_the_page_has_the_docstring_with_gymnasiums_headings(kind: type) -> None:
    text = inspect.getdoc(kind) or ""
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(HEADINGS)
    assert text.replace("\n## ", "\n### ") in PAGE.read_text(), f"copy the docstring of {kind.__name__} into the page"


def test_the_page_on_speed_shows_each_bound_and_whether_its_figure_keeps_it() -> None:
    path = ROOT / "benchmarks" / "env_speed.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (ROOT / "docs" / "speed.md").read_text()
    tables = {"gymnasium.make": script.HOLD}
    tables |= {f"gymnasium.make_vec, {width:,}": hold for width, hold in script.HOLD_BATCHED.items()}
    for title, hold in tables.items():
        lines = page.split(f"| {title} |")[1].split("\n\n")[0].splitlines()[2:]
        rows = {cells[1]: cells for cells in ([cell.strip() for cell in line.split("|")] for line in lines)}
        for name, bound in hold.items():
            verdict = "held" if float(rows[name][4]) >= bound else "**missed**"
            assert rows[name][5] == f"{bound:g}: {verdict}"
