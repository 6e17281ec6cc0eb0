"""README.md and docs/: Python blocks run, command lines exist, links lead somewhere.

A page's Python blocks run in order, in one namespace and in an empty folder. A block whose fence says
``python no-run``, or that follows ``<!-- no-run: reason -->``, is only compiled. A block after
``<!-- file: NAME -->`` is also saved under that name, for the commands below it. Lines ``$ nasgym ...`` of console
blocks are checked against the command line's own options, lines ``$ make ...`` against the Makefile; after
``<!-- run -->`` the nasgym lines are run as well.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))) if page.is_file()]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
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


@pytest.mark.timeout(600)
@ON_PAGES
def test_blocks_run(page: Path, tmp_path: Path) -> None:
    steps: list[dict[str, Any]] = []
    for block in blocks_of(page.read_text()):
        step = {"page": str(page), "line": block.line, "code": block.text, "command": None}
        if block.language == "python" and "no-run" not in block.marks:
            steps.append(step | {"save_as": block.marks.get("file")})
        elif is_console(block) and "run" in block.marks:
            commands = [words[1:] for words in command_lines(block) if words[0] == "nasgym"]
            steps.extend(step | {"save_as": None, "command": words} for words in commands)
    if not steps:
        pytest.skip("nothing to run on this page")
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    (tmp_path / "work").mkdir()
    environment = os.environ | {
        "NASGYM_HOME": str(tmp_path / "home"),
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
    if find_spec("nasgym.cli") is None:
        pytest.skip("there is no command line yet")
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


def test_an_open_block_is_noticed() -> None:
    with pytest.raises(AssertionError, match="line 2 is never closed"):
        list(blocks_of("```python\nx = 1\n"))
