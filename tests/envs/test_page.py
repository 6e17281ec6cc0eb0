"""docs/environments.md says what the docstrings say."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from nasgym.envs.construct import ConstructEnv
from nasgym.envs.edit import EditEnv

PAGE = Path(__file__).resolve().parents[2] / "docs" / "environments.md"
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
