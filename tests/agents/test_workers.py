"""Simulated workers: one gives exactly the numbers of a plain serial loop, several are kept busy and heard in order."""

import numpy as np
import pytest

from nasgym.agents import agent_class, agent_names, get_agent
from nasgym.agents import reinforce as reinforce_module
from nasgym.agents._workers import whole_rounds
from nasgym.errors import InvalidSetting
from nasgym.spaces import get_space
from nasgym.task import Result, Task
from nasgym.task.outcome import Outcome
from nasgym.testing import synthetic_task

SPACE = get_space("nb201")
SECONDS = 5.0 + 10.0 * np.random.default_rng(7).random(SPACE.size)
"""Of whole trainings: they differ, so that several workers do not come back in the order in which they started."""
NAMES = [name for name in agent_names() if agent_class(name).family != "weight sharing"]
ASYNCHRONOUS = (
    *("random_search", "regularized_evolution", "reinforce", "tpe"),
    *("successive_halving", "hyperband", "asha", "bohb"),
)
QUICK = {"smac": {"initial": 5, "challengers": 50}, "dqn": {"updates": 2}}


class SerialTask(Task):
    """One evaluation after the other with the plainest book-keeping: no workers, no queue, no batches."""

    def restart(self, seed=None):
        super().restart(seed)
        self.rows, self.now, self.refused, self.answer = [], 0.0, False, None

    @property
    def exhausted(self):
        return self.refused or self.now >= self.budget

    @property
    def running(self):
        return self.answer is not None

    def submit(self, genotype, epochs=None, *, resume=None):
        index = int(self.space.index(np.asarray(genotype)[None])[0])
        epochs = None if epochs == self.epochs else epochs
        seconds = self.known("train_seconds", epochs, index)
        if resume is not None:
            seconds -= self.known("train_seconds", resume.epochs, index)
        if self.exhausted or self.now + seconds > self.budget:
            self.refused = True
            return False
        self.now += seconds
        accuracy = self.known("valid_accuracy", epochs, index)
        self.answer = Result(index, accuracy, seconds, 0, epochs or 0, self.now, True, len(self.rows))
        return True

    def known(self, metric, epochs, index):
        return float(self.benchmark.store.columns(self.benchmark.key, (metric,), epochs).values[metric][0, index])

    def next(self):
        result, self.answer = self.answer, None
        if result is not None:
            self.rows.append(result)
            self.evaluations += 1
        return result

    def evaluate_indices(self, indices):
        found = [self.evaluate_index(int(index)) for index in indices]
        names = ("accuracy", "seconds", "seed", "finished", "counted")
        return Outcome(np.array(indices), *(np.array([getattr(r, name) for r in found]) for name in names))

    def evaluate_index(self, index):
        if self.submit(self.space.from_index([index])[0]):
            return self.next()
        return Result(index, float("nan"), 0.0, -1, 0, self.now, False)


def serial(task):
    """Return a serial task on the same table and rules."""
    return SerialTask(task.benchmark, task.protocol, budget=task.budget, seed=task.seed)


@pytest.mark.parametrize("name", NAMES)
def test_one_worker_gives_exactly_the_numbers_of_a_serial_loop(name):
    agent = get_agent(name, **QUICK.get(name, {}))
    task = synthetic_task(seconds=SECONDS, budget=260.0)
    plain = serial(task)
    agent.search(task, 4)
    agent.search(plain, 4)
    trail = task.trajectory.arrays()
    assert len(plain.rows) == task.evaluations > 15
    rows = list(zip(trail.indices, trail.epochs, trail.accuracies, trail.seconds, trail.finished, strict=True))
    assert rows == [(r.index, r.epochs, r.accuracy, r.seconds, r.finished) for r in plain.rows]


