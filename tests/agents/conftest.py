"""A tiny space whose decisions differ and constrain each other, and tasks that write down what they are asked."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest

from nasgym.errors import InvalidArchitecture
from nasgym.spaces import CellGraph
from nasgym.spaces.base import check_genotypes
from nasgym.testing import synthetic_task


class TinySpace:
    """Three decisions with 2, 3 and 4 options; the last may not equal the first: 18 architectures."""

    name = "tiny"
    num_decisions = 3

    def __init__(self):
        options = [range(int(k)) for k in self.choices]
        self._all = np.array([g for g in itertools.product(*options) if g[2] != g[0]], dtype=np.int8)
        self._rank = {tuple(g): i for i, g in enumerate(self._all.tolist())}
        self.size = len(self._all)

    @property
    def choices(self):
        return np.array([2, 3, 4])

    def decision_labels(self):
        return ("first", "second", "third")

    def choice_labels(self, decision):
        return tuple("abcd"[: self.choices[decision]])

    def action_mask(self, partial, step):
        mask = np.arange(4) < np.full((len(check_genotypes(partial, 3)), 1), self.choices[step])
        if step == 2:
            mask[np.arange(len(partial)), np.asarray(partial)[:, 0]] = False
        return mask

    def is_valid(self, genotypes):
        rows = check_genotypes(genotypes, 3)
        return np.array([tuple(g) in self._rank for g in rows.tolist()], dtype=np.bool_)

    def index(self, genotypes):
        return np.array([self._rank[tuple(g)] for g in check_genotypes(genotypes, 3).tolist()], dtype=np.int64)

    def from_index(self, indices):
        wanted = np.asarray(indices, dtype=np.int64)
        for i in wanted[(wanted < 0) | (wanted >= self.size)].tolist():
            raise InvalidArchitecture(f"tiny index {i} is outside 0..{self.size - 1}.")
        return self._all[wanted].reshape(-1, 3)

    def to_str(self, genotypes):
        rows = check_genotypes(genotypes, 3)
        if not self.is_valid(rows).all():
            raise InvalidArchitecture(f"one of {rows.tolist()} is not an architecture of tiny.")
        return ["".join("abcd"[c] for c in g) for g in rows.tolist()]

    def from_str(self, strings):
        rows = []
        for s in strings:
            rows.append(tuple("abcd".find(c) for c in s))
            if rows[-1] not in self._rank:
                raise InvalidArchitecture(f"{s!r} is not an architecture of tiny.")
        return np.array(rows, dtype=np.int8).reshape(-1, 3)

    def canonical(self, genotypes):
        return self.index(genotypes)

    def sample(self, rng, n):
        return self._all[rng.integers(0, self.size, n)]

    def mutate(self, rng, genotypes):
        around = self.neighbours(genotypes)
        return np.array([g[rng.integers(0, len(g))] for g in around], dtype=np.int8).reshape(-1, 3)

    def neighbours(self, genotypes):
        return [self._all[(self._all != g).sum(axis=1) == 1] for g in check_genotypes(genotypes, 3)]

    def parameters(self, genotypes, macro):
        return np.full(len(check_genotypes(genotypes, 3)), macro.channels, dtype=np.int64)

    def flops(self, genotypes, macro):
        return np.full(len(check_genotypes(genotypes, 3)), macro.channels, dtype=np.int64)

    def operation_names(self):
        return ("choice",)

    def computed_operations(self, genotypes):
        return check_genotypes(genotypes, 3).sum(axis=1, keepdims=True, dtype=np.int64)

    def graph(self, genotype):
        labels = ["?" if c < 0 else "abcd"[c] for c in np.asarray(genotype).tolist()]
        return CellGraph(("in", "1", "2", "out"), tuple((i, i + 1, label) for i, label in enumerate(labels)))


@pytest.fixture(autouse=True)
def few_images(request, monkeypatch):
    """Super-networks see a few of the images, so that a search takes moments."""
    if request.node.get_closest_marker("slow"):
        return
    from nasgym.agents import _sharing

    monkeypatch.setattr(_sharing, "_images", _few)


@cache
def _few(dataset, recipe):
    from nasgym.training import ImageData, Split, load_dataset

    whole = load_dataset(dataset, image_size=recipe.image_size, split=recipe.split)
    parts = [Split(part.images[:64], part.labels[:64]) for part in (whole.train, whole.valid, whole.test)]
    return ImageData.of(whole.name, whole.classes, tuple(parts), (whole.mean, whole.std))


@pytest.fixture(scope="session")
def tiny_space():
    return TinySpace()


@pytest.fixture
def asked():
    """A function that runs an agent and returns what it asked for, batch by batch, and the task."""

    def run(agent, seed=0, **task_settings):
        task = synthetic_task(**{"budget": 500.0, **task_settings})
        batches, evaluate, submit = [], task.evaluate, task.submit
        task.evaluate = lambda rows: batches.append(np.array(rows)) or evaluate(rows)
        task.submit = lambda row, *args, **kwargs: batches.append(np.array(row[None])) or submit(row, *args, **kwargs)
        agent.search(task, seed)
        return batches, task

    return run
