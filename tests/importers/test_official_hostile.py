"""No official file can run code, take more memory or time than results need, or leave the store changed.

Each case is imported in a process with 1 GB of memory beside what the interpreter has (`hostile_runner`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.importers.hostile import MARKER

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 10.0  # of the processor


def run(folder, *words):
    """Run the runner in ``folder`` and return what it said of each case."""
    words = [sys.executable, "-m", "tests.importers.hostile_runner", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_hostile(found):
    wrong = [case for case in found if not case["outcome"].startswith("InvalidArchive")]
    assert wrong == []
    assert [case for case in found if case["seconds"] > SECONDS] == []
    assert [case for case in found if case["tables"]] == []
    asked = [case["outcome"] for case in found if case["name"].startswith("os.system, protocol 4")]
    assert asked and all("system" in outcome and "not run" in outcome for outcome in asked)


@pytest.mark.timeout(1200)  # 5 seconds of a processor; a busy machine may take minutes
def test_hostile_pickles_are_refused_by_name_in_little_memory_and_time(tmp_path):
    found = run(tmp_path, "hostile", tmp_path, "somewhere")
    assert len(found) > 50
    check_hostile(found)
    assert not (tmp_path / MARKER).exists()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_hostile_pickles_are_refused_in_every_container(tmp_path):
    found = run(tmp_path, "hostile", tmp_path, "everywhere")
    assert len(found) > 200
    check_hostile(found)
    assert not (tmp_path / MARKER).exists()


def check(found, count):
    assert len(found) == count
    named = ("InvalidArchive", "imported", "InvalidArchitecture")
    assert [case for case in found if not case["outcome"].startswith(named)] == []
    assert [case for case in found if case["seconds"] > SECONDS] == []
    assert [case for case in found if case["tables"] and case["outcome"] != "imported"] == []
    assert sum(case["outcome"] != "imported" for case in found) > count / 2


@pytest.mark.timeout(1200)
def test_500_changed_and_cut_files_are_refused_by_name_or_read(tmp_path):
    check(run(tmp_path, "fuzz", tmp_path, 0, 500), 500)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(500, 10_000, 1900))
def test_10000_changed_and_cut_files_are_refused_by_name_or_read(tmp_path, first):
    check(run(tmp_path, "fuzz", tmp_path, first, 1900), 1900)
