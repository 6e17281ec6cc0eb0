"""Worker processes of this machine: one that dies loses its own item and no other."""

from __future__ import annotations

import atexit
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from nasgym.errors import InvalidSetting, RunFailed
from nasgym.executors.base import THREAD_VARIABLES, Answer, Item, Outcome, Value, attempt, distribute, pickled_function

__all__ = ["Processes"]

_PATIENCE = 5.0  # seconds for an idle worker to end by itself, then it is killed


class Processes:
    """Runs items in worker processes, each with its own interpreter and its own pipe.

    A worker that dies (killed, out of memory), at its start too, loses the item that it had and no other; a new worker
    takes its place.

    Args:
        workers: Number of processes, at least 1.
        threads: Threads of numerical libraries in each worker, at least 1.
        fresh_after_error: Let a new worker take the place of one whose item raised an error: what it computes with may
            be broken, as a CUDA context is after an illegal access.
    """

    def __init__(self, workers: int, threads: int = 1, *, fresh_after_error: bool = False) -> None:
        if workers < 1:
            raise InvalidSetting(f"workers must be at least 1; got {workers}.")
        if threads < 1:
            raise InvalidSetting(f"threads must be at least 1; got {threads}.")
        self.workers, self.threads, self.fresh_after_error = workers, threads, fresh_after_error

    def map_unordered(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Yield the outcomes as they come. Items are taken from the iterable only when a worker is free.

        Workers are spawned: function and items are pickled, and a script that calls this does so under
        ``if __name__ == "__main__":``. Leaving the loop early, by an interrupt too, ends the workers at once.

        Raises:
            InvalidSetting: The function cannot be pickled.
            RunFailed: A worker ended with an error before its first item, as in a script without that line.
        """
        crew = _Crew(pickled_function(function), self.threads, self.fresh_after_error)
        atexit.register(crew.stop)  # else an iterator left hanging would hang the interpreter's end
        try:
            yield from distribute(crew, iter(items), lambda: self.workers)
            crew.dismiss()
        finally:
            crew.stop()
            atexit.unregister(crew.stop)


def _serve(connection: Connection) -> None:
    """Ask for the function, then answer items until the other end of the pipe is closed: the whole life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    load = cache(pickle.loads)  # it may carry a data set: once is enough
    try:
        connection.send_bytes(b"")
        function = connection.recv_bytes()
    except (EOFError, OSError):
        return
    while True:
        try:
            item = connection.recv_bytes()
        except EOFError:
            return
        answer = attempt(lambda packed: load(function)(pickle.loads(packed)), item)
        packed, error, text = attempt(pickle.dumps, answer)
        connection.send_bytes(packed if error is None else pickle.dumps((None, error, text)))


class _Worker:
    """One process, the pipe to it, and the item that it has.

    The function goes through the pipe, and only when the worker asks: it may carry a data set, and a process that dies
    or hangs at its start must not stop the parent in the middle of sending it.
    """

    def __init__(self, threads: int) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs,))
        self._started = False
        self._first = b""
        with _environment(dict.fromkeys(THREAD_VARIABLES, str(threads))):
            self.process.start()
        theirs.close()  # so that its death is the end of the pipe

    def send(self, item: bytes) -> None:
        """Give the worker an item, or keep its first one until it asks."""
        if not self._started:
            self._first = item
            return
        with suppress(OSError):  # it died while idle: its pipe is at its end, and `receive` says so
            self.connection.send_bytes(item)

    def receive(self, function: bytes) -> Answer | None:
        """Return the answer, None where the worker only asked for its function, or how it died."""
        try:
            if self.connection.poll():
                received = self.connection.recv_bytes()
                if not self._started:
                    self._started = True
                    self.connection.send_bytes(function)
                    self.send(self._first)
                    return None
                answer, error, text = attempt(pickle.loads, received)
                return answer if error is None else (None, error, text)
        except (EOFError, OSError):
            pass  # it died in the middle of its answer
        self.stop(_PATIENCE)
        code = self.process.exitcode
        if not self._started and code is not None and code > 0:
            raise RunFailed(
                f"a worker process ended with exit code {code} before its first item; its own error stands above. A "
                'script that starts workers does so under `if __name__ == "__main__":`, since each worker imports it.'
            )
        return None, f"the worker process died (exit code {code}) before it answered", ""

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

    def __init__(self, function: bytes, threads: int, fresh_after_error: bool) -> None:
        self._function, self._threads, self._fresh_after_error = function, threads, fresh_after_error
        self._idle: list[_Worker] = []
        self.busy: dict[_Worker, Any] = {}

    def start(self, item: Any) -> Answer | None:
        """Hand an item to a worker; return an answer only where the item could not be sent."""
        packed, error, text = attempt(pickle.dumps, item)
        if error is not None:
            return None, error, text
        worker = self._idle.pop() if self._idle else _Worker(self._threads)
        self.busy[worker] = item
        worker.send(packed)
        return None

    def finished(self) -> list[tuple[Any, Answer]]:
        """Wait until a worker answers, asks or dies; return ``(item, answer)`` of those that answered or died."""
        handles = {handle: worker for worker in self.busy for handle in (worker.connection, worker.process.sentinel)}
        done = []
        for worker in {handles[ready] for ready in wait(list(handles))}:  # type: ignore[index]
            answer = worker.receive(self._function)
            if answer is None:
                continue
            done.append((self.busy.pop(worker), answer))
            if worker.process.is_alive() and not (self._fresh_after_error and answer[1]):
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
