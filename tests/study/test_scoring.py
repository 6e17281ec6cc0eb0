"""What runs would have answered at a time, against a walk through the trajectory; scores and regrets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.store import Store, TableKey
from nasgym.study import TaskSpec
from nasgym.study.records import RunSet
from nasgym.study.scoring import NOTHING, ScoreTable, best_architecture, incumbents, score_tables, take
from nasgym.task import Score, get_protocol
from nasgym.task.trajectory import TrajectoryArrays
from tests.study.samples import FINAL, KEY, TASK

# index, epochs, accuracy, finished: small numbers, so that ties are common
ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([0, 0, 0, 3]), st.integers(0, 4), st.integers(1, 9)), max_size=8
)


def run_set(*runs: list[tuple[int, int, float, float]]) -> RunSet:
    def arrays(rows: list[tuple[int, int, float, float]]) -> TrajectoryArrays:
        index, epochs, accuracy, finished = (
            (np.array(c) for c in zip(*rows, strict=True)) if rows else [np.empty(0)] * 4
        )
        return TrajectoryArrays(
            index.astype(np.int64), np.zeros(len(rows), np.int64), epochs.astype(np.int64),
            accuracy.astype(float), np.ones(len(rows)), finished.astype(float),
        )  # fmt: skip

    return RunSet.of("t", "a", [(seed, arrays(rows)) for seed, rows in enumerate(runs)])


def answer_by_hand(rows: list[tuple[int, int, float, float]], time: float) -> int:
    best, found = -1.0, NOTHING
    for index, epochs, accuracy, finished in sorted(rows, key=lambda row: row[3]):
        if finished <= time and epochs == 0 and accuracy > best:
            best, found = accuracy, index
    return found


@given(st.lists(ROWS, min_size=1, max_size=3))
@settings(deadline=None)
def test_incumbents_are_those_of_a_walk(runs: list[list[tuple[int, int, float, float]]]) -> None:
    times = np.array([0.0, 0.5, 1.0, 3.0, 9.0, np.inf])
    found = run_set(*runs)
    indices = take(found.evaluations.indices, incumbents(found, times), NOTHING)
    assert indices.tolist() == [[answer_by_hand(rows, t) for t in times] for rows in runs]


def test_what_ends_after_the_budget_does_not_count_at_the_budget() -> None:
    runs = run_set([(3, 0, 0.5, 60.0), (4, 0, 0.9, 110.0)])
    assert take(runs.evaluations.indices, incumbents(runs, np.array([100.0, 110.0])), NOTHING).tolist() == [[3, 4]]


def test_part_of_a_training_is_no_answer() -> None:
    assert incumbents(run_set([(3, 6, 0.9, 1.0)]), np.array([5.0])).tolist() == [[NOTHING]]


def test_no_runs_no_answers() -> None:
    assert incumbents(run_set(), np.array([5.0])).shape == (0, 1)


def test_regret_is_the_distance_from_the_best_known() -> None:
    table = ScoreTable(Score("valid", "valid_accuracy"), np.array([0.5, np.nan, 0.8]), 0.8)
    np.testing.assert_allclose(table.regret(np.array([0, 2, 1, NOTHING])), [0.3, 0.0, np.nan, np.nan])
    loss = ScoreTable(Score("loss", "valid_loss"), np.array([2.0, 0.5]), 0.5)
    np.testing.assert_allclose(loss.regret(np.array([0, 1])), [1.5, 0.0])


def test_the_best_architecture_is_the_highest_accuracy_or_the_lowest_loss() -> None:
    values = np.array([np.nan, 0.5, 0.75, 0.25])
    assert best_architecture(values, "valid_accuracy") == 2 and best_architecture(values, "valid_loss") == 3
    assert best_architecture(values[:1], "valid_accuracy") == NOTHING


def test_scores_are_means_over_stored_seeds(filled: Path) -> None:
    task = TaskSpec(TASK, on_missing="error", store=str(filled)).make()
    valid, test = score_tables(task)
    store = Store(filled)
    for index in (0, 5, 999, 1000, 15624):
        stored = [store.get(KEY, index, seed) for seed in store.seeds(KEY, index)]
        assert valid.values[index] == pytest.approx(np.mean([e.valid_accuracy for e in stored if e]))
        assert test.values[index] == pytest.approx(np.mean([e.test_accuracy for e in stored if e]))
    assert valid.best == valid.values.max()


@pytest.mark.parametrize("protocol", ["nats-tss", "nasbench201-2020"])
def test_published_tests_of_cifar10_are_of_networks_trained_on_all_its_images(protocol: str) -> None:
    tables = {score.name.removeprefix("cifar10 "): score.table(KEY) for score in get_protocol(protocol).scores}
    assert tables["valid"] == TableKey("nb201", "cifar10", "nb201-200")
    assert tables["test"] == TableKey("nb201", "cifar10-full", "nb201-200")
    others = [score.table(KEY).dataset for score in get_protocol("nasbench201-2020").scores[2:]]
    assert others == ["cifar100", "cifar100", "imagenet16-120", "imagenet16-120"]


def test_a_protocol_scores_on_its_own_tables_and_the_absent_ones_are_unknown(filled: Path) -> None:
    task = TaskSpec(TASK, protocol="nasbench201-2020", on_missing="error", store=str(filled)).make()
    tables = {table.score.name: table for table in score_tables(task)}
    final = Store(filled).get(FINAL, 77, 0)
    assert final is not None and tables["cifar10 valid"].values[77] == pytest.approx(final.valid_accuracy)
    for name in ("cifar100 valid", "imagenet16-120 test"):
        assert np.isnan(tables[name].values).all() and np.isnan(tables[name].best)
