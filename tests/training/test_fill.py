"""Filling tables: nothing is lost, nothing is trained twice, and what fails is known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from nasgym.errors import DeviceMemoryExhausted, InvalidSetting, RunFailed, StoreFull, StoreReadOnly, TableMismatch
from nasgym.executors import Processes
from nasgym.recipes import get_recipe
from nasgym.results import Evaluation, TableKey
from nasgym.results_file import TableMeta
from nasgym.spaces import get_space
from nasgym.store import Cell, Store, layout
from nasgym.store.environment import Transaction
from nasgym.training import Trainer
from nasgym.training.bundle import BundleTrainer, Engine, Job
from nasgym.training.bundle_compiler import load_kernels
from nasgym.training.fill import FillProgress, FillReport, _Filling, _members, cells_of, fill
from nasgym.training.fill_results import Failure, FailureLog, FileResults, FillResults, StoreResults
from nasgym.training.fill_work import Plan
from tests.training.fill_helpers import DEADLY, KEY, RECIPE, SPACE, tiny_data, work_or_die

CELLS = [Cell(index, seed) for seed in (0, 1) for index in (1462, 11472, 17)]
ROOT = Path(__file__).parents[2]


def _fill(results: FillResults, cells: Sequence[Cell] = CELLS, **options: Any) -> FillReport:
    wanted = {"data": tiny_data(), "device": "cpu", "workers": 1, "members": 4, **options}
    return fill(SPACE, KEY.dataset, wanted.pop("recipe", RECIPE), cells, results, **wanted)


def _counts(report: FillReport) -> tuple[int, int, int, int, int]:
    return report.wanted, report.present, report.trained, report.elsewhere, len(report.failures)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_every_cell_gets_the_result_of_a_training_alone(store: Store) -> None:
    seen: list[FillProgress] = []
    assert _counts(_fill(StoreResults(store), on_progress=seen.append)) == (6, 0, 6, 0, 0)
    assert [p.done for p in seen] == [4, 6]
    assert seen[0].seconds_left is not None and seen[0].seconds_left > 0
    assert seen[1].seconds_left == 0
    trainer = Trainer(SPACE, KEY.dataset, RECIPE, device="cpu", data=tiny_data())
    for cell in CELLS:
        stored = store.get(KEY, cell.index, cell.seed)
        alone = trainer(SPACE.from_index([cell.index])[0], int(cell.seed))
        assert stored is not None
        assert stored.value("valid_loss", 1) == pytest.approx(alone.value("valid_loss", 1), rel=0.01)
    assert store.meta(KEY).fingerprint == tiny_data().fingerprint


@pytest.mark.parametrize(("space", "of"), [("nb101-5", "nb101-4"), ("nb101-4", "nb101-digits")])
def test_cells_of_nb101_fill_a_table_by_the_engine_that_knows_their_recipe(space: str, of: str, store: Store) -> None:
    small, recipe = get_space(space), replace(get_recipe(of), epochs=2, channels=4, cells_per_stage=1)
    report = fill(
        *(small, KEY.dataset, recipe, [Cell(9, 0)], StoreResults(store)), data=tiny_data(), device="cpu", workers=1
    )
    assert _counts(report) == (1, 0, 1, 0, 0), report.failures
    stored = store.get(TableKey(space, KEY.dataset, of), 9, 0)
    alone = Trainer(small, KEY.dataset, recipe, device="cpu", data=tiny_data())(small.from_index([9])[0], 0)
    plain = "eager" if load_kernels() is None else "compiled"
    assert stored is not None and stored.provenance["engine"] == ("eager" if of == "nb101-4" else plain)
    assert stored.value("valid_loss") == alone.value("valid_loss")


def test_what_is_there_is_not_trained_again(store: Store) -> None:
    _fill(StoreResults(store), CELLS[:4])
    before = list(store.scan(KEY))
    assert _counts(_fill(StoreResults(store), [*CELLS, *CELLS])) == (6, 4, 2, 0, 0)
    assert _counts(_fill(StoreResults(store))) == (6, 6, 0, 0, 0)
    after = list(store.scan(KEY))
    assert all(evaluation in after for evaluation in before)


def test_cells_of_another_filling_are_left_to_it(store: Store) -> None:
    results, other = StoreResults(store), StoreResults(Store(store.path))
    meta = TableMeta(KEY, SPACE.size)
    other.begin(meta)
    assert other.claim(CELLS[:2]) == CELLS[:2]
    assert _counts(_fill(results)) == (6, 0, 4, 2, 0)
    other.release(CELLS[:2])
    assert _counts(_fill(results)) == (6, 4, 2, 0, 0)


def test_a_recipe_or_data_set_that_differs_is_refused(store: Store, tmp_path: Path) -> None:
    for results in (StoreResults(store), FileResults(tmp_path / "results.nasgym")):
        _fill(results, CELLS[:1])
        with pytest.raises(TableMismatch):
            _fill(results, recipe=replace(RECIPE, learning_rate=0.5))
        with pytest.raises(TableMismatch):
            _fill(results, data=replace(tiny_data(), fingerprint="another"))


def test_a_file_takes_the_results_where_there_is_no_store(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "results.nasgym"
    _fill(FileResults(path), CELLS[:4])
    path.write_bytes(path.read_bytes()[:-7])  # as a cut-off leaves it: the last result is lost
    assert _counts(_fill(FileResults(path))) == (6, 3, 3, 0, 0)
    store.merge(path)
    assert _counts(_fill(StoreResults(store))) == (6, 6, 0, 0, 0)


def test_a_store_that_cannot_be_written_is_named_before_anything_is_trained(store: Store) -> None:
    _fill(StoreResults(store), CELLS[:1])
    readonly = Store(store.path, readonly=True)
    with pytest.raises(StoreReadOnly):
        _fill(StoreResults(readonly), on_progress=lambda _: pytest.fail("trained"))


def test_a_disk_that_fills_up_loses_nothing_stored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    results = StoreResults(store)
    put, written = results.put, []

    def limited(evaluations: Iterable[Evaluation]) -> None:
        if written:
            raise StoreFull("no room")
        written.append(1)
        put(evaluations)

    monkeypatch.setattr(results, "put", limited)
    with pytest.raises(StoreFull):
        _fill(results, members=2)
    assert sum(1 for _ in store.scan(KEY)) == 2
    assert _counts(_fill(StoreResults(store))) == (6, 2, 4, 0, 0)  # the claims were given up


def _limited(fits: Callable[[Sequence[Job]], bool], sizes: list[int]) -> Callable[..., list[Evaluation]]:
    """Return a `BundleTrainer.train` for a device on which not every bundle fits."""
    train = BundleTrainer.train

    def limited(self: BundleTrainer, jobs: Sequence[Job], on_result: object = None) -> list[Evaluation]:
        sizes.append(len(jobs))
        if not fits(jobs):
            raise DeviceMemoryExhausted("too large")
        return train(self, jobs)

    return limited


def test_a_bundle_that_does_not_fit_is_halved(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(BundleTrainer, "train", _limited(lambda jobs: len(jobs) < 3, sizes))
    assert _counts(_fill(StoreResults(store), members=6)) == (6, 0, 6, 0, 0)
    assert sizes == [6, 3, 1, 2, 3, 1, 2]


def test_a_cell_that_fails_is_recorded_and_tried_again_on_request(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = SPACE.from_index([17])[0].tolist()
    with monkeypatch.context() as patch:
        patch.setattr(BundleTrainer, "train", _limited(lambda jobs: bad not in [r.tolist() for r, _ in jobs], []))
        report = _fill(StoreResults(store))
    assert _counts(report) == (6, 0, 4, 0, 2)
    assert {failure.cell for failure in report.failures} == {Cell(17, 0), Cell(17, 1)}
    assert "too large" in report.failures[0].reason
    again = _fill(StoreResults(store))
    assert _counts(again) == (6, 4, 0, 0, 2)
    assert set(again.failures) == set(report.failures)
    assert _counts(_fill(StoreResults(store), retry_failed=True)) == (6, 4, 2, 0, 0)
    assert _counts(_fill(StoreResults(store))) == (6, 6, 0, 0, 0)


def test_a_log_of_failures_survives_a_cut(tmp_path: Path) -> None:
    log = FailureLog(tmp_path / "new" / "log.jsonl")
    assert log.read() == {}
    log.append([Failure(Cell(1, 0), "first"), Failure(Cell(2, 0), "other")])
    log.append([Failure(Cell(1, 0), "second")])
    log.path.write_text(log.path.read_text() + '{"index": 3, "se')
    assert log.read() == {Cell(1, 0): "second", Cell(2, 0): "other"}


def test_a_record_after_a_cut_line_is_not_lost_with_it(tmp_path: Path) -> None:
    log = FailureLog(tmp_path / "log.jsonl")
    log.append([Failure(Cell(1, 0), "first")])
    log.path.write_text(log.path.read_text() + '{"index": 3, "se')
    log.append([Failure(Cell(2, 0), "after the cut")])
    log.append([Failure(Cell(4, 0), "last")])
    assert log.read() == {Cell(1, 0): "first", Cell(2, 0): "after the cut", Cell(4, 0): "last"}
    assert log.path.read_text().count("\n") == 4, "no line more than needed"


def test_a_log_of_failures_that_cannot_be_written_keeps_the_reasons(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (store.path / "failures").parent.mkdir(parents=True, exist_ok=True)
    (store.path / "failures").write_text("a file where a folder should be")
    monkeypatch.setattr("nasgym.training.fill.train_cells", _broken)
    report = _fill(StoreResults(store), CELLS[:2], members=1)
    assert [failure.reason for failure in report.failures] == ["RuntimeError: CUDA error: illegal access"] * 2
    assert "could not be written" in caplog.text and '"reason": "RuntimeError: CUDA error' in caplog.text


def _broken(plan: Plan, cells: Sequence[Cell]) -> tuple[list[Evaluation], list[Failure]]:
    raise RuntimeError("CUDA error: illegal access")


def _broken_but_for_every_ninth(plan: Plan, cells: Sequence[Cell]) -> tuple[list[Evaluation], list[Failure]]:
    return ([], []) if cells[0].index % 9 == 0 else _broken(plan, cells)


@pytest.mark.parametrize("members", [1, 2])
def test_a_fault_that_stays_does_not_mark_the_rest_of_the_table(
    store: Store, monkeypatch: pytest.MonkeyPatch, members: int
) -> None:
    monkeypatch.setattr("nasgym.training.fill.train_cells", _broken)
    cells = [Cell(index, 0) for index in range(40)]
    with pytest.raises(RunFailed, match=r"(?s)10 bundles.*RuntimeError: CUDA error: illegal access.*--retry-failed"):
        _fill(StoreResults(store), cells, members=members)
    results = StoreResults(store)
    results.begin(TableMeta(KEY, SPACE.size))
    assert len(results.failures().read()) == (10 if members == 1 else 0)
    assert results.claim(cells) == cells, "claims were not given up"


def test_failures_between_successes_do_not_stop_a_filling(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasgym.training.fill.train_cells", _broken_but_for_every_ninth)
    report = _fill(StoreResults(store), [Cell(index, 0) for index in range(36)], members=1)
    assert len(report.failures) == 32


def test_claims_are_renewed_while_a_bundle_is_under_way(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained for longer than a claim lasts stays claimed: the training ends when it has been renewed twice."""
    results, renewed, gone = StoreResults(store), threading.Semaphore(0), []
    renew = results.renew

    def told(cells: Iterable[Cell]) -> None:
        held = list(cells)
        renew(held)
        if held:
            renewed.release()

    def train(plan: Plan, cells: Sequence[Cell]) -> tuple[list[Evaluation], list[Failure]]:
        until = _claimed_until(store, cells[0])
        while renewed.acquire(blocking=False):  # those before that
            pass
        assert renewed.acquire(timeout=120) and renewed.acquire(timeout=120)
        gone.append(_claimed_until(store, cells[0]) - until)
        return [], []

    monkeypatch.setattr(results, "renew", told)
    monkeypatch.setattr("nasgym.training.fill._RENEWAL", 0.01)
    monkeypatch.setattr("nasgym.training.fill.train_cells", train)
    _fill(results, CELLS[:2], members=2)
    assert len(gone) == 1 and gone[0] > 0


