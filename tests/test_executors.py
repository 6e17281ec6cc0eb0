"""Executors: every item has one outcome, whatever happens to its function or its process."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest

from nasgym.errors import InvalidSetting, RunFailed, UnknownName
from nasgym.executors import Executor, InProcess, Outcome, Processes, executor_for

BOTH = pytest.mark.parametrize("executor", [InProcess(), Processes(2)], ids=["here", "processes"])


def square(x: int) -> int:
    return x * x


def picky(x: int) -> int:
    if x == 2:
        raise UnknownName("number", str(x), ["1", "3"])
    if x == 3:
        sys.exit("three")
    return x


def deadly(x: int) -> int:
    if x < 0:
        os._exit(3)
    time.sleep(0.05)
    return x


def killed(x: int) -> int:
    if x == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def threads_seen(_: int) -> tuple[str | None, int]:
    return os.environ.get("OMP_NUM_THREADS"), os.getpid()


def unsendable(x: int) -> Callable[[], int]:
    return lambda: x


class Unloadable:
    """Pickles, but cannot be unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return int, ("no number",)


def unloadable(_: int) -> Unloadable:
    return Unloadable()


def by_item(outcomes: Any) -> dict[Any, Outcome[Any, Any]]:
    listed = list(outcomes)
    assert len({o.item for o in listed}) == len(listed), "an item came out twice"
    return {o.item: o for o in listed}


@BOTH
def test_every_item_has_its_value(executor: Executor) -> None:
    outcomes = by_item(executor.map_unordered(square, range(20)))
    assert {item: o.result() for item, o in outcomes.items()} == {x: x * x for x in range(20)}


@BOTH
def test_no_items_no_outcomes(executor: Executor) -> None:
    assert list(executor.map_unordered(square, [])) == []


@BOTH
def test_an_exception_is_told_whole_and_loses_no_other_item(executor: Executor) -> None:
    outcomes = by_item(executor.map_unordered(picky, range(5)))
    assert {item for item, o in outcomes.items() if o.error} == {2, 3}
    assert [outcomes[x].result() for x in (0, 1, 4)] == [0, 1, 4]
    assert outcomes[2].error is not None and "UnknownName: unknown number '2'" in outcomes[2].error
    assert "in picky" in outcomes[2].traceback
    assert outcomes[3].error == "SystemExit: three"
    with pytest.raises(RunFailed, match=r"(?s)2 failed: .*UnknownName.*in picky"):
        outcomes[2].result()


def test_a_worker_that_exits_loses_its_own_item_only() -> None:
    outcomes = by_item(Processes(2).map_unordered(deadly, [1, -1, 2, 3, -2, 4, 5, 6]))
    assert {item for item, o in outcomes.items() if o.error} == {-1, -2}
    assert sorted(o.result() for item, o in outcomes.items() if item > 0) == [1, 2, 3, 4, 5, 6]
    assert outcomes[-1].error == "the worker process died (exit code 3) before it answered"


def test_every_worker_may_die() -> None:
    outcomes = by_item(Processes(2).map_unordered(deadly, [-1, -2, -3, 7]))
    assert [outcomes[x].error is None for x in (-1, -2, -3, 7)] == [False, False, False, True]


def test_a_killed_worker_is_named_by_its_signal() -> None:
    outcomes = by_item(Processes(1).map_unordered(killed, [0, 1, 2]))
    assert outcomes[1].error == f"the worker process died (exit code {-signal.SIGKILL}) before it answered"
    assert (outcomes[0].result(), outcomes[2].result()) == (0, 2)


