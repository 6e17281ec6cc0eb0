"""The Ray executor on a real cluster of two machines, which are processes here."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from nasgym.errors import InvalidSetting, RunFailed
from nasgym.executors import Ray, cores
from nasgym.executors.cluster import _serve
from tests.ray_cluster import two_machines
from tests.test_executors import by_item, deadly, killed, picky, square, threads_seen, unloadable, unsendable


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_machines(OMP_NUM_THREADS="7") as made:  # as the machines of a cluster may have it
        yield made


@pytest.fixture(scope="module")
def ray(cluster: Any) -> Iterator[Ray]:
    with Ray(cluster.address) as executor:
        yield executor


def held(path: str) -> str:
    """Say who runs this, then wait for the end."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(120)
    return path


def where(_: int) -> tuple[str, int]:
    import ray as cluster

    time.sleep(0.5)
    return cluster.get_runtime_context().get_node_id(), os.getpid()


def _pid(path: Path) -> int:
    for _ in range(600):
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError("the task did not start")


@pytest.mark.slow
def test_items_are_spread_and_every_one_has_its_value(ray: Ray) -> None:
    assert ray.total("CPU") == 2 and ray.total("GPU") == 0
    outcomes = by_item(ray.map_unordered(square, range(20)))
    assert {item: o.result() for item, o in outcomes.items()} == {x: x * x for x in range(20)}
    seen = [o.result() for o in ray.map_unordered(where, range(6))]
    assert len({node for node, _ in seen}) == 2 and os.getpid() not in {pid for _, pid in seen}
    assert list(ray.map_unordered(square, [])) == []


@pytest.mark.slow
def test_failures_are_told_and_lose_no_other_item(ray: Ray) -> None:
    outcomes = by_item(ray.map_unordered(picky, range(5)))
    assert {item for item, o in outcomes.items() if o.error} == {2, 3}
    assert outcomes[2].error is not None and "UnknownName: unknown number '2'" in outcomes[2].error
    assert "in picky" in outcomes[2].traceback and not outcomes[2].died
    assert outcomes[3].error == "SystemExit: three"
    for function in (unsendable, unloadable):
        assert all(o.error and not o.died for o in ray.map_unordered(function, [1]))
    bad = lambda: 0  # noqa: E731 - a lambda cannot be pickled
    assert by_item(ray.map_unordered(id, [bad, 5]))[bad].error
    with pytest.raises(InvalidSetting, match="top level of a module"):
        next(ray.map_unordered(lambda x: x, [1]))


@pytest.mark.slow
def test_a_worker_that_dies_loses_its_own_item_only(ray: Ray) -> None:
    outcomes = by_item(ray.map_unordered(deadly, [1, -1, 2, 3]))
    assert {item for item, o in outcomes.items() if o.died} == {-1}
    assert sorted(o.result() for item, o in outcomes.items() if item > 0) == [1, 2, 3]
    outcomes = by_item(ray.map_unordered(killed, [0, 1, 2]))
    assert outcomes[1].error is not None and "WorkerCrashedError" in outcomes[1].error
    assert (outcomes[0].result(), outcomes[2].result()) == (0, 2)


@pytest.mark.slow
def test_threads_are_limited_and_items_are_taken_when_there_is_room(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for x in range(10):
            taken.append(x)
            yield x

    outcomes = ray.map_unordered(threads_seen, items())
    assert next(outcomes).result()[0] == "1"
    assert len(taken) <= 3
    outcomes.close()  # type: ignore[attr-defined]
    one_by_one = Ray(workers=1).map_unordered(threads_seen, items())
    next(one_by_one)
    assert taken[-1] == 0
    assert len(list(one_by_one)) == 9


@pytest.mark.slow
def test_leaving_early_ends_what_is_under_way(ray: Ray, tmp_path: Path) -> None:
    outcomes = ray.map_unordered(held, [str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "c")])
    path, start = tmp_path / "a", time.monotonic()
    killer = threading.Thread(target=lambda: os.kill(_pid(path), signal.SIGKILL))
    killer.start()
    first = next(outcomes)
    assert first.died and first.item == str(path)
    killer.join()
    other = _pid(tmp_path / "b")
    outcomes.close()  # type: ignore[attr-defined]
    while time.monotonic() < start + 30 and _alive(other):
        time.sleep(0.1)
    assert not _alive(other)
    assert [o.result() for o in ray.map_unordered(square, [3])] == [9]  # there is room again


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_what_the_cluster_lacks_is_named(ray: Ray) -> None:
    with pytest.raises(InvalidSetting, match="1 CPU and 1 GPU on one machine; the whole Ray cluster has 2 and 0"):
        next(Ray(gpus=1).map_unordered(square, [1]))
    with pytest.raises(InvalidSetting, match="2 CPU and 0 GPU on one machine"):  # there are two, of two machines
        next(Ray(threads=2).map_unordered(square, [1]))


def test_without_a_cluster_one_of_this_machine_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ray is asked for; real ones are started by the tests above and by hand."""
    ray = pytest.importorskip("ray")
    asked: list[dict[str, Any]] = []

    def init(**terms: Any) -> None:
        asked.append(terms)
        if terms["address"] != "local":
            raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: BytesIO())
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: asked.append({"address": "left"}))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with Ray():
        assert [terms["address"] for terms in asked] == ["auto", "local"]
        assert asked[1]["num_cpus"] == cores() and asked[1]["include_dashboard"] is False
    assert asked[-1] == {"address": "left"}
    with pytest.raises(InvalidSetting, match=r"no Ray cluster answers at '10.0.0.1:1' \(Could not find any"):
        Ray("10.0.0.1:1").connect()
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:2")
    with pytest.raises(InvalidSetting, match="no Ray cluster answers at '10.0.0.2:2'"):
        Ray().connect()


@pytest.mark.parametrize("address", ["127.0.0.1:9", "no port", "127.0.0.1:port", "127.0.0.1:99999"])
def test_an_address_where_nobody_answers_is_named_at_once(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(InvalidSetting, match=f"no Ray cluster answers at '{address}'"):
        Ray(address).connect()


def test_another_version_of_nasgym_is_refused() -> None:
    with pytest.raises(RunFailed, match="the driver has nasgym 0.0.0, this machine has"):
        _serve("name", [], b"", 1, "0.0.0")


@pytest.mark.parametrize("option", [{"workers": 0}, {"threads": 0}, {"gpus": -1.0}])
def test_numbers_out_of_bounds_are_named(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting, match=f"{next(iter(option))} must be at least"):
        Ray(**option)


def test_a_missing_ray_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InvalidSetting, match=r"pip install 'nasgym\[ray\]'"):
        Ray()