def _claimed_until(store: Store, cell: Cell) -> float:
    def claim(txn: Transaction) -> float:
        data = txn.get(layout.cell_key(b"l", store._found(txn, KEY)[0], cell.index, cell.seed))
        return float(json.loads(bytes(data or b""))["until"])

    return store._read(claim)


@pytest.mark.parametrize(
    ("space", "recipe", "device", "engine", "here", "expected"),
    [
        ("nb201", "cluttered-digits-10", "cuda", "auto", False, 64),
        ("nb201", "cluttered-digits-10", "cuda", "eager", False, 1),
        ("nb101-5", "nb101-digits", "cuda:1", "auto", False, 1),
        ("nb101-5", "nb101-4", "cpu", "auto", True, 1),
        ("nb201", "cluttered-digits-10", "cpu", "compiled", False, 1),
        ("nb201", "cluttered-digits-10", "cpu", "compiled", True, 3),
        ("nb201", "cluttered-digits-10", "cpu", "stacked", False, 4),
    ],
)
def test_a_bundle_holds_what_is_trained_at_once(
    space: str, recipe: str, device: str, engine: Engine, here: bool, expected: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert _members(None, get_space(space), get_recipe(recipe), device, engine, here) == expected
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_a_worker_that_dies_costs_one_cell(store: Store) -> None:
    results = StoreResults(store)
    results.begin(TableMeta(KEY, SPACE.size))
    plan = Plan("nb201", KEY.dataset, RECIPE, "cpu", "auto", tiny_data())
    filling = _Filling(results, CELLS[:4], False, None)
    report = filling.run(Processes(2), partial(work_or_die, plan), 4)
    assert _counts(report) == (4, 0, 3, 0, 1)
    assert report.failures[0].cell == DEADLY
    assert "died" in report.failures[0].reason


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_where_it_was(store: Store) -> None:
    """The driver is killed with signal 9 while two workers have bundles; every acknowledged cell is there."""
    command = [sys.executable, str(ROOT / "tests/training/fill_helpers.py"), str(store.path), "60"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    acknowledged = int([line for line in lines if line.endswith("\n")][-1])
    assert store.verify() == []
    stored = sum(1 for _ in store.scan(KEY))
    assert 6 <= acknowledged <= stored < 60
    report = _fill(StoreResults(store), cells_of(SPACE, [0], limit=60), members=20)
    assert _counts(report) == (60, stored, 60 - stored, 0, 0)  # the claims of the dead are void


def test_the_present_speed_forgets_what_is_long_ago(store: Store) -> None:
    filling, seen = _counting(store), []
    for seconds, trained in ((100.0, 100), (200.0, 200), (400.0, 220), (800.0, 220), (900.0, 230)):
        filling._trained = trained
        seen.append(filling._progress(seconds))
    assert [p.present_speed for p in seen] == pytest.approx([1.0, 1.0, 120 / 300, 0.0, 10 / 500])
    assert seen[-1].cells_per_second == pytest.approx(230 / 900)
    assert seen[3].seconds_left is None
    assert seen[-1].seconds_left == pytest.approx((1000 - 230) / (10 / 500))


def _counting(store: Store) -> _Filling:
    """Return a filling of 1,000 cells that has not begun."""
    results = StoreResults(store)
    results.begin(TableMeta(KEY, SPACE.size))
    return _Filling(results, [Cell(index, 0) for index in range(1000)], False, None)


@pytest.mark.parametrize("place", ["store", "file"])
def test_results_for_whole_classes_are_recorded_as_such(store: Store, tmp_path: Path, place: str) -> None:
    path = tmp_path / "results.nasgym"
    _fill(StoreResults(store) if place == "store" else FileResults(path), CELLS[:1], shares_equal=True)
    if place == "file":
        store.merge(path)
    assert store.meta(KEY).shares_equal
    _fill(StoreResults(store), CELLS[:2])  # the rest is not there yet
    assert store.meta(KEY).shares_equal


def test_the_record_goes_when_every_architecture_has_its_own_results(store: Store) -> None:
    results = StoreResults(store)
    results.begin(TableMeta(KEY, 3, shares_equal=True))
    results.put([Evaluation(index, 0, 1, {}) for index in (0, 1)])
    results.stop_sharing()
    assert store.meta(KEY).shares_equal
    results.put([Evaluation(2, 0, 1, {}), Evaluation(0, 1, 1, {})])
    results.stop_sharing()
    assert store.meta(KEY).shares_equal, "seed 1 has one architecture of three"
    results.put([Evaluation(index, 1, 1, {}) for index in (1, 2)])
    results.stop_sharing()
    assert not store.meta(KEY).shares_equal
    results.begin(TableMeta(KEY, 3))
    assert not store.meta(KEY).shares_equal


def test_cells_of_a_table() -> None:
    whole = cells_of(SPACE, [0, 1])
    assert len(set(whole)) == 2 * SPACE.size
    assert [cell.seed for cell in whole[:: SPACE.size]] == [0, 1]
    unique = cells_of(SPACE, [0], unique=True)
    assert len(unique) == len(set(SPACE.canonical(SPACE.from_index(range(SPACE.size))).tolist()))
    rows = SPACE.from_index([cell.index for cell in whole[: SPACE.size]])
    assert (rows[1:] != rows[:-1]).sum(axis=1).mean() < 1.5  # at random it is 4.8


@pytest.mark.parametrize("option", [{"members": 0}, {"workers": 0}, {"device": "gpu"}])
def test_numbers_out_of_bounds_are_named(option: dict[str, object], store: Store) -> None:
    with pytest.raises(InvalidSetting):
        _fill(StoreResults(store), **option)


def test_a_place_without_lmdb_and_gymnasium_fills_a_file(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "results.nasgym"
    code = f"""
import sys
sys.modules["lmdb"] = sys.modules["gymnasium"] = None
from nasgym.training.fill import fill
from nasgym.training.fill_results import FileResults
from tests.training.fill_helpers import KEY, RECIPE, SPACE, tiny_data
from nasgym.store import Cell
cells = [Cell(17, 0), Cell(1462, 0)]
fill(SPACE, KEY.dataset, RECIPE, cells, FileResults({str(path)!r}), data=tiny_data(), device="cpu", workers=1)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    store.merge(path)
    assert _counts(_fill(StoreResults(store))) == (6, 2, 4, 0, 0)
