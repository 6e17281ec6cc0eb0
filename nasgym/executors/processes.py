"""Worker processes of this machine: one that dies loses its own item and no other."""

from __future__ import annotations

import atexit
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from nasgym.errors import InvalidSetting
from nasgym.executors.base import THREAD_VARIABLES, Answer, Item, Outcome, Value, attempt, distribute, pickled_function

__all__ = ["Processes"]

_PATIENCE = 5.0  # seconds for an idle worker to end by itself, then it is killed


class Processes:
    """Runs items in worker processes, each with its own interpreter and its own pipe.

    A worker that dies (killed, out of memory) loses the item that it had and no other; a new worker takes its place.

    Args:
        workers: Number of processes, at least 1.
        threads: Threads of numerical libraries in each worker, at least 1.
    """

    def __init__(self, workers: int, threads: int = 1) -> None:
        if workers < 1:
            raise InvalidSetting(f"workers must be at least 1; got {workers}.")
        if threads < 1:
            raise InvalidSetting(f"threads must be at least 1; got {threads}.")
        self.workers, self.threads = workers, threads

    def map_unordered(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Yield the outcomes as they come. Items are taken from the iterable only when a worker is free.

        Workers are spawned: function and items are pickled, and a script that calls this does so under
        ``if __name__ == "__main__":``. Leaving the loop early, by an interrupt too, ends the workers at once.

        Raises:
            InvalidSetting: The function cannot be pickled.
        """
        crew = _Crew(pickled_function(function), self.threads)
        atexit.register(crew.stop)  # else an iterator left hanging would hang the interpreter's end
        try:
            yield from distribute(crew, iter(items), lambda: self.workers)
            crew.dismiss()
        finally:
            crew.stop()
            atexit.unregister(crew.stop)


def _serve(connection: Connection, function: bytes) -> None:
    """Answer items until the other end of the pipe is closed: the whole life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    load = cache(pickle.loads)  # it may carry a data set: once is enough
    while True:
        try:
            item = connection.recv_bytes()
        except EOFError:
            return
        answer = attempt(lambda packed: load(function)(pickle.loads(packed)), item)
        packed, error, text = attempt(pickle.dumps, answer)
        connection.send_bytes(packed if error is None else pickle.dumps((None, error, text)))


class _Worker:
    """One process, the pipe to it, and the item that it has."""

    def __init__(self, function: bytes, threads: int) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, function))
        with _environment(dict.fromkeys(THREAD_VARIABLES, str(threads))):
            self.process.start()
        theirs.close()  # so that its death is the end of the pipe

    def receive(self) -> Answer:
        try:
            if self.connection.poll():
                answer, error, text = attempt(pickle.loads, self.connection.recv_bytes())
                return answer if error is None else (None, error, text)
        except (EOFError, OSError):
            pass  # it died in the middle of its answer
        self.stop(_PATIENCE)
        return None, f"the worker process died (exit code {self.process.exitcode}) before it answered", ""

    def stop(self, patience: float = 0.0) -> None:
        self.connection.close()
        self.process.join(patience)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(_PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class _Crew:
    """The workers of one map: idle ones, and busy ones with their items."""

    def __init__(self, function: bytes, threads: int) -> None:
        self._function, self._threads = function, threads
        self._idle: list[_Worker] = []
        self.busy: dict[_Worker, Any] = {}

    def start(self, item: Any) -> Answer | None:
        """Hand an item to a worker; return an answer only where the item could not be sent."""
        packed, error, text = attempt(pickle.dumps, item)
        if error is not None:
            return None, error, text
        worker = self._idle.pop() if self._idle else _Worker(self._function, self._threads)
        self.busy[worker] = item
        try:
            worker.connection.send_bytes(packed)
        except OSError:
            pass  # it died while idle: its pipe is at its end, and `finished` says so
        return None

    def finished(self) -> list[tuple[Any, Answer]]:
        """Wait until a worker answers or dies; return ``(item, answer)`` of all that did."""
        handles = {handle: worker for worker in self.busy for handle in (worker.connection, worker.process.sentinel)}
        done = []
        for worker in {handles[ready] for ready in wait(list(handles))}:  # type: ignore[index]
            answer = worker.receive()
            done.append((self.busy.pop(worker), answer))
            if worker.process.is_alive():
                self._idle.append(worker)
            else:
                worker.stop()
        return done

    def dismiss(self) -> None:
        """Let the idle workers end by themselves."""
        for worker in self._idle:
            worker.connection.close()
        while self._idle:
            self._idle.pop().stop(_PATIENCE)

    def stop(self) -> None:
        """End every worker now."""
        workers = [*self._idle, *self.busy]
        self._idle, self.busy = [], {}
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.stop(_PATIENCE)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the processes started inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
