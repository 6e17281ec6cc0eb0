"""`nasgym agents`, `nasgym tasks`, `nasgym info`, help and version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nasgym
from nasgym.agents import agent_class, agent_names, describe
from nasgym.recipes import default_recipe, get_recipe
from nasgym.store import Store, TableKey
from nasgym.tables import embedded_keys, embedded_table
from nasgym.task import PROTOCOLS, task_names
from tests.cli.conftest import ROOT, Run, Spawn
from tests.study.samples import TASK, write_agent


def commands() -> list[tuple[str, ...]]:
    """Return every command of the program as its words."""
    import typer.main

    from nasgym.cli import app

    found = []

    def walk(command: object, words: tuple[str, ...]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, name))
        if not hasattr(command, "commands"):
            found.append(words)

    walk(typer.main.get_command(app), ())
    return found


def test_agents_are_listed(run: Run) -> None:
    said = run("agents").stdout
    parts = re.split(r"\n(?! )", said)  # an entry begins where a line is not indented
    assert max(map(len, said.splitlines())) <= 100
    for name in agent_names():
        about = describe(agent_class(name))
        (entry,) = [" ".join(part.split()) for part in parts if part.partition("\n")[0] == name]
        assert f"family: {about.family} " in entry and f"source: {about.source}" in entry and about.summary in entry
        assert all(preset in entry for preset in about.presets)


def test_an_agent_is_described(run: Run) -> None:
    said = run("agents", "regularized_evolution").stdout
    assert "Real et al." in said and "population" in said and "preset real-2019: population=100, sample=25" in said


def test_a_users_agent_is_described(run: Run, tmp_path: Path) -> None:
    assert "Mine" in run("agents", write_agent(tmp_path)).stdout


def test_an_unknown_agent_is_one_line(run: Run) -> None:
    assert run("agents", "random", code=1).stderr.startswith("error: unknown agent 'random'. Did you mean")


def test_tasks_and_protocols_are_listed(run: Run, filled: Path) -> None:
    said = run("tasks", "--store", filled).stdout
    for name in (*task_names(), *PROTOCOLS):
        assert any(line.startswith(name) for line in said.splitlines())
    (row,) = [line for line in said.splitlines() if line.startswith(f"{TASK} ")]
    assert "32,250" in row  # two tables of 15,625 and 1,000 second seeds
    names = [line.split()[0] for line in said.splitlines() if line.split()[:1] and line.split()[0] in task_names()]
    assert names[0] == TASK and sorted(names) == sorted(task_names()), "what has results comes first"
    splits = {line.split()[0]: line.rpartition("; ")[2] for line in said.splitlines() if "/cifar10 " in line}
    for space, _, name in (task.partition("/") for task in splits):
        split = get_recipe(default_recipe(name, space)).split
        assert ("halves" in splits[f"{space}/{name}"]) == (split == "halves")
        assert ("40,000" in splits[f"{space}/{name}"]) == (split == "last fifth") == space.startswith("nb101")


def test_tasks_say_what_is_embedded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASGYM_EMBEDDED", "1")
    lines = run("tasks", "--store", tmp_path / "store").stdout.splitlines()
    (head,) = [line for line in lines if line.startswith("task ")]
    column = head.index("embedded")
    counts = {line.split()[0]: line[column:].split()[0] for line in lines if line.startswith(("nb201/", "nb101/"))}
    for name, count in counts.items():
        keys = [key for key in embedded_keys() if f"{key.space}/{key.dataset}" == name]
        rows = sum(int(embedded_table(key).stored().sum()) for key in keys)  # type: ignore[union-attr]
        assert count == (f"{rows:,}" if rows else "—")
    assert counts["nb201/cluttered-digits"] != "—"


def test_info_shows_what_is_stored(run: Run, filled: Path) -> None:
    said = run("info", "--store", filled).stdout
    assert f"store: {filled}" in said and "MB" in said
    (row,) = [line for line in said.splitlines() if line.startswith("nb201/cifar10/nb201-12 ")]
    assert "16,625" in row and "15,625 of 15,625" in row and "0, 7" in row
    store, key = Store(filled), TableKey("nb201", "cifar10", "nb201-12")
    means = {i: np.mean([store.get(key, i, s).valid_accuracy for s in store.seeds(key, i)]) for i in range(15625)}  # type: ignore[union-attr,misc,type-var]
    best = max(means, key=lambda i: means[i])
    assert f"{100 * means[best]:.2f} ({best})" in row


def test_info_tells_what_is_embedded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASGYM_EMBEDDED", "1")
    lines = [line.split() for line in run("info", "--store", tmp_path / "none").stdout.splitlines() if "digits" in line]
    shown = {table: (rows, embedded) for table, rows, embedded, *_ in lines}
    assert set(shown) == {"nb201/cluttered-digits/cluttered-digits-10", "nb101-5/cluttered-digits/nb101-digits"}
    assert all(rows == embedded != "—" for rows, embedded in shown.values())


def test_info_of_nothing_says_what_to_do(run: Run, tmp_path: Path) -> None:
    said = run("info", "--store", tmp_path / "none").stdout
    assert "empty" in said and "nasgym demo" in said
    assert not (tmp_path / "none").exists()


def test_the_version(run: Run) -> None:
    assert run("--version").stdout.strip() == f"nasgym {nasgym.__version__}"


def test_a_near_command_is_suggested(run: Run) -> None:
    assert "compare" in run("compair", code=2).stderr


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_explains_itself_with_an_example(run: Run, words: tuple[str, ...]) -> None:
    said = run(*words, "--help").stdout
    assert "Example" in said and f"nasgym {' '.join(words)}" in said and "--" in said


def test_help_is_light() -> None:
    code = """
import sys
sys.argv = ["nasgym", "--help"]
from nasgym.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
print([m for m in ("torch", "matplotlib", "stable_baselines3", "lmdb", "sklearn", "scipy") if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_no_traceback(spawn: Spawn, filled: Path) -> None:
    process = spawn("query", "7", "--task", TASK, "--store", filled)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert "Traceback" not in said and process.wait(timeout=60) == 1
