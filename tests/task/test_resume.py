"""Going on from a paused training: which training answers, and what it is charged."""

from dataclasses import replace

import pytest

from nasgym.errors import InvalidSetting, MissingResult
from nasgym.results import Evaluation, Series
from nasgym.spaces import get_space
from nasgym.store import Store
from nasgym.task import PROTOCOLS, make_task
from nasgym.testing import fill_synthetic, synthetic_task

SPACE = get_space("nb201")
CELL = SPACE.from_index([9])[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("resume") / "store") as opened:
        fill_synthetic(opened, size=20)
        yield opened


def task_of(store, **kwargs):
    return make_task("nb201/cluttered-digits", store=store, on_missing="error", **kwargs)


def climb(task, *epochs):
    """Train one architecture rung by rung; return the results."""
    results = []
    for reached in epochs:
        assert task.submit(CELL, reached, resume=results[-1] if results else None)
        results.append(task.next())
    return results


@pytest.mark.parametrize("seed", range(5))
def test_the_same_training_goes_on_and_only_its_rest_is_charged(store, seed):
    task = task_of(store, seed=seed)
    first, second, whole = climb(task, 2, 5, None)
    assert first.seed == second.seed == whole.seed
    assert (first.epochs, second.epochs, whole.epochs) == (2, 5, 0)
    curve = [task.benchmark.query(9, whole.seed, epoch=e) for e in (2, 5, 10)]
    assert [r.accuracy for r in (first, second, whole)] == [e.valid_accuracy for e in curve]
    trained = [e.train_seconds for e in curve]
    validation = 0.1  # paid each time that the network is looked at
    assert [r.seconds for r in (first, second, whole)] == pytest.approx(
        [trained[0] + validation, trained[1] - trained[0] + validation, trained[2] - trained[1] + validation]
    )
    assert task.seconds == pytest.approx(trained[2] + 3 * validation)


def test_where_trainings_cannot_go_on_each_is_new_and_charged_as_a_whole(store):
    rules = replace(PROTOCOLS["plain"], resumes=False)
    seeds = set()
    for seed in range(8):
        task = task_of(store, seed=seed, protocol=rules)
        paused, whole = climb(task, 3, None)
        seeds.add((paused.seed, whole.seed))
        assert whole.seconds == pytest.approx(task.benchmark.query(9, whole.seed).train_seconds + 0.1)
    assert any(a != b for a, b in seeds), "a new training is drawn anew"


def test_the_mean_over_seeds_goes_on_as_the_mean(store):
    paused, whole = climb(task_of(store, seeds="mean"), 4, None)
    assert paused.seed == whole.seed == -1
    alone = task_of(store, seeds="mean")
    alone.submit(CELL)
    assert whole.accuracy == alone.next().accuracy
    assert whole.seconds < paused.seconds * 2


def test_a_result_that_is_no_earlier_part_is_refused():
    task = synthetic_task()
    paused, whole = climb(task, 4, None)
    for genotype, epochs, resume in (
        (SPACE.from_index([8])[0], None, paused),
        (CELL, 4, paused),
        (CELL, 3, paused),
        (CELL, None, whole),
    ):
        with pytest.raises(InvalidSetting, match="cannot go on"):
            task.submit(genotype, epochs, resume=resume)


def test_a_table_without_curves_says_so(tmp_path):
    final = Evaluation(
        9,
        0,
        10,
        {"valid_accuracy": Series.of([0.5], [10], "fraction"), "train_seconds": Series.of([9.0], [10], "seconds")},
    )
    with Store(tmp_path) as opened:
        key = fill_synthetic(opened, size=1)
        opened.put(key, [final])
        with pytest.raises(MissingResult, match="(?s)valid_accuracy of architecture 9 at epoch 3.*train to the end"):
            task_of(opened).submit(CELL, 3)


def test_jobs_are_numbered_in_the_order_in_which_they_start():
    task = synthetic_task(workers=2)
    numbers = []
    for epochs in (None, 2, 3):
        numbers.append(task.evaluations + task.running)
        task.submit(CELL, epochs)
    assert numbers == [0, 1, 2]
    assert [task.next().job for _ in range(3)] == [1, 2, 0]  # a short one ends first
    assert task.evaluate_index(3).job == 3
