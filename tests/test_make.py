"""The Makefile's words to a newcomer; what its targets do is run by the checks themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("sh", "make", "grep", "sed", "expand", "touch", "rm")

pytestmark = pytest.mark.skipif(not all(shutil.which(tool) for tool in TOOLS), reason="no make here")


def make(folder: Path, target: str, python3: str | None) -> subprocess.CompletedProcess[str]:
    """Run make in a folder of its own, on a machine that has only ``python3`` (a shell script) beside the tools."""
    tools = folder / "bin"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(str(shutil.which(tool)))
    if python3 is not None:
        (tools / "python3").write_text(python3)
        (tools / "python3").chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return subprocess.run(
        ["make", target], cwd=folder, env={"PATH": str(tools)}, capture_output=True, text=True, check=False, timeout=60
    )


def test_help_lists_every_target_for_people(tmp_path: Path) -> None:
    done = make(tmp_path, "help", None)
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"demo", "test", "test-all", "lint", "help", "clean"} <= listed
    assert listed == set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("python3", "named"),
    [
        ('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n', "Python 3.9.2"),
        (None, "not found"),
    ],
    ids=["old", "none"],
)
def test_a_machine_without_a_new_enough_python_is_told(tmp_path: Path, python3: str | None, named: str) -> None:
    done = make(tmp_path, "demo", python3)
    assert done.returncode != 0
    assert "nasgym needs Python 3.11 or newer" in done.stderr and named in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_addresses_of_package_registries_are_nowhere() -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci/run"):
        assert not re.search(r"://|--(extra-)?index", (ROOT / name).read_text()), name
