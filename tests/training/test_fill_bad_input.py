"""What a filling does where the world is not as it should be: nothing stored is lost, and what failed is known."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from nasgym.errors import RunFailed, StoreError, StoreFull, StoreReadOnly, TableMismatch
from nasgym.executors import Outcome, Processes
from nasgym.results import Evaluation, Series
from nasgym.results_file import TableMeta, read_results
from nasgym.store import Cell, Store
from nasgym.training import Split
from nasgym.training.bundle import BundleTrainer, Job
from nasgym.training.fill import _Filling
from nasgym.training.fill_results import FileResults, StoreResults
from nasgym.training.fill_work import Plan
from nasgym.training.progress import EpochReport
from tests.training.fill_helpers import KEY, RECIPE, SPACE, tiny_data, work_or_die_once
from tests.training.test_fill import CELLS, _counts, _fill

MANY = [Cell(index, seed) for seed in (0, 1) for index in range(1000, 1020)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """Let the system refuse larger files, as a full disk would."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


@contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a disk of ``size`` bytes; the test is skipped where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a disk is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_keeps_what_was_stored(store: Store) -> None:
    _fill(StoreResults(store), MANY[:2], members=1)
    with _files_of_at_most(store.size_on_disk), pytest.raises(StoreFull, match="no room for the store"):
        _fill(StoreResults(store), MANY, members=1)
    kept = store.cells(KEY)
    assert 2 <= len(kept) < len(MANY) and set(MANY[:2]) <= set(kept)
    assert store.verify() == []
    (rescued,) = store.path.parent.glob("nasgym-rescued-*")  # what was trained and found no room
    store.merge(rescued)
    assert len(store.cells(KEY)) == len(kept) + 1
    assert _counts(_fill(StoreResults(store), MANY)) == (40, len(kept) + 1, 39 - len(kept), 0, 0)


def test_a_file_of_results_on_a_full_disk_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "results.nasgym"
    _fill(FileResults(path), MANY[:2], members=1)
    with _files_of_at_most(path.stat().st_size + 1500), pytest.raises(StoreFull, match="room on the disk"):
        _fill(FileResults(path), MANY, members=1)
    assert _counts(_fill(FileResults(path), MANY[:3], members=1))[1] >= 2
    rows = [(row.evaluation.index, row.evaluation.seed) for row in read_results(path)]
    assert len(rows) == len(set(rows)), "a cell came twice"


def test_a_disk_that_is_full_and_then_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real disk of its own, where the tests may mount one; what was trained is kept on another."""
    monkeypatch.chdir(tmp_path)
    with _small_disk(tmp_path / "disk", 1 << 20) as disk:
        with Store(disk / "store", map_size=1 << 16) as store:
            _fill(StoreResults(store), MANY[:4])
            before = list(store.scan(KEY))
            with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
                while ballast.write(bytes(4096)):
                    pass
            with pytest.raises(StoreFull, match=f"is kept in {tmp_path}"):
                _fill(StoreResults(store), MANY, members=1)
            kept = list(store.scan(KEY))
            assert [e for e in kept if e in before] == before and len(kept) < len(MANY)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with Store(disk / "store") as store:
            with pytest.raises(StoreReadOnly):
                _fill(StoreResults(store), on_progress=lambda _: pytest.fail("trained"))
            assert list(store.scan(KEY)) == kept


def test_a_data_set_that_changed_since_is_refused_and_named(store: Store) -> None:
    _fill(StoreResults(store), CELLS[:2])
    before = list(store.scan(KEY))
    images = tiny_data().train.images.clone()
    images[0, 0, 0, 0] += 1
    split = Split(images, tiny_data().train.labels)
    changed = type(tiny_data()).of(KEY.dataset, ("top", "bottom"), (split, tiny_data().valid, tiny_data().test))
    with pytest.raises(TableMismatch, match="data set"):
        _fill(StoreResults(store), data=changed, on_progress=lambda _: pytest.fail("trained"))
    assert list(store.scan(KEY)) == before


def test_files_that_change_while_it_runs_change_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set is loaded once, by the driver; no worker loads it again."""
    loads: list[str] = []

    def load(name: str, **_: object) -> object:
        loads.append(name)
        return tiny_data()

    monkeypatch.setattr("nasgym.training.fill.load_dataset", load)
    monkeypatch.setattr("nasgym.training.trainer.load_dataset", lambda *_, **__: pytest.fail("loaded again"))
    assert _counts(_fill(StoreResults(store), members=2, data=None)) == (6, 0, 6, 0, 0)
    assert loads == [KEY.dataset]


def test_another_recipe_is_refused_and_changes_nothing(store: Store) -> None:
    _fill(StoreResults(store), CELLS[:2])
    before = list(store.scan(KEY))
    with pytest.raises(TableMismatch, match="recipe"):
        _fill(StoreResults(store), recipe=replace(RECIPE, epochs=3), on_progress=lambda _: pytest.fail("trained"))
    assert list(store.scan(KEY)) == before


def test_two_fillings_with_different_seeds_of_a_cell_keep_both(store: Store) -> None:
    _fill(StoreResults(store), [Cell(1462, 0)])
    first = store.get(KEY, 1462, 0)
    assert _counts(_fill(StoreResults(store), [Cell(1462, 7)])) == (1, 0, 1, 0, 0)
    second = store.get(KEY, 1462, 7)
    assert store.get(KEY, 1462, 0) == first and store.seeds(KEY, 1462) == [0, 7]
    assert first is not None and second is not None
    assert first.value("train_loss", 2) != second.value("train_loss", 2)


