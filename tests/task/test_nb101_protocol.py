"""The published protocol of NAS-Bench-101: four tables, one for each length of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasgym.errors import InvalidSetting, MissingResult
from nasgym.results import Evaluation, Series
from nasgym.spaces import NB101
from nasgym.store import Store, TableKey
from nasgym.task import Task, get_protocol, make_task

SPACE = NB101()
CELLS = (7, 11)
RECIPES = ("nb101-4", "nb101-12", "nb101-36", "nb101-108")


def _trained(index: int, seed: int, epochs: int) -> Evaluation:
    """Made up so that every figure tells cell, repeat and length: accuracy 0.5 + index / 100 + epochs / 1000."""
    accuracy = 0.5 + index / 100 + epochs / 1_000 + seed / 10_000
    fraction = {"valid_accuracy": accuracy, "test_accuracy": accuracy - 0.01}
    series = {name: Series.of([value], [epochs], "fraction") for name, value in fraction.items()}
    series["train_seconds"] = Series.of([10.0 * epochs + seed], [epochs], "seconds")
    return Evaluation(index=index, seed=seed, epochs=epochs, series=series)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    store = Store(tmp_path / "store")
    for recipe in RECIPES:
        key, epochs = TableKey("nb101", "cifar10", recipe), int(recipe.removeprefix("nb101-"))
        store.ensure_table(key, SPACE.size)
        store.put(key, [_trained(index, seed, epochs) for index in CELLS for seed in range(3)])
    return make_task("nb101/cifar10", protocol="nb101", on_missing="error", store=store)


def test_a_random_repeat_answers_and_its_training_is_charged(task: Task) -> None:
    assert task.budget == 5e6 and task.epochs == 108
    outcome = task.evaluate(SPACE.from_index([7] * 40))
    assert set(outcome.seeds.tolist()) == {0, 1, 2}
    assert outcome.accuracies == pytest.approx(0.678 + outcome.seeds / 10_000)
    assert outcome.seconds.tolist() == (1_080.0 + outcome.seeds).tolist()


def test_shorter_trainings_are_tables_of_their_own(task: Task) -> None:
    for epochs in (4, 12, 36, 108):
        assert task.submit(SPACE.from_index([11])[0], epochs)
        result = task.next()
        assert result is not None
        assert result.accuracy == pytest.approx(0.61 + epochs / 1_000 + result.seed / 10_000)
        assert result.seconds == 10 * epochs + result.seed


def test_a_short_training_does_not_go_on(task: Task) -> None:
    task.submit(SPACE.from_index([7])[0], 4)
    paused = task.next()
    task.submit(SPACE.from_index([7])[0], 12, resume=paused)
    longer = task.next()
    assert longer is not None and longer.seconds == 120 + longer.seed  # all of it, not the rest


def test_other_lengths_are_refused(task: Task) -> None:
    with pytest.raises(InvalidSetting, match="'nb101' has trainings of 4, 12, 36 or 108 epochs; got 50"):
        task.submit(SPACE.from_index([7])[0], 50)
    with pytest.raises(MissingResult, match="nb101/cifar10/nb101-12"):
        task.submit(SPACE.from_index([8])[0], 12)


def test_order_within_the_rows_of_a_batch_and_the_same_after_a_restart(task: Task) -> None:
    first = task.evaluate(SPACE.from_index([7, 11, 7]))
    task.restart()
    again = task.evaluate(SPACE.from_index([7, 11, 7]))
    assert np.array_equal(first.seeds, again.seeds) and np.array_equal(first.accuracies, again.accuracies)


def test_the_protocol_scores_test_accuracy_first() -> None:
    rules = get_protocol("nb101")
    assert [score.metric for score in rules.scores] == ["test_accuracy", "valid_accuracy"]
    assert (rules.metric, rules.seeds, rules.overshoot, rules.resumes) == ("valid_accuracy", "random", True, False)


def test_hyperband_climbs_the_published_lengths(task: Task) -> None:
    from nasgym.agents._fidelity import rungs

    assert rungs(task, 3, 4) == [4, 12, 36, 108]
