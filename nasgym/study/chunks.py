"""A chunk: some runs of one agent on one task, the piece of work that one worker does at a time."""

from __future__ import annotations

import hashlib
import json
import math
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nasgym.agents import Agent, get_agent
from nasgym.executors.repeating import repeating
from nasgym.study.design import TaskSpec
from nasgym.study.records import Failure, RunSet
from nasgym.task import Task

__all__ = ["Chunk", "ChunkResult", "run_chunk"]

_WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class Chunk:
    """Runs that are done one after the other in one place.

    Attributes:
        task: The task.
        agent: The agent.
        seeds: The seeds of the runs.
        settings: Hyper-parameters of the agent.
        session: Chunks of one session share what was read from a table.
        checkpoints: A folder for an agent that can go on with a search that was interrupted; None: there is none.
        progress: A file that says while the chunk runs how far it is; None: none is written.
    """

    task: TaskSpec
    agent: str
    seeds: tuple[int, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    session: int = 0
    checkpoints: str | None = None
    progress: str | None = None

    @property
    def name(self) -> str:
        """A name for files, which no other chunk of a study has."""
        slug = "".join(c if c.isalnum() or c in "-._" else "-" for c in f"{self.task.label}--{self.agent}")
        whole = json.dumps([self.task.label, self.agent, self.seeds])  # slugs and ends of different chunks may be equal
        digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
        return f"{slug[-120:]}--{self.seeds[0]}-{self.seeds[-1]}--{digest}"


class ChunkResult(NamedTuple):
    """The runs of a chunk that ended well, and those that did not."""

    runs: RunSet
    failures: tuple[Failure, ...]


def run_chunk(chunk: Chunk) -> ChunkResult:
    """Do the runs of a chunk; a run that raises is recorded and loses no other."""
    task = _task(chunk.task, chunk.session)
    done, failures = [], []
    with _watched(task, chunk.progress):
        for seed in chunk.seeds:
            task.restart(seed)
            try:
                _agent(chunk).search(task, seed)  # a new one: a run may not depend on the runs before it
            except Exception as error:  # noqa: BLE001 - whatever a user's agent raises is that run's failure alone
                text = "".join(traceback.format_exception_only(error)).strip()
                failures.append(Failure(chunk.task.label, chunk.agent, seed, text, traceback.format_exc()))
            else:
                done.append((seed, task.trajectory.arrays()))
    return ChunkResult(RunSet.of(chunk.task.label, chunk.agent, done), tuple(failures))


def _agent(chunk: Chunk) -> Agent:
    """Return the agent of a chunk; one that takes a folder for checkpoints and was given none gets the study's."""
    agent = get_agent(chunk.agent, **chunk.settings)
    if chunk.checkpoints is None or getattr(agent, "checkpoints", None) != "":
        return agent
    try:
        Path(chunk.checkpoints).mkdir(parents=True, exist_ok=True)
    except OSError:
        return agent  # a worker on another machine may not see the folder
    return get_agent(chunk.agent, **{**chunk.settings, "checkpoints": chunk.checkpoints})


_tasks: dict[tuple[int, str], Task] = {}  # of this process and the present session


def _task(spec: TaskSpec, session: int) -> Task:
    """Return the task of a session, made once in each process: its columns stay in memory from chunk to chunk."""
    key = (session, spec.label)
    if key not in _tasks:
        for old in [k for k in _tasks if k[0] != session]:
            del _tasks[old]
        _tasks[key] = spec.make()
    return _tasks[key]


@contextmanager
def _watched(task: Task, path: str | None) -> Iterator[None]:
    """Write now and then how far the run is: ``evaluations share-of-the-budget``."""
    if path is None:
        yield
        return
    try:
        with repeating(lambda: _note(Path(path), task), _WATCH_SECONDS):
            yield
    finally:
        Path(path).unlink(missing_ok=True)


def _note(path: Path, task: Task) -> None:
    temporary = path.with_suffix(".tmp")
    try:
        limit = task.max_evaluations or math.inf
        temporary.write_text(
            f"{task.evaluations} {min(1.0, max(task.seconds / task.budget, task.evaluations / limit))}"
        )
        temporary.replace(path)
    except OSError:
        pass  # a worker on another machine may not see the folder: the run goes on, only its progress is not shown