def test_of_two_results_of_one_cell_the_first_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another filling, whose claim was not seen, stores the cell meanwhile."""
    results, other = StoreResults(store), StoreResults(Store(store.path))
    put = results.put

    def late(evaluations: Iterable[Evaluation]) -> None:
        rows = list(evaluations)
        other.begin(results.table)
        other.put([replace(row, provenance={"who": "other"}, seed=row.seed) for row in rows[:1]])
        put(rows)

    monkeypatch.setattr(results, "put", late)
    _fill(results, CELLS[:2])
    owners = {cell: store.get(KEY, cell.index, cell.seed).provenance.get("who") for cell in CELLS[:2]}  # type: ignore[union-attr]
    assert sorted(owners.values(), key=str) == [None, "other"]


@pytest.mark.slow
def test_a_cell_alone_whose_worker_dies_once_is_tried_again(store: Store, tmp_path: Path) -> None:
    results = StoreResults(store)
    results.begin(TableMeta(KEY, SPACE.size))
    plan = Plan("nb201", KEY.dataset, RECIPE, "cpu", "auto", tiny_data())
    work = partial(work_or_die_once, plan, tmp_path / "died")
    report = _Filling(results, CELLS[:2], False, None).run(Processes(1), work, 1)
    assert (tmp_path / "died").exists()
    assert _counts(report) == (2, 0, 2, 0, 0)
    assert not results.failures().read()


def test_out_of_memory_in_a_cell_alone_is_an_error_that_names_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real path from PyTorch's error: halved, halved again, then recorded with the cell and the remedy."""
    sizes: list[int] = []

    def full(self: BundleTrainer, jobs: Sequence[object]) -> object:
        sizes.append(len(jobs))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    monkeypatch.setattr(BundleTrainer, "_trained", full)
    report = _fill(StoreResults(store), CELLS[:3], members=3)
    assert sizes == [3, 1, 2, 1, 1]
    assert {failure.cell for failure in report.failures} == set(CELLS[:3])
    for failure in report.failures:
        assert "does not fit into the memory" in failure.reason and "smaller batch_size" in failure.reason
    assert store.cells(KEY) == []


def test_the_size_that_fitted_is_kept_for_the_next_bundles(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    trained = BundleTrainer._trained

    def small(self: BundleTrainer, jobs: Sequence[Job]) -> Iterator[tuple[int, list[EpochReport]]]:
        sizes.append(len(jobs))
        if len(jobs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return trained(self, jobs)

    monkeypatch.setattr(BundleTrainer, "_trained", small)
    halved = [6, 3, 1, 2, 3, 1, 2]
    assert _counts(_fill(StoreResults(store), MANY[:12], members=6)) == (12, 0, 12, 0, 0)
    assert sizes == [*halved, 2, 2, 2]
    assert _counts(_fill(StoreResults(store), MANY[:18], members=6)) == (18, 12, 6, 0, 0)
    assert sizes[10:] == halved, "another filling finds out anew"


DIED = "the worker process died (exit code -11) before it answered"


class Place:
    """A place where every bundle with one of some cells fails; the others give results."""

    def __init__(self, error: str, bad: Sequence[Cell]) -> None:
        self.error, self.bad, self.bundles = error, set(bad), 0
        self.trace = "" if error == DIED else "Traceback"

    def map_unordered(self, function: object, items: Iterable[tuple[Cell, ...]]) -> Iterator[Outcome[object, object]]:
        """Answer at once."""
        for item in items:
            self.bundles += 1
            fails = not self.bad.isdisjoint(item)
            series = {"valid_accuracy": Series.of(0.5, 1, "fraction")}
            rows = [Evaluation(cell.index, cell.seed, 1, series) for cell in item]
            yield Outcome(item, None, self.error, self.trace) if fails else Outcome(item, (rows, []))


def _filling(store: Store, cells: Sequence[Cell]) -> _Filling:
    results = StoreResults(store)
    results.begin(TableMeta(KEY, SPACE.size))
    return _Filling(results, cells, False, None)


@pytest.mark.parametrize("error", [DIED, "RuntimeError: CUDA error: an illegal memory access was encountered"])
@pytest.mark.parametrize("members", [1, 4])
def test_a_place_that_fails_every_bundle_in_the_same_way_ends_the_filling(
    store: Store, error: str, members: int
) -> None:
    place = Place(error, MANY)
    with pytest.raises(RunFailed, match=r"(?s)10 bundles, one after another.*--retry-failed"):
        _filling(store, MANY).run(place, lambda cells: ([], []), members)
    assert place.bundles == 10


def test_neighbours_that_fail_in_the_same_way_do_not_stop_those_behind_them(store: Store) -> None:
    place = Place("ValueError: no such thing", MANY[8:20])
    report = _filling(store, MANY).run(place, lambda cells: ([], []), 4)
    assert {failure.cell for failure in report.failures} == set(MANY[8:20])
    assert set(store.cells(KEY)) == set(MANY) - set(MANY[8:20])


def test_a_file_that_is_no_file_of_results_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes")
    with pytest.raises(StoreError, match="not a file of results"):
        _fill(FileResults(path))
    assert path.read_text() == "my notes"
