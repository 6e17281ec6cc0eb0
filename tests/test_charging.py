"""The seconds of a table's cost model: in views, queries and on the clock alike, and for what is trained later too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nasgym.benchmark import Benchmark
from nasgym.costs import CostModel
from nasgym.errors import InvalidSetting, StoreDamaged
from nasgym.results import Evaluation, Series
from nasgym.spaces import get_space
from nasgym.store import Store, TableKey
from nasgym.task import Task, get_protocol
from tests.costs.samples import model

SPACE = get_space("nb201")
KEY = TableKey("nb201", "cluttered-digits", "cluttered-digits-10")
MODEL: CostModel = model()


def bundled(index: int, seed: int = 0) -> Evaluation:
    """A training whose measured seconds mean nothing."""
    series = {
        "valid_accuracy": Series.of(np.linspace(0.1, 0.7, 10), range(1, 11), "fraction"),
        "train_seconds": Series.of(np.full(10, 1e6), range(1, 11), "seconds"),
    }
    return Evaluation(index, seed, 10, series)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.ensure_table(KEY, SPACE.size, costs=MODEL.to_json())
    store.put(KEY, [bundled(6111), bundled(1462, 1)])
    return store


def expected(index: int, epochs: int) -> dict[str, float]:
    return {k: float(v[0]) for k, v in MODEL.seconds(SPACE, SPACE.from_index([index]), epochs).items()}


def test_queries_and_views_give_the_models_seconds(store: Store) -> None:
    benchmark = Benchmark(SPACE, KEY, store)
    for epoch, epochs in ((None, 10), (3, 3)):
        view = benchmark.view(("valid_accuracy", "train_seconds", "valid_seconds"), epoch)
        found = benchmark.query(6111, 0, epoch=epoch)
        for metric in ("train_seconds", "valid_seconds"):
            assert found.value(metric) == pytest.approx(expected(6111, epochs)[metric])
            assert view.means(metric)[6111] == pytest.approx(expected(6111, epochs)[metric])
            assert np.isnan(view.means(metric)[0]), "what is not stored has no seconds"
    assert found.provenance["seconds"] == "cost model"
    stored = store.get(KEY, 6111, 0)
    assert stored is not None
    assert stored.train_seconds == 1e6, "what is stored stays as it was put"


def test_the_clock_charges_them(store: Store) -> None:
    task = Task(Benchmark(SPACE, KEY, store), get_protocol("plain"))
    result = task.evaluate_index(6111)
    wanted = expected(6111, 10)
    assert result.seconds == pytest.approx(wanted["train_seconds"] + wanted["valid_seconds"])


def test_what_is_trained_on_a_miss_is_charged_alike(store: Store) -> None:
    benchmark = Benchmark(
        SPACE, KEY, store, on_missing="train", train=lambda genotype, seed: bundled(int(SPACE.index(genotype[None])[0]))
    )
    assert benchmark.query(9, 0).train_seconds == pytest.approx(expected(9, 10)["train_seconds"])


def test_a_new_model_takes_the_place_of_the_old_one(store: Store) -> None:
    benchmark = Benchmark(SPACE, KEY, store)
    before = benchmark.view(("valid_accuracy", "train_seconds")).means("train_seconds")[6111]
    twice = {part: tuple(2 * c for c in values) for part, values in MODEL.coefficients.items()}
    store.set_costs(KEY, replace(MODEL, coefficients=twice).to_json())
    benchmark.refresh()
    after = benchmark.view(("valid_accuracy", "train_seconds")).means("train_seconds")[6111]
    assert after == pytest.approx(2 * before)
    assert benchmark.query(6111, 0).train_seconds == pytest.approx(after)


def test_without_a_model_the_measured_seconds_count(tmp_path: Path) -> None:
    store = Store(tmp_path / "plain")
    store.ensure_table(KEY, SPACE.size)
    store.put(KEY, [bundled(6111)])
    assert Benchmark(SPACE, KEY, store).query(6111, 0).train_seconds == 1e6


def test_a_model_that_cannot_be_used_is_an_error(store: Store) -> None:
    store.set_costs(KEY, {**MODEL.to_json(), "space": "nb999"})
    with pytest.raises(InvalidSetting, match="nb999"):
        Benchmark(SPACE, KEY, store).query(6111, 0)
    store.set_costs(KEY, {"version": 1})
    with pytest.raises(StoreDamaged, match="cost model"):
        Benchmark(SPACE, KEY, store).query(6111, 0)


def test_an_architecture_that_answers_with_an_equal_network_is_charged_its_own_seconds(tmp_path: Path) -> None:
    every = SPACE.from_index(np.arange(SPACE.size))
    classes, cost = SPACE.canonical(every), MODEL.seconds(SPACE, every, 1)["train_seconds"]
    other = int(np.abs(cost - cost[classes]).argmax())
    representative = int(classes[other])
    assert abs(cost[other] - cost[representative]) > 0.01 * cost[representative], "else this tests nothing"
    store = Store(tmp_path / "unique")
    store.ensure_table(KEY, SPACE.size, shares_equal=True, costs=MODEL.to_json())
    store.put(KEY, [bundled(representative, 0), bundled(representative, 1)])
    shared = Benchmark(SPACE, KEY, store)
    for epoch, epochs in ((None, 10), (3, 3)):
        view = shared.view(("valid_accuracy", "train_seconds"), epoch)
        for index in (other, representative):
            wanted = expected(index, epochs)["train_seconds"]
            assert view.means("train_seconds")[index] == pytest.approx(wanted)
            assert view.value("train_seconds", 1, index) == pytest.approx(wanted)
            for seed in ("mean", 0, 1):
                assert shared.query(index, seed, epoch=epoch).train_seconds == pytest.approx(wanted)  # type: ignore[arg-type]
    assert Task(shared, get_protocol("plain")).evaluate_index(other).seconds == pytest.approx(
        sum(expected(other, 10)[name] for name in ("train_seconds", "valid_seconds"))
    )


def test_another_seed_of_an_equal_network_is_trained_where_its_results_are(tmp_path: Path) -> None:
    classes = SPACE.canonical(SPACE.from_index(np.arange(SPACE.size)))
    representative = int(np.bincount(classes).argmax())
    other = int(np.flatnonzero(classes == representative)[-1])
    trained: list[tuple[int, int]] = []

    def train(genotype: NDArray[np.int8], seed: int) -> Evaluation:
        trained.append((int(SPACE.index(genotype[None])[0]), seed))
        return bundled(*trained[-1])

    store = Store(tmp_path / "unique")
    store.ensure_table(KEY, SPACE.size, shares_equal=True)
    store.put(KEY, [bundled(representative, 0)])
    shared = Benchmark(SPACE, KEY, store, on_missing="train", train=train)
    shared.ensure(other, 1)
    assert trained == [(representative, 1)]
    shared.ensure(other, 1)
    shared.query(other, 1)
    shared.ensure(other, "mean")
    assert len(trained) == 1, "it is there"
    view = shared.view(("valid_accuracy",))
    assert view.counts[other] == view.counts[representative] == 2


def test_equal_networks_answer_where_the_table_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "unique")
    classes = SPACE.canonical(SPACE.from_index(np.arange(SPACE.size)))
    representative = int(np.bincount(classes).argmax())
    other = int(np.flatnonzero(classes == representative)[-1])
    assert other != representative
    store.ensure_table(KEY, SPACE.size, shares_equal=True)
    store.put(KEY, [bundled(representative)])
    shared = Benchmark(SPACE, KEY, store)
    assert shared.share_equal
    assert shared.query(other, 0).index == other
    assert not np.isnan(shared.view(("valid_accuracy",)).means("valid_accuracy")[other])
    assert not Benchmark(SPACE, KEY, store, share_equal=False).share_equal
    assert np.isnan(
        Benchmark(SPACE, KEY, store, share_equal=False).view(("valid_accuracy",)).means("valid_accuracy")[other]
    )
