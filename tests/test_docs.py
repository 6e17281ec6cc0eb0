"""README.md and docs/: Python blocks run, command lines exist, links lead somewhere.

A page's Python blocks run in order, in one namespace and in an empty folder. A block whose fence says
``python no-run``, or that follows ``<!-- no-run: reason -->``, is only compiled. A block after
``<!-- file: NAME -->`` is also saved under that name, for the commands below it. Lines ``$ nasgym ...`` of console
blocks are checked against the command line's own options, lines ``$ make ...`` against the Makefile; after
``<!-- run -->`` the nasgym lines are run as well, studies with 2 runs per agent. What is not run says why. The
pages in `ON_MADE_UP_RESULTS` find made-up results in the store, so that nothing is trained.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))) if page.is_file()]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
ON_MADE_UP_RESULTS = ("README.md", "docs/agents.md", "docs/cli.md")
ON_PAGES = pytest.mark.parametrize("page", PAGES, ids=IDS)

_COMMENT = re.compile(r"<!--\s*(?P<word>no-run|file|run)\s*:?\s*(?P<rest>.*?)\s*-->\s*$")
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)[^)]*\)")

# Runs the steps of a page: code with the page's own line numbers, or a command. Given as JSON, so that the code is run
# by a plain interpreter as a user's is.
_RUNNER = """
import json, subprocess, sys
namespace = {"__name__": "__main__"}
for step in json.load(open(sys.argv[1])):
    if step["save_as"]:
        with open(step["save_as"], "w") as file:
            file.write(step["code"])
    if step["command"]:
        start = "from nasgym.cli import main; main()"
        subprocess.run([sys.executable, "-c", start, *step["command"]], check=True)
    else:
        code = chr(10) * (step["line"] - 1) + step["code"]
        exec(compile(code, step["page"], "exec"), namespace)
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its first line in the page, its text, and the marks before it."""

    language: str
    line: int
    text: str
    marks: dict[str, str]


def blocks_of(text: str) -> Iterator[Block]:
    marks: dict[str, str] = {}
    fence, start, lines = "", 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if fence:
            if stripped == "```":
                language, *words = fence.split()
                yield Block(language, start, "\n".join(lines) + "\n", marks | dict.fromkeys(words, ""))
                fence, marks = "", {}
            else:
                lines.append(line)
        elif stripped.startswith("```"):
            fence, start, lines = stripped[3:] or "text", number + 1, []
        elif found := _COMMENT.match(stripped):
            marks = marks | {found["word"]: found["rest"]}
        elif stripped:
            marks = {}
    assert not fence, f"the block that starts at line {start} is never closed"


def command_lines(block: Block) -> Iterator[list[str]]:
    """Yield the words of each ``$ program ...`` line of a console block, continued lines joined."""
    joined = block.text.replace("\\\n", " ")
    for line in joined.splitlines():
        if line.lstrip().startswith("$ "):
            words = shlex.split(line.lstrip()[2:], comments=True)
            yield words[: next((i for i, word in enumerate(words) if word in ("|", ">", "&&", ";")), None)]


def is_console(block: Block) -> bool:
    return block.language in ("console", "bash", "sh", "shell")


@ON_PAGES
def test_python_blocks_compile(page: Path) -> None:
    for block in blocks_of(page.read_text()):
        if block.language == "python":
            compile("\n" * (block.line - 1) + block.text, str(page), "exec")


@ON_PAGES
def test_what_is_not_run_says_why(page: Path) -> None:
    for block in blocks_of(page.read_text()):
        commands = is_console(block) and any(words[0] == "nasgym" for words in command_lines(block))
        if "no-run" in block.marks or (commands and "run" not in block.marks):
            assert block.marks.get("no-run"), f"{page.name}:{block.line}: <!-- run --> or <!-- no-run: why not -->"
        assert not commands or page.name != "README.md" or "run" in block.marks, f"README.md:{block.line} is not run"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``home``, a store of made-up results, and ``work``, the files that pages name."""
    from nasgym.importers.csv_table import import_csv
    from nasgym.spaces import get_space
    from nasgym.store import Store

    folder = tmp_path_factory.mktemp("made-up")
    table = folder / "work" / "nb201-results.csv.gz"
    table.parent.mkdir()
    lines = ["architecture,dataset,recipe,seed,valid_accuracy,train_seconds"]
    for index in range(15_625):
        level = 40 + 50 * (index * 7919 % 15_625) / 15_625
        lines.append(f"{index},cifar10,12,mean,{level:.2f},{100 + level:.1f}")
        lines.append(f"{index},cifar10,200,0,{level / 2 + 50:.2f},{2000 + level:.1f}")
        if index % 100 == 31:  # docs/cli.md asks for one of these
            lines.append(f"{index},cifar100,12,mean,{level - 20:.2f},{100 + level:.1f}")
    table.write_bytes(gzip.compress("\n".join(lines).encode(), compresslevel=1))
    (folder / "work" / "mine.csv").write_text("architecture,seed,acc\n6111,7,0.5\n")
    (folder / "work" / "my_file.py").write_text(
        "from nasgym.agents.random_search import RandomSearch\n\n\nclass MyAgent(RandomSearch): ...\n"
    )
    with Store(folder / "home" / "store") as store:
        recipes = {"12": "nb201-12", "200": "nb201-200"}
        import_csv(store, table, space=get_space("nb201"), unit="percent", recipes=recipes)
    return folder


