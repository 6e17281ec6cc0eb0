"""Reading official files, here or in processes beside this one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection, wait
from typing import TypeAlias

from nasgym.errors import InvalidArchive, NasgymError
from nasgym.importers.archives import Archive, Record
from nasgym.importers.official import evaluations_of
from nasgym.results import Evaluation, TableKey

__all__ = ["Trials", "read", "source_of"]

Trials: TypeAlias = list[tuple[TableKey, Evaluation]]
"""All trials of one architecture."""
_AT_ONCE = 8  # architectures that a process sends together


def source_of(archive: Archive) -> dict[str, str]:
    """Return where evaluations of an archive come from, as their provenance says it."""
    tool = {"folder": "nats", "bz2": "nats"}.get(archive.kind, "nas-bench-201")
    if tool == "nats":
        tool = "nats-sss" if archive.space == "nats-sss" else "nats-tss"
    return {"tool": f"nasgym import {tool}", "source": archive.path.resolve().name}


def read(archive: Archive, done: frozenset[int], workers: int = 0) -> Generator[Trials, None, None]:
    """Iterate over the trials of each architecture that is not ``done``; in no order where processes read.

    Args:
        archive: The file or folder.
        done: Architectures to leave out.
        workers: Processes that read beside this one; 0: this one reads.

    Raises:
        InvalidArchive: The file is not as published.
    """
    if workers < 1:
        return _trials(archive, done, 0, 1)
    return _from_processes(archive, done, workers if archive.kind == "folder" else 1)


def _trials(archive: Archive, done: frozenset[int], part: int, parts: int) -> Generator[Trials, None, None]:
    """Read one of the parts of a folder, or a whole file."""
    source = source_of(archive)
    for index, by_recipe in _records(archive, done, part, parts):
        if index not in done:
            yield [
                trial
                for hp, state in by_recipe.items()
                for trial in evaluations_of(state, space=archive.space, index=index, hp=hp, source=source)
            ]


def _records(archive: Archive, done: frozenset[int], part: int, parts: int) -> Iterator[Record]:
    if archive.kind != "folder":
        yield from archive.records()
        return
    for index, file in list(archive.files().items())[part::parts]:
        if index not in done:
            yield archive.record(index, file)


def _from_processes(archive: Archive, done: frozenset[int], workers: int) -> Generator[Trials, None, None]:
    """Let processes read; their pipes hold them back when this one is slower."""
    context = multiprocessing.get_context("spawn")  # a fork would carry this process's threads and handles
    processes, ends = [], []
    try:
        for part in range(workers):
            receiving, sending = context.Pipe(duplex=False)
            process = context.Process(target=_send, args=(sending, archive, done, part, workers), daemon=True)
            process.start()
            sending.close()
            processes.append(process)
            ends.append(receiving)
        while ends:
            for end in wait(ends):
                assert isinstance(end, Connection)
                found = _received(end, archive)
                if found is None:
                    ends.remove(end)
                else:
                    yield from found
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _received(end: Connection, archive: Archive) -> list[Trials] | None:
    """Return what a process sends next, None at its end; raises what it met."""
    try:
        found = end.recv()
    except EOFError:
        raise InvalidArchive(
            f"the process that read {archive.path} has ended: was it killed? Start the import again, it goes on."
        ) from None
    if isinstance(found, NasgymError):
        raise found
    trials: list[Trials] | None = found
    return trials


def _send(end: Connection, archive: Archive, done: frozenset[int], part: int, parts: int) -> None:
    """Read in another process: send lists of trials, then None, or the error."""
    batch: list[Trials] = []
    try:
        for trials in _trials(archive, done, part, parts):
            batch.append(trials)
            if len(batch) == _AT_ONCE:
                end.send(batch)
                batch = []
        end.send(batch)
        end.send(None)
    except NasgymError as error:
        end.send(error)
    except (BrokenPipeError, KeyboardInterrupt):
        return  # the importing process has ended or is ending
