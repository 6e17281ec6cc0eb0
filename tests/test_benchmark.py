"""Queries: which training answers, at which epoch, and that asking changes nothing."""

import numpy as np
import pytest

from nasgym.benchmark import AGGREGATE, Benchmark
from nasgym.errors import DatasetUnavailable, InvalidArchitecture, InvalidSetting, MissingResult, UnknownName
from nasgym.results import Evaluation, Series
from nasgym.spaces import get_space
from nasgym.store import Store, TableKey
from nasgym.task import PROTOCOLS, Task

SPACE = get_space("nb201")
KEY = TableKey("nb201", "cifar10", "nb201-12")


def evaluation(index, seed, values):
    """A training with a percent curve of valid accuracy."""
    epochs = range(12 - len(values) + 1, 13)
    return Evaluation(index, seed, 12, {"valid_accuracy": Series.of(values, epochs, "percent")})


@pytest.fixture
def benchmark(tmp_path):
    store = Store(tmp_path / "store")
    store.ensure_table(KEY, SPACE.size)
    store.put(
        KEY,
        [
            evaluation(0, 0, [50.0, 60.0]),
            evaluation(0, 3, [54.0, 64.0]),
            evaluation(1, 3, [70.0, 72.0]),
            evaluation(2, "mean", [80.0]),
            evaluation(3, "mean", [10.0]),
            evaluation(3, 0, [20.0]),
        ],
    )
    return Benchmark(SPACE, KEY, store)


def test_seed_policies_of_a_query(benchmark):
    assert benchmark.query(0, 3).valid_accuracy == 0.64
    assert benchmark.query(0).valid_accuracy == pytest.approx(0.62)
    assert benchmark.query(0).seed == "mean"
    assert [benchmark.query(0, "random", draw=d).seed for d in (0, 1, 2)] == [0, 3, 0]
    assert benchmark.query(2, "random", draw=5).seed == "mean"
    assert benchmark.query(3).valid_accuracy == pytest.approx(0.2), "numbered seeds come before an aggregate row"


def test_epochs_of_a_query(benchmark):
    assert benchmark.query(0, 0, epoch=11).valid_accuracy == 0.5
    assert benchmark.query(0, epoch=11).valid_accuracy == pytest.approx(0.52)
    assert benchmark.query(0, 0, epoch=11).epochs == 11


def test_a_view_answers_as_queries_do(benchmark):
    view = benchmark.view(["valid_accuracy"])
    assert view.seeds.tolist() == [0, 3, AGGREGATE]
    assert view.counts[:5].tolist() == [2, 1, 1, 1, 0]
    indices, draws = np.array([0, 0, 1, 2, 3]), np.array([0, 1, 1, 1, 1], dtype=np.uint64)
    slots = view.slots(indices, "random", draws)
    expected = [
        benchmark.query(int(i), "random", draw=int(d)).valid_accuracy for i, d in zip(indices, draws, strict=True)
    ]
    assert view.values("valid_accuracy", slots, indices).tolist() == expected
    assert [view.slot(int(i), "random", int(d)) for i, d in zip(indices, draws, strict=True)] == slots.tolist()
    mean = view.values("valid_accuracy", view.slots(indices, "mean", draws), indices)
    assert mean == pytest.approx([benchmark.query(int(i)).valid_accuracy for i in indices])


def test_a_view_of_a_seed_nobody_trained_is_unknown(benchmark):
    view = benchmark.view(["valid_accuracy"])
    slots = view.slots(np.array([0, 1]), 77, np.zeros(2, np.uint64))
    assert np.isnan(view.values("valid_accuracy", slots, np.array([0, 1]))).all()
    assert np.isnan(view.value("valid_accuracy", view.slot(0, 77, 0), 0))


def test_architectures_by_string_index_and_genotype(benchmark):
    string = SPACE.to_str(SPACE.from_index([1]))[0]
    for architecture in (string, 1, np.int64(1), SPACE.from_index([1])[0]):
        assert benchmark.query(architecture).index == 1
    with pytest.raises(InvalidArchitecture):
        benchmark.query(SPACE.size)
    with pytest.raises(InvalidArchitecture, match="entries of a genotype"):
        benchmark.query(np.array([9, 0, 0, 0, 0, 0]))


def test_asking_for_what_is_not_there(benchmark):
    with pytest.raises(MissingResult, match=r"index 9.*nb201/cifar10/nb201-12.*import nats-tss"):
        benchmark.query(9)
    with pytest.raises(MissingResult, match="seed 5"):
        benchmark.query(0, 5)
    with pytest.raises(InvalidSetting, match="draw="):
        benchmark.query(0, "random")
    with pytest.raises(InvalidSetting, match="seed"):
        benchmark.query(0, "median")
    with pytest.raises(UnknownName, match="valid_accuracy"):
        benchmark.view(["valid_acuracy"])
    with pytest.raises(UnknownName, match="valid_accuracy"):
        benchmark.query(0).value("valid_acuracy")


def test_asking_changes_nothing(benchmark):
    before = [info.rows for info in benchmark.store.tables()]
    benchmark.query(0)
    benchmark.view(["valid_accuracy"])
    assert [info.rows for info in benchmark.store.tables()] == before


def test_a_benchmark_says_what_it_needs(tmp_path):
    store = Store(tmp_path / "store")
    with pytest.raises(InvalidSetting, match="train function"):
        Benchmark(SPACE, KEY, store, on_missing="train")
    with pytest.raises(UnknownName, match="on_missing"):
        Benchmark(SPACE, KEY, store, on_missing="ignore")
    assert Benchmark(SPACE, KEY, store).view(["valid_accuracy"]).counts.sum() == 0