def in_short(words: list[str]) -> list[str]:
    """Return a command, a study with 2 runs per agent."""
    if words[0] != "compare":
        return words
    at = words.index("--runs") if "--runs" in words else len(words)
    return [*words[:at], *words[at + 2 :], "--runs", "2"]


@pytest.mark.timeout(600)
@ON_PAGES
def test_blocks_run(page: Path, tmp_path: Path, made_up: Path) -> None:
    steps: list[dict[str, Any]] = []
    for block in blocks_of(page.read_text()):
        step = {"page": str(page), "line": block.line, "code": block.text, "command": None}
        if block.language == "python" and "no-run" not in block.marks:
            steps.append(step | {"save_as": block.marks.get("file")})
        elif is_console(block) and "run" in block.marks:
            commands = [in_short(words[1:]) for words in command_lines(block) if words[0] == "nasgym"]
            steps.extend(step | {"save_as": None, "command": words} for words in commands)
    if not steps:
        pytest.skip("nothing to run on this page")
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    if str(page.relative_to(ROOT)) in ON_MADE_UP_RESULTS:
        shutil.copytree(made_up / "home", tmp_path / "home")
    shutil.copytree(made_up / "work", tmp_path / "work")
    environment = os.environ | {
        "NASGYM_HOME": str(tmp_path / "home"),
        "NASGYM_EMBEDDED": "1",
        "PYTHONPATH": str(ROOT),
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", _RUNNER, str(tmp_path / "steps.json")],
        cwd=tmp_path / "work",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{page.name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@ON_PAGES
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for block in filter(is_console, blocks_of(page.read_text())):
        for words in command_lines(block):
            if words[0] == "make":
                wanted = {word for word in words[1:] if not word.startswith("-") and "=" not in word}
                assert wanted <= targets, f"{page.name}:{block.line}: no make target {sorted(wanted - targets)}"


@ON_PAGES
def test_nasgym_commands_exist(page: Path) -> None:
    for block in filter(is_console, blocks_of(page.read_text())):
        for words in command_lines(block):
            if words[0] == "nasgym":
                check_command(words[1:], f"{page.name}:{block.line}: {shlex.join(words)}")


def check_command(words: list[str], where: str) -> None:
    """Assert that the command, its sub-commands and its options exist and parse; nothing is run."""
    import typer.main

    from nasgym.cli import app

    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{where}: no command {words[0]!r} among {sorted(command.commands)}"
        command, words = command.commands[words[0]], words[1:]
    if {"--help", "--version"} & set(words):
        return
    try:
        parser = command.make_parser(command.context_class(command))
        values, left_over, _ = parser.parse_args(list(words))
    except Exception as error:  # whatever the parser says is wrong with the words
        raise AssertionError(f"{where}: {error}") from error
    assert not left_over, f"{where}: {left_over} is too much"
    missing = [p.name for p in command.params if p.required and not values.get(p.name)]
    assert not missing, f"{where}: lacks {missing}"


@ON_PAGES
def test_links_lead_somewhere(page: Path) -> None:
    outside_blocks = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for found in _LINK.finditer(outside_blocks):
        target = found["target"].split("#")[0]
        if target and "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"


PAGE = """
<!-- no-run: needs a GPU -->
```python
x = 1
```

Text ends the mark.

```python no-run
y = 2
```
<!-- file: mine.py -->

```python
z = 3
```
```console
$ nasgym compare --agents a \\
    --runs 3 | tail   # a comment
a line of output
```
"""


def test_blocks_and_marks_are_read() -> None:
    blocks = list(blocks_of(PAGE))
    assert [(b.language, b.line, list(b.marks)) for b in blocks] == [
        ("python", 4, ["no-run"]),
        ("python", 10, ["no-run"]),
        ("python", 15, ["file"]),
        ("console", 18, []),
    ]
    assert blocks[2].marks["file"] == "mine.py" and blocks[2].text == "z = 3\n"
    assert list(command_lines(blocks[3])) == [["nasgym", "compare", "--agents", "a", "--runs", "3"]]


def test_runs_are_cut_short() -> None:
    assert in_short(["compare", "--runs", "500", "--budget", "20"]) == ["compare", "--budget", "20", "--runs", "2"]
    assert in_short(["compare", "--agents", "a"]) == ["compare", "--agents", "a", "--runs", "2"]
    assert in_short(["fill", "--runs", "500"]) == ["fill", "--runs", "500"]


def test_an_open_block_is_noticed() -> None:
    with pytest.raises(AssertionError, match="line 2 is never closed"):
        list(blocks_of("```python\nx = 1\n"))
