"""Random search is uniform, draws with repetition, and does not depend on how it is batched."""

import numpy as np
import pytest

from nasgym.agents import get_agent
from nasgym.testing import synthetic_task


def drawn(seed=0, **settings):
    task = synthetic_task(budget=None, max_evaluations=5_000)
    get_agent("random_search", **settings).search(task, seed)
    return task.trajectory.arrays().indices


@pytest.mark.parametrize("block", [1, 7, 100, 1024, 9999])
def test_the_block_does_not_change_the_sequence(block):
    assert np.array_equal(drawn(block=block), drawn())


def test_every_choice_of_every_decision_is_equally_likely_and_decisions_are_independent():
    genotypes = synthetic_task().space.from_index(drawn())
    counts = np.array([(genotypes == choice).sum(axis=0) for choice in range(5)])
    spread = np.sqrt(5_000 * 0.2 * 0.8)
    assert (abs(counts - 1_000) < 5 * spread).all()
    pairs = np.array([[((genotypes[:, 0] == a) & (genotypes[:, 1] == b)).sum() for b in range(5)] for a in range(5)])
    assert (abs(pairs - 200) < 5 * np.sqrt(200)).all()


def test_architectures_are_drawn_with_repetition():
    # 5,000 draws among 15,625: 15,625 * (1 - exp(-0.32)) = 4,279 different ones are expected
    assert len(set(drawn().tolist())) == pytest.approx(4_279, abs=120)
