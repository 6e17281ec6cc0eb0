"""A writer is killed at random moments; every result that it acknowledged must be there, whole."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nasgym.results import Evaluation
from nasgym.store import Store
from tests.store.samples import KEY

ROOT = Path(__file__).parents[2]
ROUNDS_PER_STORE = 10
LONGEST = 0.25  # seconds from what was waited for to the writer's end


def run_and_kill(
    path: Path, seed: int, first_attempt: int, delay: float, awaited: str
) -> list[tuple[str, int, list[list[int]]]]:
    """Start a writer, kill it some time after it first said ``awaited``, and return all that it said."""
    command = [sys.executable, str(ROOT / "tests/store/kill_writer.py"), str(path), str(seed), str(first_attempt)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as writer:
        assert writer.stdout is not None
        lines = []
        while not lines or json.loads(lines[-1])[0] != awaited:
            lines.append(writer.stdout.readline())
            assert lines[-1].endswith(b"\n"), "the writer ended by itself"
        time.sleep(delay)
        assert writer.poll() is None, "the writer ended by itself"
        writer.kill()
        lines += writer.stdout
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def value(found: Evaluation | None) -> float:
    return -1.0 if found is None else float(found.series["valid_accuracy"].values[0])


def check(path: Path, acknowledged: dict[tuple[int, int], int], unfinished: tuple[int, list[list[int]]] | None) -> None:
    with Store(path) as store:
        assert store.verify() == []
        for (index, seed), attempt in acknowledged.items():
            found = value(store.get(KEY, index, seed))
            allowed = [attempt] + ([unfinished[0]] if unfinished and [index, seed] in unfinished[1] else [])
            assert found in allowed, f"architecture {index}, seed {seed} is {found}, acknowledged was {attempt}"
        if unfinished:
            written = {value(store.get(KEY, index, seed)) == unfinished[0] for index, seed in unfinished[1]}
            assert len(written) == 1, "half of a commit is there"
        columns = store.columns(KEY, ["valid_accuracy"])
        rebuilt = np.full_like(columns.values["valid_accuracy"], np.nan)
        for evaluation in store.scan(KEY):
            rebuilt[columns.seeds.index(evaluation.seed), evaluation.index] = evaluation.valid_accuracy
        np.testing.assert_array_equal(columns.values["valid_accuracy"], rebuilt)


def rounds(folder: Path, count: int, seed: int) -> Iterator[tuple[Path, int]]:
    """Kill writers on a few stores in turn; yields each store and the commits acknowledged in that round.

    The first writer of a store may be killed before its first commit, the others are killed after it: however slow the
    machine is, most rounds have something to lose.
    """
    rng = random.Random(seed)
    for number in range(count):
        awaited = "done"
        if number % ROUNDS_PER_STORE == 0:
            awaited = "ready"
            path, attempt = folder / f"store{number}", 0
            acknowledged: dict[tuple[int, int], int] = {}
        said = run_and_kill(path, rng.randrange(2**32), attempt, rng.uniform(0, LONGEST), awaited)
        unfinished = None
        for what, attempt, cells in said:
            if what == "try":
                unfinished = attempt, cells
            elif what == "done":
                unfinished = None
                acknowledged |= {(index, s): attempt for index, s in cells}
        check(path, acknowledged, unfinished)
        with Store(path) as store:  # what was not acknowledged may have been written
            acknowledged = {(e.index, int(e.seed)): int(value(e)) for e in store.scan(KEY)}
        yield path, sum(what == "done" for what, _, _ in said)


def check_rounds(folder: Path, count: int, seed: int) -> None:
    commits = [done for _, done in rounds(folder, count, seed)]
    assert len(commits) == count
    assert all(done for number, done in enumerate(commits) if number % ROUNDS_PER_STORE)


def test_every_acknowledged_result_survives_a_kill(tmp_path: Path) -> None:
    check_rounds(tmp_path, 5, seed=5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_kills(tmp_path: Path) -> None:
    check_rounds(tmp_path, 100, seed=100)
    assert max(f.stat().st_size for f in tmp_path.glob("*/data.mdb")) > 1 << 17, "no store outgrew its first map"
