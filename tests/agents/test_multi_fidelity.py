"""Agents with short trainings: how many run at each rung, who is promoted, and what several workers change."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.agents import agent_class, agent_names, get_agent
from nasgym.agents._fidelity import hyperband_sizes, rungs
from nasgym.agents._workers import Job, keep_busy
from nasgym.agents.asha import RungJob, _Run
from nasgym.errors import InvalidSetting, MissingResult
from nasgym.results import Evaluation, Series
from nasgym.store import Store, TableKey
from nasgym.task import PROTOCOLS, Result, make_task
from nasgym.testing import synthetic_task

WHOLE = 0  # how a trajectory writes the epochs of a whole training
MULTI_FIDELITY = [name for name in agent_names() if agent_class(name).family == "multi-fidelity"]


def searched(name, *, seed=0, settings=None, **task_settings):
    """Run an agent on made-up results whose whole trainings have 10 epochs; return the task's trajectory."""
    task = synthetic_task(**{"budget": 200.0, **task_settings})
    get_agent(name, **(settings or {})).search(task, seed)
    return task.trajectory.arrays()


@pytest.mark.parametrize(
    ("epoch", "eta", "least", "expected"),
    [
        (10, 3, 1, [1, 3, 10]),
        (9, 3, 1, [1, 3, 9]),
        (8, 3, 1, [3, 8]),
        (10, 2, 1, [1, 2, 5, 10]),
        (10, 3, 2, [3, 10]),
        (10, 3, 10, [10]),
        (10, 4, 1, [2, 10]),
    ],
)
def test_rungs_are_the_whole_training_divided_by_powers(epoch, eta, least, expected):
    task = synthetic_task(protocol=replace(PROTOCOLS["plain"], epoch=epoch))
    assert rungs(task, eta, least) == expected


def test_lengths_of_their_own_are_the_rungs():
    """NAS-Bench-101: separate trainings of 4, 12, 36 and 108 epochs; three times as long each, but 1 is none."""
    task = make_task("nb101/cifar10", protocol="nb101", on_missing="error")
    assert task.lengths == (4, 12, 36, 108) and synthetic_task().lengths == ()
    assert rungs(task, 3, 1) == rungs(task, 2, 4) == [4, 12, 36, 108]
    assert rungs(task, 3, 12) == [12, 36, 108]


def test_rungs_of_the_published_budgets():
    task = make_task("nb201/cifar10", recipe="nb201-12", on_missing="error")
    assert rungs(task, 3, 1) == [1, 4, 12]  # NATS-Bench: 1 to 12
    assert rungs(make_task("nb201/cifar10", recipe="nb201-200", on_missing="error"), 3, 12) == [22, 67, 200]


def test_bracket_sizes_are_those_of_the_paper():
    """Li et al., JMLR 2018, table 1: R = 81, eta = 3."""
    assert [hyperband_sizes(4, s, 3) for s in (4, 3, 2, 1, 0)] == [
        [81, 27, 9, 3, 1],
        [34, 11, 3, 1],
        [15, 5, 1],
        [8, 2],
        [5],
    ]


def test_hyperband_trains_the_brackets_in_turn_and_pays_the_rest_of_a_training():
    trail = searched("hyperband", budget=None, max_evaluations=44)
    once = [1] * 9 + [3] * 3 + [WHOLE] + [3] * 5 + [WHOLE] + [WHOLE] * 3
    assert trail.epochs.tolist() == once + once
    paid = [1.0] * 9 + [2.0] * 3 + [7.0] + [3.0] * 5 + [7.0] + [10.0] * 3
    assert trail.seconds.tolist() == pytest.approx(paid + paid)


def test_hyperband_promotes_the_best_of_each_rung():
    trail = searched("hyperband", budget=None, max_evaluations=13)
    first, second = trail.accuracies[:9], trail.accuracies[9:12]
    assert trail.indices[9:12].tolist() == trail.indices[np.argsort(-first, kind="stable")[:3]].tolist()
    assert trail.indices[12] == trail.indices[9 + int(np.argmax(second))]


def test_successive_halving_begins_anew_with_its_own_size():
    trail = searched("successive_halving", settings={"size": 10, "eta": 3}, budget=None, max_evaluations=28)
    assert trail.epochs.tolist() == ([1] * 10 + [3] * 3 + [WHOLE]) * 2
    best = np.argsort(-trail.accuracies[:10], kind="stable")[:3]
    assert trail.indices[10:13].tolist() == trail.indices[best].tolist()
    assert not np.array_equal(trail.indices[:10], trail.indices[14:24])


def by_number(values):
    """Accuracies that are what is given for the n-th architecture of a space that numbers its draws."""
    return lambda genotypes: np.resize(np.asarray(values, dtype=float), len(genotypes))


