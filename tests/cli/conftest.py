"""The program on a made-up store, in this process and in others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.study.samples import fill

ROOT = Path(__file__).resolve().parent.parent.parent
Run = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole made-up table; nothing writes to it."""
    return fill(tmp_path_factory.mktemp("filled") / "store")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs `nasgym WORDS...` here, in an empty folder, and expects an exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path, code: int = 0) -> Result:
        from nasgym.cli import app

        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, f"exit code {result.exit_code}\n{result.stdout}\n{result.stderr}"
        return result

    return run


@pytest.fixture
def spawn(tmp_path: Path) -> Spawn:
    """A function that starts `nasgym WORDS...` as a process of its own, in an empty folder."""

    def spawn(*words: str | Path, **options: object) -> subprocess.Popen[str]:
        start = "from nasgym.cli import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", start, *map(str, words)],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,  # type: ignore[call-overload]
        )  # fmt: skip

    return spawn
