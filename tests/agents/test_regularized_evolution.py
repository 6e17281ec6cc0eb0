"""Evolution: the oldest dies (not the worst), the parent is the best of a sample, the first members are random."""

import numpy as np
import pytest

from nasgym.agents import get_agent
from nasgym.testing import synthetic_task


class Lineage:
    """A space of 1,000 numbered architectures that writes down which parent each child came from."""

    name, size, num_decisions = "lineage", 1_000, 2
    choices = np.array([10, 100])

    def __init__(self):
        self.parents = []
        self._next = 0

    def from_index(self, indices):
        wanted = np.asarray(indices)
        return np.stack([wanted // 100, wanted % 100], axis=1).astype(np.int8)

    def index(self, genotypes):
        return np.asarray(genotypes).astype(np.int64) @ np.array([100, 1])

    def is_valid(self, genotypes):
        return np.ones(len(genotypes), dtype=bool)

    def _new(self, n):
        born = self.from_index(np.arange(self._next, self._next + n))
        self._next += n
        return born

    def sample(self, rng, n):
        return self._new(n)

    def mutate(self, rng, genotypes):
        self.parents += self.index(genotypes).tolist()
        return self._new(len(genotypes))


def lineage(accuracies, *, seed=0, **settings):
    """Run evolution where the n-th architecture born has ``accuracies[n]``; return the parent of each child."""
    space = Lineage()
    values = np.resize(np.asarray(accuracies, dtype=float), space.size)
    task = synthetic_task(space, accuracy=lambda g: values, budget=None, max_evaluations=len(accuracies))
    get_agent("regularized_evolution", **settings).search(task, seed)
    assert task.trajectory.arrays().indices.tolist() == list(
        range(len(accuracies))
    )  # each child is evaluated, in order
    return space.parents


def test_a_parent_is_always_alive_and_every_member_dies_of_age():
    falling = np.linspace(0.9, 0.1, 400)  # every child is worse than all before: were the worst to die, it would
    ages = [10 + child - parent for child, parent in enumerate(lineage(falling, population=10, sample=3))]
    assert len(ages) == 390
    assert min(ages) >= 1 and max(ages) == 10  # the latest ten are alive, and the oldest of them still is
    rising = [10 + child - parent for child, parent in enumerate(lineage(falling[::-1], population=10, sample=3))]
    assert min(rising) == 1 and max(rising) <= 10  # a child may be a parent at once


def test_the_best_ever_dies_too():
    accuracies = np.full(60, 0.5)
    accuracies[9] = 0.99  # the youngest of the first ten
    parents = lineage(accuracies, population=10, sample=200)
    assert parents[:10] == [9] * 10  # a parent as long as it lives, which is ten children
    assert 9 not in parents[10:]


def test_the_parent_is_the_best_of_the_sample_which_is_drawn_with_repetition():
    ranks = []
    for seed in range(12):
        accuracies = np.random.default_rng(seed).permutation(np.linspace(0.1, 0.9, 1_000))
        for child, parent in enumerate(lineage(accuracies, population=10, sample=3, seed=seed), start=10):
            ranks.append(int((accuracies[child - 10 : child] > accuracies[parent]).sum()))
    # the best of 3 drawn with repetition among 10 has rank k with ((10-k)^3 - (9-k)^3) / 1000: 0.271 first, not 0.3
    expected = np.array([(10 - k) ** 3 - (9 - k) ** 3 for k in range(10)]) / 1000
    found = np.bincount(ranks, minlength=10) / len(ranks)
    assert abs(found - expected).max() < 0.015
    assert found[9] > 0  # the worst, drawn three times


def test_a_sample_of_one_is_a_random_parent_and_a_large_one_the_best_alive():
    accuracies = np.random.default_rng(4).permutation(np.linspace(0.1, 0.9, 600))
    alone = lineage(accuracies, population=10, sample=1)
    assert np.mean([10 + child - parent for child, parent in enumerate(alone)]) == pytest.approx(5.5, abs=0.6)
    greedy = lineage(accuracies, population=10, sample=200)
    best = [child - 10 + int(np.argmax(accuracies[child - 10 : child])) for child in range(10, 600)]
    assert greedy == best


def test_children_differ_from_a_living_parent_on_one_edge(asked):
    batches, _ = asked(get_agent("regularized_evolution"), budget=2_000.0)
    rows = np.concatenate(batches)
    assert len(rows) == 200
    for child in range(10, len(rows)):
        assert ((rows[child - 10 : child] != rows[child]).sum(axis=1) == 1).any()
