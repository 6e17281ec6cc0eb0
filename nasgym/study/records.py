"""What runs left behind: their trajectories, as arrays and as files."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.task.trajectory import TrajectoryArrays

__all__ = ["Failure", "RunSet", "read_runs", "write_atomic", "write_evaluations", "write_runs"]

EVALUATION_COLUMNS = (
    "task", "agent", "run", "number", "index", "seed", "epochs", "accuracy", "seconds", "finished",
)  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """A run that ended with an exception.

    Attributes:
        task: The label of its task.
        agent: The agent as it was named.
        seed: The seed of the run.
        error: The exception in one line.
        traceback: Where it happened; empty where the process died.
    """

    task: str
    agent: str
    seed: int
    error: str
    traceback: str


@dataclass(frozen=True, eq=False)
class RunSet:
    """Runs of one agent on one task, their evaluations laid end to end.

    Attributes:
        task: The label of the task.
        agent: The agent as it was named.
        seeds: ``int64[runs]``, the seed of each run.
        lengths: ``int64[runs]``, how many evaluations each run has.
        evaluations: All evaluations, ``[lengths.sum()]`` each, run after run.
    """

    task: str
    agent: str
    seeds: NDArray[np.int64]
    lengths: NDArray[np.int64]
    evaluations: TrajectoryArrays

    @classmethod
    def of(cls, task: str, agent: str, runs: Sequence[tuple[int, TrajectoryArrays]]) -> RunSet:
        """Return the set of ``(seed, trajectory)`` pairs."""
        lengths = np.array([len(trajectory.indices) for _, trajectory in runs], dtype=np.int64)
        return cls(task, agent, np.array([s for s, _ in runs], dtype=np.int64), lengths, _joined(t for _, t in runs))

    @classmethod
    def joined(cls, task: str, agent: str, parts: Sequence[RunSet], seeds: Iterable[int]) -> RunSet:
        """Return the runs of ``seeds`` out of several sets, in that order; a seed that no set has is left out."""
        found = {seed: run for part in parts for seed, run in part}
        return cls.of(task, agent, [(seed, found[seed]) for seed in seeds if seed in found])

    def __len__(self) -> int:
        return len(self.seeds)

    def __iter__(self) -> Iterator[tuple[int, TrajectoryArrays]]:
        """Iterate over ``(seed, trajectory)``, views into the whole."""
        ends = np.cumsum(self.lengths).tolist()
        for seed, start, end in zip(self.seeds.tolist(), [0, *ends], ends, strict=False):
            yield seed, _arrays(column[start:end] for column in self.evaluations)


def write_runs(path: Path, runs: RunSet) -> None:
    """Write a set of runs as one file; it is there whole or not at all."""
    header = json.dumps({"task": runs.task, "agent": runs.agent})

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, header=np.array(header), runs=runs.seeds, lengths=runs.lengths, **runs.evaluations._asdict())

    write_atomic(path, write)


def read_runs(path: Path) -> RunSet | None:
    """Return the set of runs in a file, or None where the file is not one, not whole, or not readable as one."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            columns = _arrays(file[name] for name in TrajectoryArrays._fields)
            runs = RunSet(header["task"], header["agent"], file["runs"], file["lengths"], columns)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = len(runs.seeds) == len(runs.lengths) and all(len(c) == runs.lengths.sum() for c in columns)
    return runs if whole else None


def write_evaluations(path: Path, sets: Iterable[RunSet]) -> None:
    """Write one row per evaluation as CSV: accuracies as fractions, times in simulated seconds, seed -1 is the mean."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(",".join(EVALUATION_COLUMNS) + "\n")
            for runs in sets:
                prefix = f"{csv_text(runs.task)},{csv_text(runs.agent)}"
                for seed, trajectory in runs:
                    file.writelines(_rows(f"{prefix},{seed}", trajectory))

    write_atomic(path, write)


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Have ``write`` write a temporary file beside ``path``, bring it to the disk, and put it in its place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def csv_text(text: str) -> str:
    """Return a text as a CSV field, quoted where it must be."""
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n\r') else text


def _rows(prefix: str, trajectory: TrajectoryArrays) -> Iterator[str]:
    columns = zip(*(column.tolist() for column in trajectory), strict=True)
    for number, (index, seed, epochs, accuracy, seconds, finished) in enumerate(columns, start=1):
        yield f"{prefix},{number},{index},{seed},{epochs},{accuracy!r},{seconds!r},{finished!r}\n"


def _joined(parts: Iterable[TrajectoryArrays]) -> TrajectoryArrays:
    columns = list(zip(*parts, strict=True))
    if not columns:
        return _arrays(np.empty(0, dtype) for dtype in (np.int64,) * 3 + (np.float64,) * 3)
    return _arrays(np.concatenate(column) for column in columns)


def _arrays(columns: Iterable[Any]) -> TrajectoryArrays:
    return TrajectoryArrays(*columns)
