"""TPE drives Optuna's sampler: what it asks for is evaluated, what comes back is told, and it learns."""

import logging

import numpy as np
import pytest

from nasgym.agents import get_agent
from nasgym.agents._vectors import needed, repaired
from nasgym.errors import InvalidSetting
from nasgym.testing import synthetic_task

optuna = pytest.importorskip("optuna")


def trail_of(name="tpe", seed=0, **settings):
    task = synthetic_task(**{"budget": 600.0, **settings})
    get_agent(name).search(task, seed)
    return task.trajectory.arrays()


def test_a_search_is_that_of_the_library(monkeypatch):
    """The same sampler asked and told by hand proposes the same architectures."""
    trail = trail_of()
    rng = np.random.default_rng(0)
    sampler = optuna.samplers.TPESampler(
        seed=int(rng.integers(2**31)), n_startup_trials=10, n_ei_candidates=24, multivariate=True
    )
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    options = {str(i): optuna.distributions.CategoricalDistribution(tuple(range(5))) for i in range(6)}
    task = synthetic_task()
    rows = []
    for accuracy in trail.accuracies:
        trial = study.ask(options)
        rows.append([trial.params[str(i)] for i in range(6)])
        study.tell(trial, accuracy)
    optuna.logging.set_verbosity(level)
    assert task.space.index(np.array(rows, dtype=np.int8)).tolist() == trail.indices.tolist()


@pytest.mark.parametrize("name", ["tpe", "tpe:nb101"])
def test_it_learns_after_the_random_start(name):
    gains = []
    for seed in range(3):
        accuracies = trail_of(name, seed).accuracies
        gains.append(accuracies[-20:].mean() - accuracies[:10].mean())
    assert min(gains) > 0.05


def test_it_maximises():
    trail = trail_of(accuracy=lambda g: 0.3 + 0.1 * (g == 2).sum(axis=1), budget=800.0)
    assert trail.accuracies.max() >= 0.8 and trail.accuracies[-20:].mean() > 0.6


def test_the_log_level_of_the_library_is_given_back():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        trail_of(budget=50.0)
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(before)


def test_illegal_choices_become_the_nearest_legal_ones(tiny_space):
    for choices, legal in (
        ([1, 0, 1], [1, 0, 0]),
        ([0, 2, 0], [0, 2, 1]),
        ([0, 1, 3], [0, 1, 3]),
        ([5, 7, 9], [1, 2, 3]),
    ):
        assert repaired(tiny_space, np.array(choices)).tolist() == legal


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(InvalidSetting, match=r"no_such_package.*pip install 'nasgym\[extra\]'"):
        needed("no_such_package", "extra")