@pytest.mark.parametrize("name", ASYNCHRONOUS)
def test_all_workers_are_busy_until_the_end_and_results_come_back_in_simulated_order(name):
    task = synthetic_task(seconds=SECONDS, budget=150.0, workers=4)
    told, take = [], task.next
    task.next = lambda: told.append(take()) or told[-1]
    get_agent(name).search(task, 1)
    results = [result for result in told if result is not None]
    assert [r.finished for r in results] == sorted(r.finished for r in results)
    jobs = [r.job for r in results]
    assert sorted(jobs) == list(range(len(jobs))) and jobs != sorted(jobs), "some job overtook an earlier one"
    began = np.array([r.finished - r.seconds for r in results])
    ended = np.array([r.finished for r in results])
    for moment in np.arange(0.5, 130.0, 3.0):
        assert ((began <= moment + 1e-9) & (moment < ended)).sum() == 4


def test_reinforce_on_several_workers_follows_each_result_with_the_score_of_its_own_draw(monkeypatch):
    drawn, gradients, told = [], [], []
    draw, step = reinforce_module.sample, reinforce_module.Adam.step

    def kept(space, logits, rng):
        genotype, score = draw(space, logits, rng)
        drawn.append(score)
        return genotype, score

    monkeypatch.setattr(reinforce_module, "sample", kept)
    monkeypatch.setattr(reinforce_module.Adam, "step", lambda self, g: gradients.append(g) or step(self, g))
    task = synthetic_task(seconds=SECONDS, budget=100.0, workers=3)
    take = task.next
    task.next = lambda: told.append(take()) or told[-1]
    get_agent("reinforce").search(task, 0)
    results = [result for result in told if result is not None]
    assert len(gradients) == len(results) and [r.job for r in results] != list(range(len(results)))
    top = bottom = 0.0
    for result, gradient in zip(results, gradients, strict=True):
        top, bottom = 0.9 * top + 0.1 * 100 * result.accuracy, 0.9 * bottom + 0.1
        assert gradient == pytest.approx(-(100 * result.accuracy - top / bottom) * drawn[result.job])


@pytest.mark.parametrize(("n", "workers", "expected"), [(8, 1, 8), (8, 3, 9), (8, 4, 8), (2, 5, 5), (1, 1, 1)])
def test_a_batch_is_rounded_up_to_whole_rounds_of_the_workers(n, workers, expected):
    assert whole_rounds(n, workers) == expected


@pytest.mark.parametrize(("name", "parallel"), [("ppo", 10), ("a2c", 5), ("dqn", 5), ("maskable_ppo", 10)])
def test_batched_agents_have_environments_for_all_workers(name, parallel):
    task = synthetic_task(workers=5, budget=100.0)
    sizes, evaluate = [], task.evaluate_indices
    task.evaluate_indices = lambda rows: sizes.append(len(rows)) or evaluate(rows)
    get_agent(name, **QUICK.get(name, {})).search(task, 0)
    assert set(sizes) == {parallel}
    assert task.evaluations == 50  # 5 workers, 10 evaluations each


def test_local_search_on_several_workers_asks_for_as_many_neighbours_at_once(asked):
    batches, task = asked(get_agent("local_search"), workers=4, budget=200.0)
    sizes = [len(batch) for batch in batches]
    assert max(sizes) == 4 and sizes.count(4) > 0.5 * len(sizes)
    near = [(batch != batches[0][0]).sum(axis=1).tolist() for batch in batches[1:2]]
    assert near == [[1, 1, 1, 1]]


@pytest.mark.parametrize("name", ["bananas", "predictor_evolution"])
def test_predictors_evaluate_their_batches_side_by_side(name, asked):
    batches, task = asked(get_agent(name, members=5), workers=10, budget=50.0)
    assert [len(batch) for batch in batches] == [10] * 5 and task.evaluations == 50


@pytest.mark.parametrize("workers", [0, -1, 1.5])
def test_there_is_at_least_one_worker(workers):
    with pytest.raises(InvalidSetting, match=f"workers must be a whole number of 1 or more; got {workers}"):
        synthetic_task(workers=workers)
