"""Running a study: chunk by chunk, in parallel, into a folder from which it can go on."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

import nasgym
from nasgym.errors import InvalidSetting, InvalidTable
from nasgym.executors import Executor, InProcess
from nasgym.executors.repeating import repeating
from nasgym.study.chunks import Chunk, ChunkResult, run_chunk
from nasgym.study.design import StudyDesign, differences
from nasgym.study.gaps import prepare_training, trains
from nasgym.study.records import Failure, RunSet, read_runs, write_atomic, write_runs

__all__ = ["Progress", "StudyRuns", "run_study"]

CHUNK_RUNS = 25
"""Runs per chunk on a full table, where a run takes milliseconds; where networks are trained, by the task or by the
agent, it is one."""
_REPORT_SECONDS = 0.5
_DESIGN, _CHUNKS, _FAILURES, _PROGRESS = "study.json", "chunks", "failures", "progress"
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Attributes:
        total: Runs of the whole study.
        done: Runs that ended, well or not.
        failed: Runs that ended with an exception.
        evaluations: Evaluations made, those of running runs included where they are known.
        share: Of the work done, 0 to 1; a running run counts by the part of its budget that it has spent.
    """

    total: int
    done: int
    failed: int
    evaluations: int
    share: float


@dataclass(frozen=True, eq=False)
class StudyRuns:
    """All runs of a study.

    Attributes:
        design: What was asked for.
        folder: Where the files are.
        sets: The runs that ended well, one set for each task and agent, in the order of the design.
        failures: The runs that did not.
        resumed: How many of the runs had been done before.
    """

    design: StudyDesign
    folder: Path
    sets: tuple[RunSet, ...]
    failures: tuple[Failure, ...]
    resumed: int = 0


@dataclass
class _State:
    """What has been done so far, shared by the thread that collects and the one that reports."""

    total: int
    sets: list[RunSet] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def progress(self, running: tuple[int, float]) -> Progress:
        """Return the state of things; ``running`` are evaluations and shares of runs that have not ended."""
        done = sum(len(runs) for runs in self.sets) + len(self.failures)
        evaluations = sum(int(runs.lengths.sum()) for runs in self.sets) + running[0]
        share = min(1.0, (done + running[1]) / self.total)
        return Progress(self.total, done, len(self.failures), evaluations, share)


