"""SETN: what trains what, the template's gradient, and the candidates."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from nasgym.recipes import Recipe
from nasgym.spaces import get_space
from nasgym.training import ImageData
from nasgym.training.sharing import Schedule, SharedTraining, train_and_settle
from nasgym.training.sharing.setn import SelfEvaluatedTemplate, drawn, likeliest

ADAM = {"rate": 0.05, "decay": 1e-3}


@pytest.fixture
def training(data: ImageData, recipe: Callable[..., Recipe]) -> SharedTraining:
    schedule = Schedule(epochs=2, batch=16, evaluation_batch=8, learning_rate=0.05)
    return SharedTraining(get_space("nb201"), data, recipe(), schedule, seed=0, device=torch.device("cpu"))


def test_the_template_gradient_is_that_of_finite_differences(training: SharedTraining) -> None:
    learner = SelfEvaluatedTemplate(training, 3, **ADAM)
    training.network.double()
    learner.logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    images, labels = next(training.held_batches(0))
    held = (images.double(), labels)

    def loss(logits: torch.Tensor) -> float:
        with torch.no_grad():
            return float(functional.cross_entropy(training.network(held[0], logits.softmax(dim=1)), labels))

    found, reach = learner.gradient(held), 1e-6
    for edge, option in itertools.product((0, 3, 5), range(5)):
        shift = torch.zeros(6, 5, dtype=torch.float64)
        shift[edge, option] = reach
        slope = (loss(learner.logits.detach() + shift) - loss(learner.logits.detach() - shift)) / (2 * reach)
        assert float(found[edge, option]) == pytest.approx(slope, abs=1e-7)


def test_weights_learn_on_uniform_draws_and_the_template_on_images_of_its_own(training: SharedTraining) -> None:
    learner = SelfEvaluatedTemplate(training, 3, **ADAM)
    with torch.no_grad():
        learner.logits[:, 0] = 50.0  # the template has made up its mind, which the weights do not care about
    chosen: list[list[int]] = []
    update = training.update

    def updated(batch: Any, weights: Any = None, chosen_: Any = None, **named: Any) -> None:
        assert weights is None
        chosen.append(np.asarray(named["chosen"]).tolist())
        update(batch, **named)

    training.update = updated  # type: ignore[method-assign]
    training.begin_epoch(0)
    held = training.held_batches(0)
    for _ in range(40):
        batch = next(training.batches(0))
        before = [w.clone() for w in training.weights]
        learner.step(batch, held)
        assert not all(map(torch.equal, before, training.weights))
    counts = np.array([np.bincount(row, minlength=5) for row in np.array(chosen).T])
    assert (counts > 0).all() and counts.max() < 25, "uniform draws, not those of the template"


def test_a_step_on_the_template_leaves_the_weights_alone(training: SharedTraining) -> None:
    learner = SelfEvaluatedTemplate(training, 3, **ADAM)
    training.update = lambda *args, **kwargs: None  # type: ignore[method-assign]
    before, logits = [w.clone() for w in training.weights], learner.logits.detach().clone()
    learner.step(next(training.batches(0)), training.held_batches(0))
    assert all(map(torch.equal, before, training.weights)) and not torch.equal(logits, learner.logits)


def test_draws_have_the_probabilities_of_the_template() -> None:
    shares = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])
    rows = drawn(shares, 20_000, np.random.default_rng(0))
    assert rows.dtype == np.int8 and rows.shape == (20_000, 2)
    found = np.array([np.bincount(column, minlength=3) / 20_000 for column in rows.T])
    assert np.abs(found - shares).max() < 0.015 and found[0, 2] == 0
    assert abs(np.corrcoef(rows.T)[0, 1]) < 0.03


@pytest.mark.parametrize("n", [1, 7, 40, 1000])
def test_the_likeliest_are_those_of_an_enumeration(n: int) -> None:
    shares = np.random.default_rng(3).dirichlet(np.ones(3), size=5)
    shares[1] = [0.6, 0.4, 0.0]
    rows = np.array(list(itertools.product(range(3), repeat=5)))
    chances = shares[np.arange(5), rows].prod(axis=1)
    expected = rows[np.argsort(-chances, kind="stable")[: min(n, (chances > 0).sum())]]
    assert likeliest(shares, n).tolist() == expected.tolist()


@pytest.mark.parametrize("sampled", [True, False])
def test_the_best_candidate_by_shared_weights_is_the_answer(training: SharedTraining, sampled: bool) -> None:
    learner = SelfEvaluatedTemplate(training, 5, sampled, **ADAM)
    scored: list[list[int]] = []

    def accuracy(batch: Any, chosen: Any) -> torch.Tensor:
        scored.append(np.asarray(chosen).tolist())
        return torch.tensor(0.9 if len(scored) == 4 else 0.5)

    training.accuracy = accuracy  # type: ignore[method-assign]
    found = train_and_settle(learner)
    assert len(scored) == 5 and found.tolist() == scored[3]
    likely = likeliest(learner.shares().detach().double().numpy(), 5).tolist()
    assert (scored == likely) is not sampled
