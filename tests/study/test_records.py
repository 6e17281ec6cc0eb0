"""Records of runs: what is written comes back, and what is damaged is as good as absent."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.study.records import RunSet, read_runs, write_atomic, write_evaluations, write_runs
from nasgym.task.trajectory import TrajectoryArrays

NUMBERS = st.floats(0, 1e6)


def trajectory(rows: list[tuple[int, int, int, float, float, float]]) -> TrajectoryArrays:
    dtypes = (np.int64,) * 3 + (np.float64,) * 3
    columns = list(zip(*rows, strict=True)) or [()] * 6
    return TrajectoryArrays(*(np.array(c, d) for c, d in zip(columns, dtypes, strict=True)))


ROWS = st.lists(st.tuples(st.integers(0, 15624), st.integers(-1, 999), st.integers(0, 200), *[NUMBERS] * 3), max_size=5)
RUNS = st.dictionaries(st.integers(0, 50), ROWS, max_size=4)


def run_set(runs: dict[int, list[tuple[int, int, int, float, float, float]]]) -> RunSet:
    return RunSet.of("nb201/cifar10", "an, agent", [(seed, trajectory(rows)) for seed, rows in runs.items()])


def as_lists(runs: RunSet) -> dict[int, list[tuple[float, ...]]]:
    return {seed: list(zip(*(c.tolist() for c in run), strict=True)) for seed, run in runs}


@given(RUNS)
@settings(deadline=None)
def test_a_file_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, runs: dict[int, list[tuple[int, int, int, float, float, float]]]
) -> None:
    path = tmp_path_factory.mktemp("runs") / "chunk.npz"
    write_runs(path, run_set(runs))
    found = read_runs(path)
    assert found is not None and (found.task, found.agent) == ("nb201/cifar10", "an, agent")
    assert as_lists(found) == runs


@given(RUNS)
@settings(deadline=None)
def test_the_csv_holds_every_number(
    tmp_path_factory: pytest.TempPathFactory, runs: dict[int, list[tuple[int, int, int, float, float, float]]]
) -> None:
    path = tmp_path_factory.mktemp("runs") / "evaluations.csv"
    write_evaluations(path, [run_set(runs)])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [(seed, n, *row) for seed, rows in runs.items() for n, row in enumerate(rows, start=1)]
    whole = ("run", "number", "index", "seed", "epochs")
    found = [(*(int(r[n]) for n in whole), *(float(r[n]) for n in ("accuracy", "seconds", "finished"))) for r in rows]
    assert found == expected
    assert all(r["agent"] == "an, agent" for r in rows)


def test_parts_join_in_the_order_that_is_asked_for() -> None:
    row = (1, 0, 0, 0.5, 1.0, 1.0)
    parts = [run_set({5: [row], 3: [row, row]}), run_set({1: [], 4: [row]})]
    joined = RunSet.joined("t", "a", parts, [1, 2, 3, 4])
    assert joined.seeds.tolist() == [1, 3, 4] and joined.lengths.tolist() == [0, 2, 1]
    assert len(RunSet.joined("t", "a", [], [1]).evaluations.indices) == 0


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "absent", "lies"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "chunk.npz"
    runs = run_set({1: [(1, 0, 0, 0.5, 1.0, 1.0)] * 50})
    write_runs(path, runs)
    data = path.read_bytes()
    if damage == "lies":
        write_runs(path, RunSet("t", "a", runs.seeds, runs.lengths + 1, runs.evaluations))
    elif damage == "absent":
        path.unlink()
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        path.write_bytes({"cut": data[:middle], "flipped": flipped, "empty": b"", "text": b"hello"}[damage])
    assert read_runs(path) is None


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomic(path, fail)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
