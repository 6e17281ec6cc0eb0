"""Filling on a Ray cluster of two machines, which are processes here: what dies loses nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nasgym.errors import InvalidSetting
from nasgym.executors import Ray
from nasgym.results_file import TableMeta
from nasgym.store import Cell, Store
from nasgym.training.fill import FillProgress, _Filling, cells_of, fill
from nasgym.training.fill_results import StoreResults
from nasgym.training.fill_work import Plan
from tests.ray_cluster import two_machines
from tests.training.fill_helpers import KEY, RECIPE, SPACE, tiny_data, work_counted


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two machines; the driver is on the first, and the last test takes the other."""
    with two_machines() as made:
        yield made


@pytest.mark.slow
def test_the_driver_alone_writes_and_sends_the_data_set(cluster: Any, tmp_path: Path) -> None:
    """`fill` itself, joined by its words; the workers could not load this data set by its name."""
    store, cells = Store(tmp_path / "store"), [Cell(index, 0) for index in (1462, 11472, 17, 6111)]
    report = fill(
        *(SPACE, KEY.dataset, RECIPE, cells, StoreResults(store)),
        **{"executor": "ray", "ray_address": cluster.address, "data": tiny_data(), "members": 2},
    )  # type: ignore[arg-type]
    assert report.trained == 4 and set(store.cells(KEY)) == set(cells)
    assert store.meta(KEY).fingerprint == tiny_data().fingerprint
    with pytest.raises(InvalidSetting, match="1 GPU"):
        fill(
            *(SPACE, KEY.dataset, RECIPE, [Cell(5, 0)], StoreResults(store)),
            **{"executor": "ray", "ray_address": cluster.address, "data": tiny_data(), "device": "cuda"},
        )  # type: ignore[arg-type]
    import ray

    assert not ray.is_initialized()  # it left the cluster


@pytest.mark.slow
def test_a_worker_and_a_machine_die_and_nothing_is_lost_or_trained_twice(cluster: Any, tmp_path: Path) -> None:
    log, store = tmp_path / "log", Store(tmp_path / "store")
    log.mkdir()
    results, cells = StoreResults(store), cells_of(SPACE, [0, 1], limit=20)
    results.begin(TableMeta(KEY, SPACE.size))
    plan = Plan("nb201", KEY.dataset, RECIPE, "cpu", "auto", tiny_data())
    work = partial(work_counted, plan, log, cells[9])

    def on_progress(progress: FillProgress) -> None:
        if progress.done >= 20 and cluster.worker_nodes:
            cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)

    with Ray(cluster.address) as executor:
        report = _Filling(results, cells, False, on_progress).run(executor, work, 4)
    assert (log / "killed").exists() and not cluster.worker_nodes
    assert (report.wanted, report.trained, report.failures) == (40, 40, ())
    assert set(store.cells(KEY)) == set(cells)
    trained = Counter(name for file in log.glob("*.ended") for name in _cells(file))
    assert trained == {(cell.index, cell.seed): 1 for cell in cells}
    begun = Counter(name for file in log.glob("*.begun") for name in _cells(file))
    assert sum(begun.values()) > len(cells), "nothing died"
    assert store.verify() == []


def _cells(file: Path) -> list[tuple[int, int]]:
    """Return the cells that the name of a file of `work_counted` tells."""
    names = file.name.rsplit(".", 2)[0].split("-")
    return [(int(index), int(seed)) for index, _, seed in (name.partition(".") for name in names)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"executor": "dask"}, "'local' and 'ray'"),
        ({"ray_address": "10.0.0.1:6379"}, "needs the executor 'ray'"),
        ({"executor": "ray", "device": "gpu"}, "devices are auto, cpu, cuda"),
    ],
)
def test_wrong_words_are_named(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        fill(SPACE, KEY.dataset, RECIPE, [Cell(5, 0)], StoreResults(Store(tmp_path)), data=tiny_data(), **options)
