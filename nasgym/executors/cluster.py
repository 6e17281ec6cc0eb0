"""A Ray cluster: many machines, one driver. ray is imported when it is used."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from nasgym.errors import InvalidSetting, RunFailed
from nasgym.executors.base import (
    THREAD_VARIABLES,
    Answer,
    Item,
    Outcome,
    Value,
    attempt,
    distribute,
    first_line,
    pickled_function,
)
from nasgym.executors.machine import cores

__all__ = ["Ray"]

_LOOK_SECONDS = 5.0  # after which the cluster is asked again how large it is
_KNOCK_SECONDS = 10.0
_QUIET = {"log_to_driver": False, "logging_level": logging.WARNING}


class Ray:
    """Runs items as tasks of a Ray cluster; the same nasgym must be installed on all of its machines.

    A worker or a machine that dies loses the items that it had and no other. The function is sent to each machine once.
    As a context manager it leaves the cluster at the end of the block; a cluster that it made ends there.

    Args:
        address: Of the cluster; None: ``$RAY_ADDRESS``, else the one that runs on this machine, else a new one, of
            this machine alone.
        workers: Items under way at once, at least 1; None: as many as the cluster has room for at that moment.
        gpus: GPUs that an item needs; 0 or more, fractions allowed.
        threads: Cores that an item needs, at least 1, and threads of numerical libraries that it gets.

    Raises:
        InvalidSetting: ray is not installed, or a number is out of its bounds.
    """

    def __init__(
        self, address: str | None = None, *, workers: int | None = None, gpus: float = 0.0, threads: int = 1
    ) -> None:
        if workers is not None and workers < 1:
            raise InvalidSetting(f"workers must be at least 1; got {workers}.")
        if threads < 1:
            raise InvalidSetting(f"threads must be at least 1; got {threads}.")
        if not gpus >= 0:
            raise InvalidSetting(f"gpus must be at least 0; got {gpus}.")
        self.address, self.workers, self.gpus, self.threads = address, workers, gpus, threads
        self._joined = False
        _ray()

    def connect(self) -> None:
        """Join the cluster, or make one; where this process is in a cluster already, that one is used.

        Raises:
            InvalidSetting: No cluster answers at the address.
        """
        ray = _ray()
        if ray.is_initialized():
            return
        address = self.address or os.environ.get("RAY_ADDRESS")
        try:
            _knock(address)
            ray.init(address=address or "auto", **_QUIET)
        except (OSError, ValueError, RuntimeError) as error:
            if address is not None:
                raise InvalidSetting(
                    f"no Ray cluster answers at {address!r} ({first_line(error)}). `ray status` there tells its "
                    "address; without one, the cluster of this machine is used, or a new one is made."
                ) from error
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
            ray.init(address="local", num_cpus=cores(), include_dashboard=False, **_QUIET)
        self._joined = True

    def close(self) -> None:
        """Leave the cluster that `connect` joined."""
        if self._joined:
            self._joined = False
            _ray().shutdown()

    def __enter__(self) -> Ray:
        """Join the cluster."""
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the cluster."""
        self.close()

    def total(self, resource: str) -> float:
        """Return how much of ``"CPU"`` or ``"GPU"`` the machines of the cluster have together."""
        self.connect()
        return float(_ray().cluster_resources().get(resource, 0.0))

    def map_unordered(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Yield the outcomes as they come. Items are taken from the iterable only when there is room for them.

        Function and items are pickled. Leaving the loop early, by an interrupt too, ends what is under way.

        Raises:
            InvalidSetting: The function cannot be pickled, or no machine of the cluster can run an item.
            RunFailed: nasgym is missing on a machine, or is another version.
        """
        packed = pickled_function(function)
        self.connect()
        if self._room() < 1:
            raise InvalidSetting(
                f"an item needs {self.threads} CPU and {self.gpus:g} GPU on one machine; the whole Ray cluster has "
                f"{self.total('CPU'):g} and {self.total('GPU'):g}. Ask for less, or take another device."
            )
        tasks = _Tasks(packed, self.threads, self.gpus)
        try:
            yield from distribute(tasks, iter(items), lambda: max(1, self._room()))
        finally:
            tasks.stop()

    def _room(self) -> int:
        """Return how many items the cluster runs at once: 0 where it never can, for the moment at least."""
        room = sum(self._room_of(node["Resources"]) for node in _ray().nodes() if node["Alive"])
        return room if self.workers is None else min(room, self.workers)

    def _room_of(self, resources: Mapping[str, float]) -> int:
        """Return how many items a machine runs at once: an item does not reach over two."""
        room = resources.get("CPU", 0.0) // self.threads
        return int(min(room, resources.get("GPU", 0.0) // self.gpus) if self.gpus else room)


class _Tasks:
    """What is under way in the cluster."""

    def __init__(self, function: bytes, threads: int, gpus: float) -> None:
        import nasgym

        ray = _ray()
        self._name, self._function = uuid.uuid4().hex, [ray.put(function)]
        self._terms = threads, nasgym.__version__
        self._submit = ray.remote(_serve).options(num_cpus=threads, num_gpus=gpus, max_retries=0).remote
        self.busy: dict[Any, Any] = {}

    def start(self, item: Any) -> Answer | None:
        """Hand an item to the cluster; return an answer only where the item could not be sent."""
        packed, error, text = attempt(pickle.dumps, item)
        if error is not None:
            return None, error, text
        self.busy[self._submit(self._name, self._function, packed, *self._terms)] = item
        return None

    def finished(self) -> list[tuple[Any, Answer]]:
        """Return ``(item, answer)`` of what has ended; nothing after some seconds of waiting."""
        ready, _ = _ray().wait(list(self.busy), num_returns=1, timeout=_LOOK_SECONDS)
        return [(self.busy.pop(task), _answer(task)) for task in ready]

    def stop(self) -> None:
        """End everything that is under way."""
        ray = _ray()
        for task in self.busy if ray.is_initialized() else ():
            with suppress(ray.exceptions.RayError):  # the cluster is gone: so is the task
                ray.cancel(task, force=True)


def _answer(task: Any) -> Answer:
    """Return what became of a task that has ended."""
    ray = _ray()
    try:
        answer, error, text = attempt(pickle.loads, ray.get(task))
    except (ray.exceptions.RayTaskError, ray.exceptions.RuntimeEnvSetupError) as failure:
        raise RunFailed(
            f"a machine of the Ray cluster cannot work: {str(failure).strip().splitlines()[-1]}\n"
            "Install the same version of nasgym on all of them."
        ) from failure
    except ray.exceptions.RayError as failure:
        return None, f"the Ray worker died ({type(failure).__name__}: {first_line(failure)})", ""
    return answer if error is None else (None, error, text)


_functions: dict[str, Callable[[Any], Any]] = {}  # of a worker: the one that it got last, by the name of the map


def _serve(name: str, function: list[Any], item: bytes, threads: int, version: str) -> bytes:
    """Answer one item: the whole life of a task."""
    import nasgym

    if nasgym.__version__ != version:
        raise RunFailed(f"the driver has nasgym {version}, this machine has {nasgym.__version__}.")
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))  # before the function brings torch in

    def work(packed: bytes) -> Any:
        if name not in _functions:
            _functions.clear()
            _functions[name] = pickle.loads(_ray().get(function[0]))
        return _functions[name](pickle.loads(packed))

    packed, error, text = attempt(pickle.dumps, attempt(work, item))
    return packed if error is None else pickle.dumps((None, error, text))


def _knock(address: str | None) -> None:
    """Raise `OSError` or `ValueError` where nobody answers: Ray itself would try for minutes."""
    if address is not None and address not in ("auto", "local") and "://" not in address:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()
        except OverflowError as error:
            raise ValueError(str(error)) from error


def _ray() -> Any:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns that this will be its default
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise InvalidSetting(f"Ray is not installed here ({error}): pip install 'nasgym[ray]'.") from error
    return ray