class Numbered:
    """A space whose draws are 0, 1, 2, ..."""

    name, size, num_decisions = "numbered", 100, 2
    choices = np.array([10, 10])

    def __init__(self):
        self._next = 0

    def from_index(self, indices):
        return np.stack([np.asarray(indices) // 10, np.asarray(indices) % 10], axis=1).astype(np.int8)

    def index(self, genotypes):
        return np.asarray(genotypes).astype(np.int64) @ np.array([10, 1])

    def is_valid(self, genotypes):
        return np.ones(len(genotypes), dtype=bool)

    def sample(self, rng, n):
        self._next += n
        return self.from_index(np.arange(self._next - n, self._next))


def asha_trail(accuracies, n, **task_settings):
    space = Numbered()
    trail = searched(
        "asha", space=space, accuracy=by_number(accuracies), budget=None, max_evaluations=n, **task_settings
    )
    return list(zip(trail.indices.tolist(), trail.epochs.tolist(), strict=True))


def test_asha_promotes_as_soon_as_a_third_of_the_rung_is_less_than_the_best():
    """By hand, eta 3: rung 0 has room for one promotion per three members, rung 1 the same; highest rung first."""
    rising = np.linspace(0.1, 0.9, 100)
    expected = [
        *((0, 1), (1, 1), (2, 1), (2, 3)),  # three members: the best, 2, goes on
        *((3, 1),),  # one of four may go on: now it is 3
        (3, 3),
        *((4, 1), (4, 3)),  # again the newest is the best; the third member of rung 1 lets its best go on
        (4, WHOLE),
        *((5, 1), (5, 3)),  # one of four at rung 1 may go on: now it is 5
        (5, WHOLE),
    ]
    assert asha_trail(rising, len(expected)) == expected


def test_asha_waits_for_more_where_the_newest_are_worse():
    falling = np.linspace(0.9, 0.1, 100)
    expected = [
        *((0, 1), (1, 1), (2, 1), (0, 3)),
        *((3, 1), (4, 1), (5, 1), (1, 3)),
        *((6, 1), (7, 1), (8, 1), (2, 3)),
        (0, WHOLE),  # three members at rung 1
        (9, 1),
    ]
    assert asha_trail(falling, len(expected)) == expected


def test_asha_on_several_workers_does_not_wait_for_a_rung():
    space = Numbered()
    task = synthetic_task(space, accuracy=by_number(np.linspace(0.9, 0.1, 100)), budget=50.0, workers=4)
    get_agent("asha").search(task, 0)
    trail = task.trajectory.arrays()
    began = trail.finished - trail.seconds
    for t in np.arange(0.5, 35.0):
        assert ((began <= t) & (t < trail.finished)).sum() == 4, "all workers are busy"
    assert (np.diff(trail.finished) >= 0).all()


@pytest.mark.parametrize("name", [*MULTI_FIDELITY, "random_search", "regularized_evolution"])
def test_all_workers_are_busy_until_the_end(name):
    task = synthetic_task(budget=100.0, workers=5)
    get_agent(name).search(task, 1)
    trail = task.trajectory.arrays()
    assert trail.seconds.sum() > 5 * 90.0 - 10.0 and (np.diff(trail.finished) >= 0).all()
    assert task.running == 0


@pytest.mark.parametrize("name", MULTI_FIDELITY)
def test_trainings_that_cannot_go_on_are_paid_as_a_whole(name):
    task = synthetic_task(budget=300.0, protocol=replace(PROTOCOLS["plain"], resumes=False))
    get_agent(name).search(task, 0)
    trail = task.trajectory.arrays()
    assert trail.seconds.tolist() == np.where(trail.epochs == WHOLE, 10, trail.epochs).tolist()
    assert len(set(trail.epochs.tolist())) == 3


@pytest.mark.parametrize("name", MULTI_FIDELITY)
def test_a_lowest_rung_above_the_whole_training_is_refused(name):
    with pytest.raises(InvalidSetting, match="min_epochs must be at most 10, a whole training on .*; got 11"):
        get_agent(name, min_epochs=11).search(synthetic_task(), 0)


@pytest.mark.parametrize("name", MULTI_FIDELITY)
def test_a_recipe_of_unknown_length_has_no_rungs_and_says_so(name, monkeypatch):
    task = synthetic_task()
    monkeypatch.setattr(type(task.benchmark), "epochs", None)
    with pytest.raises(InvalidSetting, match="how many epochs a whole training on .* has is not known"):
        get_agent(name).search(task, 0)
    assert task.evaluations == 0


@pytest.mark.parametrize("name", MULTI_FIDELITY)
def test_a_table_that_knows_no_short_trainings_is_named(name, tmp_path):
    with Store(tmp_path) as store:
        key = TableKey("nb201", "cifar10", "nb201-12")
        store.ensure_table(key, 15_625)
        final = {
            "valid_accuracy": Series.of([0.5], [12], "fraction"),
            "train_seconds": Series.of([9.0], [12], "seconds"),
        }
        store.put(key, (Evaluation(i, 0, 12, final) for i in range(15_625)))
        task = make_task("nb201/cifar10", recipe="nb201-12", store=store, on_missing="error", budget=50.0)
        with pytest.raises(MissingResult, match="nb201-12 does not know valid_accuracy of .* at epoch 1"):
            get_agent(name).search(task, 0)
        get_agent(name, min_epochs=12).search(task, 0)  # whole trainings alone
        assert task.evaluations == 5


def test_one_worker_gets_a_job_after_each_result_and_several_in_simulated_order():
    asked = []
    task = synthetic_task(budget=None, max_evaluations=6, workers=2)
    epochs = iter([10, 2, 3, 1, 1, 1])

    def ask():
        asked.append(task.seconds)
        return Job(task.space.from_index([len(asked)])[0], next(epochs))

    told = []
    keep_busy(task, ask, lambda job, result: told.append((job.epochs, result.finished, result.job)))
    assert asked == [0.0, 0.0, 2.0, 5.0, 6.0, 7.0]
    assert told == [(2, 2.0, 1), (3, 5.0, 2), (1, 6.0, 3), (1, 7.0, 4), (1, 8.0, 5), (10, 10.0, 0)]


def one_after_the_other(task, ask, tell):
    """What `keep_busy` is on one worker."""
    while not task.exhausted:
        job = ask()
        result = task.evaluate_index(int(task.space.index(job.genotype[None])[0]))
        if result.counted:
            tell(job, result)


def test_one_worker_gives_the_numbers_of_one_evaluation_after_the_other(monkeypatch):
    trails = [searched("regularized_evolution", seed=3, budget=400.0)]
    monkeypatch.setattr("nasgym.agents.regularized_evolution.keep_busy", one_after_the_other)
    trails.append(searched("regularized_evolution", seed=3, budget=400.0))
    for ours, theirs in zip(*trails, strict=True):
        assert ours.tolist() == theirs.tolist()


def test_evolution_on_more_workers_than_members_draws_uniformly_until_a_result_is_in():
    task = synthetic_task(budget=200.0, workers=8)
    get_agent("regularized_evolution:small").search(task, 0)
    trail = task.trajectory.arrays()
    rows = task.space.from_index(trail.indices)
    assert len(rows) == 160
    near = [((rows[:i] != rows[i]).sum(axis=1) == 1).any() for i in range(8, 160)]
    assert np.mean(near) > 0.95  # children of earlier members


def test_random_search_draws_the_same_architectures_on_any_number_of_workers():
    drawn = []
    for workers in (1, 3):
        task = synthetic_task(budget=None, max_evaluations=30, workers=workers)
        get_agent("random_search").search(task, 5)
        drawn.append(task.trajectory.arrays().indices.tolist())
    assert drawn[0] == drawn[1]


def test_asha_serves_the_highest_rung_first():
    task = synthetic_task(Numbered())
    run = _Run(task, np.random.default_rng(0), 3, [1, 3, 10])
    genotype = task.space.from_index([5])[0]
    for rung, epochs in ((0, 1), (1, 3)):
        for accuracy in (0.5, 0.6, 0.7):
            run.tell(RungJob(genotype, epochs, rung=rung), Result(5, accuracy, 1.0, 0, epochs, 1.0, True))
    assert [run.ask().rung for _ in range(3)] == [2, 1, 0]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.booleans()), max_size=40), st.integers(2, 4))
def test_asha_promotes_what_sorting_each_rung_again_and_again_would(events, eta):
    """The definition, quadratic: of each rung the best not promoted yet, if it is among the best ``1/eta`` of it."""
    task = synthetic_task(Numbered())
    run = _Run(task, np.random.default_rng(0), eta, [1, 3, 10])
    told, promoted = [[], [], []], set()
    for number, (rung, accuracy, ask) in enumerate(events):  # few different accuracies: ties go to the first
        job = RungJob(task.space.from_index([number])[0], 1, rung=rung)
        run.tell(job, Result(number, float(accuracy), 1.0, 0, 1, 1.0, True))
        told[rung].append((-accuracy, number))
        if not ask:
            continue
        best = [sorted(told[r])[: len(told[r]) // eta] for r in (1, 0)]
        waiting = [(r, n) for r, rows in zip((1, 0), best, strict=True) for _, n in rows if n not in promoted]
        found = run.ask()
        assert (found.rung, None if found.resume is None else found.resume.index) == (
            (waiting[0][0] + 1, waiting[0][1]) if waiting else (0, None)
        )
        promoted |= {n for _, n in waiting[:1]}