def test_a_worker_that_dies_at_its_start_loses_its_own_item_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function is larger than any pipe holds, and the first worker is killed before it can read a byte of it."""
    start, started = SpawnProcess.start, []

    def kill_the_first(process: SpawnProcess) -> None:
        start(process)
        started.append(process)
        if len(started) == 1 and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)

    monkeypatch.setattr(SpawnProcess, "start", kill_the_first)
    outcomes = by_item(Processes(1).map_unordered(partial(max, bytes(1 << 20)), [b"x", b"y"]))
    assert outcomes[b"x"].error == f"the worker process died (exit code {-signal.SIGKILL}) before it answered"
    assert outcomes[b"y"].result() == b"y"


def raising(x: int) -> int:
    if x == 0:
        raise ValueError("broken from now on")
    return os.getpid()


@pytest.mark.parametrize("fresh", [True, False])
def test_a_worker_whose_item_raised_is_replaced_where_that_is_wanted(fresh: bool) -> None:
    outcomes = by_item(Processes(1, fresh_after_error=fresh).map_unordered(raising, [1, 0, 2]))
    assert outcomes[0].error == "ValueError: broken from now on"
    assert (outcomes[1].result() != outcomes[2].result()) == fresh


def test_a_script_without_the_guard_ends_with_an_error_that_names_it(tmp_path: Path) -> None:
    script = tmp_path / "careless.py"
    script.write_text(
        "from functools import partial\n"
        "from nasgym.executors import Processes\n"
        "print(list(Processes(1).map_unordered(partial(max, bytes(1 << 20)), [b'x', b'y'])))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    run = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=240)
    assert run.returncode == 1 and not run.stdout
    assert "RunFailed" in run.stderr.splitlines()[-1] and 'if __name__ == "__main__":' in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("function", [unsendable, unloadable])
def test_a_value_that_cannot_travel_is_an_error_of_its_item(function: Callable[[int], Any]) -> None:
    outcomes = by_item(Processes(1).map_unordered(function, [1, 2]))
    assert all(o.error for o in outcomes.values())


def test_an_item_that_cannot_travel_is_an_error_of_its_own() -> None:
    bad = lambda: 0  # noqa: E731 - a lambda cannot be pickled
    outcomes = by_item(Processes(2).map_unordered(id, [bad, 5]))
    assert outcomes[bad].error is not None and "pickle" in outcomes[bad].error
    assert outcomes[5].error is None


def test_a_function_that_cannot_travel_is_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidSetting, match="top level of a module"):
        next(Processes(2).map_unordered(lambda x: x, [1]))


def test_workers_are_other_processes_with_limited_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    outcomes = by_item(Processes(2, threads=3).map_unordered(threads_seen, range(4)))
    assert {o.result()[0] for o in outcomes.values()} == {"3"}
    pids = {o.result()[1] for o in outcomes.values()}
    assert os.getpid() not in pids and len(pids) <= 2
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_items_are_taken_only_when_a_worker_is_free() -> None:
    taken: list[int] = []

    def items() -> Any:
        for x in range(100):
            taken.append(x)
            yield x

    outcomes = Processes(2).map_unordered(square, items())
    next(outcomes)
    assert len(taken) <= 3
    outcomes.close()  # type: ignore[attr-defined]


def test_leaving_early_ends_the_workers() -> None:
    outcomes = Processes(2).map_unordered(time.sleep, [0.0, 60.0, 60.0])
    next(outcomes)
    start = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 10


def test_an_interrupt_stops_at_once_and_leaves_no_worker(tmp_path: Path) -> None:
    script = tmp_path / "long_run.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys, time
        from nasgym.executors import Processes

        def work(path):
            with open(path, "w") as file:
                file.write(str(os.getpid()))
            time.sleep(120)

        if __name__ == "__main__":
            for outcome in Processes(1).map_unordered(work, [sys.argv[1]]):
                print(outcome)
        """)
    )
    pid_file = tmp_path / "pid"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    run = subprocess.Popen([sys.executable, script, pid_file], env=environment, stderr=subprocess.PIPE, text=True)
    worker = _wait_for_pid(pid_file)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=30)
    assert run.returncode != 0 and errors.rstrip().endswith("KeyboardInterrupt")
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def _wait_for_pid(path: Path) -> int:
    for _ in range(600):
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError("the worker did not start")


def test_executor_for() -> None:
    assert isinstance(executor_for(1), InProcess)
    many = executor_for(3)
    assert isinstance(many, Processes) and many.workers == 3
    for bad in (0, -2):
        with pytest.raises(InvalidSetting, match=f"workers must be at least 1; got {bad}"):
            executor_for(bad)
    with pytest.raises(InvalidSetting, match="threads must be at least 1; got 0"):
        Processes(2, threads=0)


def test_outcomes_travel() -> None:
    outcome = Outcome(3, error="ValueError: no", traceback="Traceback ...")
    assert pickle.loads(pickle.dumps(outcome)) == outcome
