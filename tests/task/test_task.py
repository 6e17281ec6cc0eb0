"""What an agent faces: evaluation, charging, seeds, workers, and what happens on a miss."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.benchmark import Benchmark
from nasgym.errors import InvalidArchitecture, InvalidBudget, InvalidSetting, MissingResult, UnknownName
from nasgym.recipes import default_recipe, get_recipe
from nasgym.results import Evaluation, Series
from nasgym.spaces import get_space
from nasgym.store import Store, TableKey
from nasgym.task import PROTOCOLS, Task, make_task
from nasgym.testing import fill_synthetic, synthetic_task

SPACE = get_space("nb201")
PLAIN = PROTOCOLS["plain"]
EPOCHS = get_recipe(default_recipe("cluttered-digits")).epochs


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("task") / "store") as opened:
        fill_synthetic(opened, size=600)
        yield opened


def known(rng, n):
    """Genotypes among the first 600, the part of the table that is filled."""
    return SPACE.from_index(rng.integers(0, 600, n))


def task_of(store, **kwargs):
    return make_task("nb201/cluttered-digits", store=store, on_missing="error", **kwargs)


def constant(index, *, accuracy=0.5, seconds=10.0, validation=None, seed=0):
    series = {"valid_accuracy": Series.of([accuracy], [12], "fraction")}
    if seconds is not None:
        series["train_seconds"] = Series.of([seconds], [12], "seconds")
    if validation is not None:
        series["valid_seconds"] = Series.of([validation], [12], "seconds")
    return Evaluation(index, seed, 12, series)


def task_over(path, evaluations, protocol=PLAIN, **kwargs):
    store, key = Store(path), TableKey("nb201", "cifar10", "nb201-12")
    store.ensure_table(key, SPACE.size)
    store.put(key, evaluations)
    return Task(Benchmark(SPACE, key, store), protocol, **kwargs)


@pytest.mark.parametrize("seeds", ["random", "mean", 1])
@pytest.mark.parametrize("budget", [None, 120.0])
def test_a_batch_equals_its_rows_one_by_one(store, seeds, budget):
    rows = known(np.random.default_rng(0), 40)
    single, batch = (task_of(store, seeds=seeds, budget=budget, seed=5) for _ in range(2))
    outcome = batch.evaluate(rows)
    results = [single.evaluate_index(i) for i in SPACE.index(rows).tolist()]
    assert outcome.accuracies == pytest.approx([r.accuracy for r in results], nan_ok=True, abs=0)
    assert outcome.counted.tolist() == [r.counted for r in results]
    assert batch.seconds == single.seconds
    assert batch.incumbent == single.incumbent
    for ours, theirs in zip(batch.trajectory.arrays(), single.trajectory.arrays(), strict=True):
        assert ours.tolist() == theirs.tolist()
    assert outcome.counted.all() == (budget is None)


def test_a_random_seed_is_one_of_the_stored_ones_and_changes_with_the_evaluation(store):
    task = task_of(store)
    seeds = [task.evaluate_index(3).seed for _ in range(60)]
    assert set(seeds) == {0, 1, 2}
    for seed in (0, 1, 2):
        assert task.benchmark.query(3, seed).valid_accuracy in task.trajectory.arrays().accuracies


def test_an_evaluation_charges_training_and_one_validation(tmp_path):
    task = task_over(tmp_path, [constant(0, seconds=10.0, validation=0.5), constant(1, seconds=7.0)])
    assert task.evaluate_index(0).seconds == 10.5
    assert task.evaluate(SPACE.from_index([1])).seconds.tolist() == [7.0]
    assert task.seconds == 17.5


def test_repeats_are_charged_again_unless_the_protocol_says_otherwise(tmp_path):
    free = replace(PLAIN, charge_repeats=False)
    again = task_over(tmp_path / "a", [constant(0), constant(1)])
    once = task_over(tmp_path / "b", [constant(0), constant(1)], free)
    for task in (again, once):
        task.evaluate(SPACE.from_index([0, 1, 0]))
        task.evaluate_index(1)
    assert again.seconds == 40.0
    assert once.seconds == 20.0
    assert once.evaluations == 4


def test_a_refused_evaluation_counts_for_nothing(tmp_path):
    task = task_over(tmp_path, [constant(0, accuracy=0.1), constant(1, accuracy=0.9)], budget=15.0)
    outcome = task.evaluate(SPACE.from_index([0, 1]))
    assert outcome.counted.tolist() == [True, False]
    assert np.isnan(outcome.accuracies[1])
    assert task.exhausted
    assert task.seconds == 10.0
    assert task.incumbent.index == 0
    assert len(task.trajectory) == task.evaluations == 1
    late = task.evaluate_index(0)
    assert not late.counted
    assert math.isnan(late.accuracy)


def test_the_first_of_equal_accuracies_stays_the_incumbent(tmp_path):
    task = task_over(tmp_path, [constant(i, accuracy=0.7) for i in range(4)])
    task.evaluate(SPACE.from_index([2, 3]))
    task.evaluate_index(1)
    assert task.incumbent.index == 2
    assert task.incumbent.finished == 10.0


def test_restart_begins_anew(store):
    task = task_of(store, budget=100.0, seed=3)
    first = [task.evaluate_index(i).accuracy for i in range(5)]
    task.restart()
    assert (task.seconds, task.evaluations, task.incumbent, len(task.trajectory)) == (0.0, 0, None, 0)
    assert [task.evaluate_index(i).accuracy for i in range(5)] == first
    task.restart(seed=4)
    assert [task.evaluate_index(i).accuracy for i in range(5)] != first


def test_without_a_record_only_the_incumbent_is_kept(store):
    task = task_of(store, record=False)
    task.evaluate(known(np.random.default_rng(1), 10))
    assert len(task.trajectory) == 0
    assert task.evaluations == 10
    assert task.incumbent is not None


@given(
    st.lists(st.floats(0.5, 50.0), min_size=1, max_size=12),
    st.integers(1, 4),
    st.floats(1.0, 100.0),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_no_evaluation_starts_at_or_after_the_budget(costs, workers, budget, overshoot):
    rules = replace(PLAIN, overshoot=overshoot)
    task = timed_task(costs, rules, budget=budget, workers=workers)
    outcome = task.evaluate(SPACE.from_index(range(len(costs))))
    ran = outcome.counted
    assert (outcome.finished[ran] - outcome.seconds[ran] < budget).all()
    assert overshoot or (outcome.finished[ran] <= budget).all()
    assert ran.all() or task.exhausted
    assert ran.tolist() == sorted(ran.tolist(), reverse=True), "after the first refusal nothing runs"
    busy = sum(outcome.seconds[ran])
    assert busy <= workers * max([*outcome.finished[ran], 0.0]) + 1e-6, "no more work than workers can do"
    finished = task.trajectory.arrays().finished
    assert (np.diff(finished) >= 0).all(), "results come in in simulated order"
    within = finished <= budget
    assert (task.incumbent is None) == (not within.any())


def timed_task(costs, protocol, **kwargs):
    """A task in memory whose first architectures cost what is given."""
    task = synthetic_task(protocol=protocol, **kwargs)
    view = task.benchmark.view(task._answers.metrics)
    seconds = view._values["train_seconds"].copy()
    seconds[:, : len(costs)] = costs
    view._values["train_seconds"] = seconds
    return task


def test_a_barrier_over_workers_lasts_until_the_last_result(tmp_path):
    task = task_over(tmp_path, [constant(i, seconds=s) for i, s in enumerate([5.0, 3.0, 4.0])], workers=2)
    outcome = task.evaluate(SPACE.from_index([0, 1, 2]))
    assert outcome.finished.tolist() == [5.0, 3.0, 7.0]
    assert task.seconds == 7.0
    assert task.trajectory.arrays().indices.tolist() == [1, 0, 2]
    assert task.incumbent.index == 1, "of equal accuracies the one that came in first"


def test_an_evaluation_that_ends_after_the_budget_counts_but_is_no_answer(tmp_path):
    rules = replace(PLAIN, overshoot=True)
    rows = [constant(0, accuracy=0.2, seconds=6.0), constant(1, accuracy=0.9, seconds=7.0)]
    for number, evaluate in enumerate((Task.evaluate, lambda task, g: [task.evaluate_index(i) for i in (0, 1)])):
        task = task_over(tmp_path / str(number), rows, rules, budget=10.0)
        evaluate(task, SPACE.from_index([0, 1]))
        assert task.evaluations == 2
        assert task.seconds == 13.0
        assert task.incumbent.index == 0


def test_a_stored_row_without_the_metric_is_an_error_and_no_endless_loop(store, tmp_path):
    blank = Evaluation(2, 0, 12, {"test_accuracy": Series.of([0.5], [12], "fraction")})
    task = task_over(tmp_path, [constant(0), constant(1), blank])
    with pytest.raises(MissingResult, match="does not know valid_accuracy of architecture 2.*import it"):
        task.evaluate(SPACE.from_index([0, 1, 2]))
    with pytest.raises(MissingResult, match="does not know valid_accuracy of architecture 2"):
        task.evaluate_index(2)
    early = task_over(tmp_path, [constant(0)], replace(PLAIN, epoch=6))
    with pytest.raises(MissingResult, match="at epoch 6"):
        early.evaluate(SPACE.from_index([0, 1]))


def test_a_job_of_all_epochs_is_a_whole_training(store):
    task = task_of(store, seeds=0)
    task.submit(SPACE.from_index([9])[0], epochs=EPOCHS)
    assert task.next().epochs == 0
    assert task.incumbent.index == 9
    for epochs in (0, -1, EPOCHS + 1, 1.5):
        with pytest.raises(InvalidSetting, match=rf"1..{EPOCHS}"):
            task.submit(SPACE.from_index([9])[0], epochs=epochs)
    with pytest.raises(InvalidSetting, match=rf"1..{EPOCHS}"):
        task_of(store, protocol=replace(PLAIN, epoch=EPOCHS + 1))


def test_a_restart_sees_what_others_stored(tmp_path):
    task = task_over(tmp_path, [constant(0, accuracy=0.5)], replace(PLAIN, seeds="mean"))
    assert task.evaluate_index(0).accuracy == 0.5
    with Store(tmp_path) as other:
        other.put(task.benchmark.key, [constant(0, accuracy=0.7, seed=1)])
    task.restart()
    assert task.evaluate_index(0).accuracy == pytest.approx(0.6)


@pytest.mark.parametrize("metric", ["test_accuracy", "valid_loss", "train_seconds", "valid_acuracy"])
def test_a_protocol_shows_no_test_metric_and_maximises_no_loss(metric):
    with pytest.raises(InvalidSetting, match=f"metric='{metric}'"):
        replace(PLAIN, metric=metric)


def test_submitted_jobs_come_back_in_simulated_order(tmp_path):
    costs = [9.0, 2.0, 4.0, 1.0]
    task = task_over(tmp_path, [constant(i, seconds=s) for i, s in enumerate(costs)], workers=2)
    for genotype in SPACE.from_index(range(4)):
        assert task.submit(genotype)
    assert task.running == 4
    back = [task.next() for _ in range(4)]
    assert [(r.index, r.finished) for r in back] == [(1, 2.0), (2, 6.0), (3, 7.0), (0, 9.0)]
    assert task.next() is None
    assert task.trajectory.arrays().indices.tolist() == [1, 2, 3, 0]


def test_one_worker_gives_the_serial_numbers(store):
    rows = known(np.random.default_rng(2), 20)
    serial, jobs = (task_of(store, budget=150.0, seed=1) for _ in range(2))
    serial.evaluate(rows)
    for genotype in rows:
        if jobs.submit(genotype):
            jobs.next()
    assert [a.tolist() for a in jobs.trajectory.arrays()] == [a.tolist() for a in serial.trajectory.arrays()]
    assert jobs.exhausted == serial.exhausted


def test_a_submitted_job_can_stop_at_an_epoch(store):
    task = task_of(store, seeds=0)
    genotype = SPACE.from_index([9])[0]
    task.submit(genotype, epochs=3)
    task.submit(genotype)
    short, whole = task.next(), task.next()
    assert short.epochs == 3
    assert short.seconds < whole.seconds / 3
    assert short.accuracy == task.benchmark.query(9, 0, epoch=3).valid_accuracy
    assert task.incumbent.accuracy == whole.accuracy, "a part of a training is no incumbent"


def test_a_barrier_waits_for_submitted_jobs_to_be_fetched(store):
    task = task_of(store)
    task.submit(SPACE.from_index([0])[0])
    with pytest.raises(InvalidSetting, match="next"):
        task.evaluate(SPACE.from_index([0]))


@pytest.mark.parametrize("row", [[5, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0]])
def test_a_genotype_outside_the_space_is_refused(store, row):
    with pytest.raises(InvalidArchitecture, match="options"):
        task_of(store).evaluate(np.array([row], dtype=np.int8))


def test_a_missing_result_names_architecture_and_table(store):
    with pytest.raises(MissingResult, match=r"index 15000.*nb201/cluttered-digits/"):
        task_of(store).evaluate_index(15_000)
    with pytest.raises(MissingResult, match="index 15000"):
        task_of(store).evaluate(SPACE.from_index([1, 15_000]))


def test_a_budget_needs_known_seconds(tmp_path):
    task = task_over(tmp_path, [constant(0, seconds=None)], budget=10.0)
    with pytest.raises(MissingResult, match="train_seconds"):
        task.evaluate_index(0)
    unlimited = Task(task.benchmark, PLAIN)
    assert unlimited.evaluate_index(0).seconds == 0.0


def test_a_row_that_is_a_mean_is_the_only_seed(tmp_path):
    task = task_over(tmp_path, [constant(0, accuracy=0.4, seed="mean")])
    assert {task.evaluate_index(0).seed for _ in range(5)} == {-1}
    assert task.benchmark.query(0, "mean").valid_accuracy == 0.4


def test_a_miss_is_trained_once_and_stored(tmp_path):
    calls = []

    def train(genotype, seed):
        calls.append((int(SPACE.index(genotype[None])[0]), seed))
        return constant(calls[-1][0], seed=seed)

    store, key = Store(tmp_path), TableKey("nb201", "cifar10", "nb201-12")
    task = Task(Benchmark(SPACE, key, store, on_missing="train", train=train), PLAIN, budget=25.0)
    task.evaluate(SPACE.from_index([4, 7, 4, 9]))
    assert calls == [(4, 0), (7, 0)], "the third is known, the fourth starts after the budget is spent"
    again = Task(Benchmark(SPACE, key, store, on_missing="train", train=train), PLAIN)
    again.evaluate(SPACE.from_index([4, 7]))
    assert len(calls) == 2


def test_a_task_travels_to_another_process(store):
    task = task_of(store, budget=100.0, seed=2)
    task.evaluate_index(1)
    copy = pickle.loads(pickle.dumps(task))
    assert copy.evaluate_index(2) == task.evaluate_index(2)
    assert copy.seconds == task.seconds


def test_bad_names_and_budgets(store):
    with pytest.raises(UnknownName, match="space/dataset"):
        make_task("nb201", store=store)
    with pytest.raises(UnknownName, match="Did you mean 'cifar10'"):
        make_task("nb201/cifar11", store=store)
    with pytest.raises(UnknownName, match="search space 'nb202'"):
        make_task("nb202/cifar10", store=store)
    with pytest.raises(InvalidBudget):
        task_of(store, budget=0)
    with pytest.raises(InvalidSetting, match="seed"):
        task_of(store, seeds=-1)
    with pytest.raises(InvalidSetting, match="whole number"):
        task_of(store, seed=1.7)
    assert task_of(store, seeds=np.int64(1)).evaluate_index(3).seed == 1