def test_equal_networks_share_results_where_the_user_asks(tmp_path):
    store = Store(tmp_path / "store")
    store.ensure_table(KEY, SPACE.size)
    classes = SPACE.canonical(SPACE.from_index(np.arange(SPACE.size)))
    representative = int(np.argmax(np.bincount(classes)))
    members = np.flatnonzero(classes == representative)
    stranger = int(np.flatnonzero(classes != representative)[0])
    second, last = int(members[1]), int(members[-1])
    store.put(KEY, [evaluation(last, 0, [40.0]), evaluation(second, 0, [30.0]), evaluation(second, 1, [32.0])])
    alone, shared = Benchmark(SPACE, KEY, store), Benchmark(SPACE, KEY, store, share_equal=True)
    with pytest.raises(MissingResult):
        alone.query(representative)
    assert shared.query(representative).valid_accuracy == pytest.approx(0.31)
    assert shared.query(representative, 1).valid_accuracy == 0.32
    assert shared.query(representative).index == representative
    assert shared.query(last).valid_accuracy == 0.4, "own results come first"
    view, counts = shared.view(["valid_accuracy"]), alone.view(["valid_accuracy"]).counts
    assert view.counts[members].tolist() == [2] * (len(members) - 1) + [1]
    assert view.counts.sum() == 2 * (len(members) - 1) + 1
    assert counts.sum() == 3
    slot = view.slot(representative, "mean", 0)
    assert view.value("valid_accuracy", slot, representative) == pytest.approx(0.31)
    with pytest.raises(MissingResult):
        shared.query(stranger)


def test_a_result_that_another_process_stored_meanwhile_is_seen_and_not_trained_again(tmp_path):
    here, there = (Store(tmp_path / "store") for _ in range(2))

    def train(genotype, seed):
        raise AssertionError("nothing is to be trained")

    benchmark = Benchmark(SPACE, KEY, here, on_missing="train", train=train)
    task = Task(benchmark, PROTOCOLS["plain"])
    assert benchmark.view(["valid_accuracy"]).counts.sum() == 0
    task.benchmark.view(["valid_accuracy", "train_seconds", "valid_seconds"])
    there.ensure_table(KEY, SPACE.size)
    there.put(KEY, [evaluation(5, 4, [55.0])])
    assert task.evaluate_index(5).accuracy == 0.55
    assert task.evaluate(SPACE.from_index([5, 5])).accuracies.tolist() == [0.55, 0.55]


def test_of_two_results_for_one_training_the_first_stays(tmp_path):
    here, there = (Store(tmp_path / "store") for _ in range(2))

    def train(genotype, seed):
        there.put(KEY, [evaluation(5, seed, [10.0])], on_conflict="keep")
        return evaluation(5, seed, [20.0])

    benchmark = Benchmark(SPACE, KEY, here, on_missing="train", train=train)
    assert benchmark.query(5).valid_accuracy == 0.1
    assert here.claim(KEY, 6, 0, 10.0)


def test_a_failed_training_gives_its_claim_back(tmp_path):
    def train(genotype, seed):
        raise MemoryError("no room")

    benchmark = Benchmark(SPACE, KEY, Store(tmp_path / "store"), on_missing="train", train=train)
    with pytest.raises(MemoryError):
        benchmark.query(5)
    assert Store(tmp_path / "store").claim(KEY, 5, 0, 10.0)


def test_a_metric_that_only_the_aggregate_knows_comes_from_it(tmp_path):
    store = Store(tmp_path / "store")
    store.ensure_table(KEY, SPACE.size)
    known = {"test_accuracy": Series.of([0.3], [12], "fraction")}
    store.put(KEY, [Evaluation(0, 0, 12, known), evaluation(0, "mean", [90.0])])
    benchmark = Benchmark(SPACE, KEY, store)
    assert benchmark.query(0).valid_accuracy == 0.9
    assert benchmark.query(0).test_accuracy == 0.3
    assert benchmark.view(["valid_accuracy"]).means("valid_accuracy")[0] == 0.9


@pytest.mark.parametrize("epoch", [0, -1, 13, 2.5])
def test_an_epoch_outside_the_recipe_is_refused(benchmark, epoch):
    with pytest.raises(InvalidSetting, match=r"1..12"):
        benchmark.query(0, epoch=epoch)
    with pytest.raises(InvalidSetting, match=r"1..12"):
        benchmark.view(["valid_accuracy"], epoch)


def test_what_cannot_be_prepared_leaves_nothing_behind(tmp_path):
    def prepare():
        raise DatasetUnavailable("no images")

    store = Store(tmp_path / "store")
    benchmark = Benchmark(SPACE, KEY, store, on_missing="train", train=lambda g, s: None, prepare=prepare)
    with pytest.raises(DatasetUnavailable):
        benchmark.query(0)
    assert KEY not in store


def test_waiting_for_another_process_is_logged_once(tmp_path, caplog, monkeypatch):
    here, there = (Store(tmp_path / "store") for _ in range(2))
    here.ensure_table(KEY, SPACE.size)
    assert there.claim(KEY, 5, 0, 60.0)
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            there.put(KEY, [evaluation(5, 0, [70.0])])

    monkeypatch.setattr("nasgym.benchmark.time.sleep", nap)
    benchmark = Benchmark(SPACE, KEY, here, on_missing="train", train=lambda g, s: None)
    with caplog.at_level("INFO", logger="nasgym.benchmark"):
        assert benchmark.query(5).valid_accuracy == 0.7
    assert [r.message for r in caplog.records].count(caplog.records[0].message) == 1
    assert "waiting" in caplog.text