def run_study(
    design: StudyDesign,
    folder: Path | str,
    *,
    executor: Executor | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> StudyRuns:
    """Do all runs of a study that the folder does not hold yet.

    A finished chunk is in the folder at once, so a study that was interrupted goes on with the same call. A run that
    failed is recorded with its traceback under ``failures`` and is tried again by the next call.

    Args:
        design: What to run.
        folder: Where the records go; made if need be.
        executor: Where the runs happen; None: in this process.
        on_progress: Called now and then with how far the study is, also from another thread.

    Raises:
        InvalidSetting: The folder holds a study of another design.
        DatasetUnavailable: Networks would have to be trained, and the data set is not on this machine.
        NasgymError: A name in the design is wrong, see `StudyDesign.check`.
    """
    design.check()
    folder = Path(folder)
    state = _State(design.total_runs, sets=_stored(folder))
    resumed = sum(len(runs) for runs in state.sets)
    chunks = list(_pending(design, state.sets, folder))
    for spec in {chunk.task.label: chunk.task for chunk in chunks}.values():
        prepare_training(spec)
    _claim_folder(design, folder)
    with _reporting(state, folder / _PROGRESS, on_progress):
        lost = _execute(executor or InProcess(), chunks, state, folder)
        alone = [replace(c, seeds=(s,)) for c, _ in lost if len(c.seeds) > 1 for s in c.seeds]
        lost = [(c, f) for c, f in lost if len(c.seeds) == 1] + _execute(executor or InProcess(), alone, state, folder)
        state.failures += [failure for _, failure in lost]
        _write_failures(state.failures, folder / _FAILURES)
        with suppress(OSError):  # there is none, or a search that failed left something in it
            (folder / _CHECKPOINTS).rmdir()
    return StudyRuns(design, folder, _by_design(design, state.sets), tuple(state.failures), resumed)


def _execute(executor: Executor, chunks: list[Chunk], state: _State, folder: Path) -> list[tuple[Chunk, Failure]]:
    """Run chunks and keep what they gave; return those whose worker was lost, with what is known of it."""
    lost = []
    for outcome in executor.map_unordered(run_chunk, chunks):
        chunk, result = outcome.item, outcome.value
        if result is None:
            error, text = outcome.error or "no answer", outcome.traceback
            lost.append((chunk, Failure(chunk.task.label, chunk.agent, chunk.seeds[0], error, text)))
        else:
            _keep(chunk, result, state, folder)
    return lost


def _keep(chunk: Chunk, result: ChunkResult, state: _State, folder: Path) -> None:
    if len(result.runs):
        write_runs(folder / _CHUNKS / f"{chunk.name}.npz", result.runs)
        state.sets.append(result.runs)
    state.failures.extend(result.failures)


def _claim_folder(design: StudyDesign, folder: Path) -> None:
    """Make the folder of a study, or check that it is this study's."""
    path, wanted = folder / _DESIGN, design.to_json()
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))["design"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidTable(f"{path} is not the description of a study ({error}): choose another folder.") from error
        if changed := differences(found, wanted):
            raise InvalidSetting(
                f"{folder} holds a study of another design ({'; '.join(changed[:5])}). "
                "Choose another folder, or run it as it was designed."
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidSetting(f"{folder} exists and is not the folder of a study: choose another one.")
    (folder / _CHUNKS).mkdir(parents=True, exist_ok=True)
    about = {"design": wanted, "versions": _versions(), "created": datetime.now(UTC).isoformat(timespec="seconds")}
    write_atomic(path, lambda temporary: _write_json(temporary, about))


def _stored(folder: Path) -> list[RunSet]:
    """Return the runs that the folder holds; an unreadable file is as good as none, its runs are done again."""
    return [runs for path in sorted((folder / _CHUNKS).glob("*.npz")) if (runs := read_runs(path)) is not None]


def _pending(design: StudyDesign, done: Iterable[RunSet], folder: Path) -> Iterator[Chunk]:
    """Yield the chunks that are left, agents in turn, so that all agents are seen early."""
    ended: dict[tuple[str, str], set[int]] = {(runs.task, runs.agent): set() for runs in done}
    for runs in done:
        ended[runs.task, runs.agent].update(runs.seeds.tolist())
    session, checkpoints = time.time_ns(), str((folder / _CHECKPOINTS).resolve())
    for task in design.tasks:
        trained = trains(task)
        slow = {agent: trained or getattr(design.agent(agent), "settles", False) for agent in design.agents}
        left = {a: [s for s in design.seeds(a) if s not in ended.get((task.label, a), ())] for a in design.agents}
        for part in zip_longest(*(_parts(left[a], 1 if slow[a] else CHUNK_RUNS) for a in design.agents)):
            for agent, seeds in zip(design.agents, part, strict=True):
                if seeds:
                    chunk = Chunk(task, agent, seeds, design.settings.get(agent, {}), session)
                    note = str(folder / _PROGRESS / f"{chunk.name}.note")
                    yield replace(chunk, checkpoints=checkpoints, progress=note) if slow[agent] else chunk


def _parts(seeds: list[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(seeds[start : start + size]) for start in range(0, len(seeds), size)]


def _by_design(design: StudyDesign, sets: list[RunSet]) -> tuple[RunSet, ...]:
    """Return one set for each task and agent; in whatever order the runs ended, the result is the same."""
    pairs = [(task.label, agent) for task in design.tasks for agent in design.agents]
    parts = {pair: [runs for runs in sets if (runs.task, runs.agent) == pair] for pair in pairs}
    return tuple(RunSet.joined(*pair, parts[pair], design.seeds(pair[1])) for pair in pairs)


@contextmanager
def _reporting(state: _State, notes: Path, on_progress: Callable[[Progress], None] | None) -> Iterator[None]:
    """Call ``on_progress`` from a thread of its own, and once more at the end; workers write into ``notes``."""
    if on_progress is None:
        yield
        return
    notes.mkdir(exist_ok=True)
    on_progress(state.progress((0, 0.0)))
    try:
        with repeating(lambda: on_progress(state.progress(_running(notes))), _REPORT_SECONDS):
            yield
    finally:
        shutil.rmtree(notes, ignore_errors=True)
        on_progress(state.progress((0, 0.0)))


def _running(notes: Path) -> tuple[int, float]:
    """Return evaluations and shares of the runs that are under way, from the notes of their workers."""
    evaluations, share = 0, 0.0
    for path in notes.glob("*.note"):
        try:
            made, part = path.read_text().split()
            evaluations, share = evaluations + int(made), share + float(part)
        except (OSError, ValueError):
            continue  # it ended meanwhile
    return evaluations, share


def _write_failures(failures: list[Failure], folder: Path) -> None:
    """Write one file per failed run; files of earlier calls go."""
    if folder.is_dir():
        for path in folder.glob("*.txt"):
            path.unlink()
    if failures:
        folder.mkdir(exist_ok=True)
    for number, failure in enumerate(failures, start=1):
        head = f"{failure.agent} on {failure.task}, run with seed {failure.seed}\n{failure.error}\n\n"
        (folder / f"{number:04}.txt").write_text(head + failure.traceback, encoding="utf-8")


def _versions() -> dict[str, str]:
    return {"nasgym": nasgym.__version__, "numpy": np.__version__, "python": platform.python_version()}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
