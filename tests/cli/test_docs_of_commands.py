"""docs/cli.md names every command and every option."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main

from nasgym.cli import app
from tests.cli.test_lists import commands

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "cli.md"


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_a_heading_an_example_and_its_options(words: tuple[str, ...]) -> None:
    name = " ".join(words)
    sections = PAGE.read_text().split("\n## ")
    (section,) = [s for s in sections if s.startswith(f"`nasgym {name}`\n")]
    assert f"$ nasgym {name}" in section, "no example"
    command: object = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    for option in command.params:  # type: ignore[attr-defined]
        if option.param_type_name == "option" and option.name != "help":
            assert f"`{option.opts[0]}" in section, f"{option.opts[0]} is not explained"
