"""Gradients of architectures against finite differences, brute force and hand-made formulas, in double precision."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nasgym.recipes import Recipe
from nasgym.spaces import get_space
from nasgym.training import ImageData
from nasgym.training.sharing import Schedule, SharedTraining
from nasgym.training.sharing.core import Batch
from nasgym.training.sharing.darts import FirstOrder, SecondOrder
from nasgym.training.sharing.gdas import GumbelSampling, hard_gumbel

STEP = 1e-5
ADAM = {"rate": 0.01, "decay": 0.0}


@pytest.fixture
def training(data: ImageData, recipe: Callable[..., Recipe]) -> SharedTraining:
    """A tiny super-network in double precision whose optimiser has taken a step, so that there is momentum."""
    schedule = Schedule(epochs=3, batch=8, learning_rate=0.05, weight_decay=0.01, clip=0.0)
    made = SharedTraining(get_space("nb201"), data, recipe(), schedule, seed=0, device=torch.device("cpu"))
    made.network.double()
    made.update(batch(9), torch.full((6, 5), 0.2, dtype=torch.float64))
    return made


def batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, 1, 8, 8, generator=generator, dtype=torch.float64), torch.arange(8) % 2


def differences(function: Callable[[], float], at: Tensor) -> Tensor:
    """Return central finite differences of ``function`` by each entry of ``at``, which is changed in place."""
    found = torch.zeros_like(at)
    with torch.no_grad():
        for index in np.ndindex(*at.shape):
            before = at[index].clone()
            at[index] = before + STEP
            ahead = function()
            at[index] = before - STEP
            behind = function()
            at[index] = before
            found[index] = (ahead - behind) / (2 * STEP)
    return found


def spread(learner: FirstOrder | SecondOrder | GumbelSampling) -> None:
    """Give the logits values that differ."""
    with torch.no_grad():
        learner.logits.copy_(torch.randn(6, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64))


def loss_of(network: torch.nn.Module, learner: FirstOrder | SecondOrder, part: Batch) -> Tensor:
    return functional.cross_entropy(network(part[0], learner.logits.softmax(dim=1)), part[1])


def test_the_first_order_gradient_is_the_slope_of_the_loss(training: SharedTraining) -> None:
    learner = FirstOrder(training, **ADAM)
    spread(learner)
    expected = differences(lambda: float(loss_of(training.network, learner, batch(1))), learner.logits)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(learner.gradient(batch(1)), expected, rtol=1e-4, atol=1e-7)


def test_the_second_order_gradient_is_the_slope_of_the_loss_behind_a_step_of_the_weights(
    training: SharedTraining,
) -> None:
    learner = SecondOrder(training, radius=1e-5, **ADAM)
    spread(learner)
    training.optimizer.param_groups[0]["lr"] = 0.5  # so that the step behind counts

    def unrolled() -> float:
        """One step of SGD on a copy, written out, then the loss on the other images."""
        network = deepcopy(training.network)
        with torch.enable_grad():
            gradients = torch.autograd.grad(
                loss_of(network, learner, batch(1)), list(network.parameters()), allow_unused=True
            )
        for own, shared, gradient in zip(network.parameters(), training.weights, gradients, strict=True):
            velocity = training.optimizer.state[shared]["momentum_buffer"]
            own.data -= 0.5 * (0.9 * velocity + (0.0 if gradient is None else gradient) + 0.01 * own.data)
        return float(loss_of(network, learner, batch(2)))

    before = [weight.detach().clone() for weight in training.weights]
    expected = differences(unrolled, learner.logits)
    found = learner.gradient(batch(1), batch(2))
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-6)
    first = FirstOrder(training, **ADAM)
    spread(first)
    apart = (found - first.gradient(batch(2))).abs().max()
    assert apart > 0.05 * expected.abs().max(), "the second order must differ from the first for this test to tell"
    assert all(map(torch.equal, before, training.weights)), "the weights stay as they are"


def test_a_step_of_the_second_order_leaves_running_statistics_to_the_weights_step(training: SharedTraining) -> None:
    learner = SecondOrder(training, **ADAM)
    before = {name: buffer.clone() for name, buffer in training.network.named_buffers()}
    learner.gradient(batch(1), batch(2))
    assert all(torch.equal(buffer, before[name]) for name, buffer in training.network.named_buffers())


def test_unrolled_weights_are_where_plain_momentum_would_lead(training: SharedTraining) -> None:
    learner = SecondOrder(training, **ADAM)
    weight, shared = training.weights[0].detach(), training.weights[0]
    (gradient,) = torch.autograd.grad(loss_of(training.network, learner, batch(1)), [shared])
    step = gradient + 0.01 * weight + 0.9 * training.optimizer.state[shared]["momentum_buffer"]
    rate = training.optimizer.param_groups[0]["lr"]
    torch.testing.assert_close(learner.unrolled(batch(1))[0].detach(), weight - rate * step)


@pytest.mark.parametrize("temperature", [10.0, 0.5])
def test_a_hard_draw_is_one_hot_and_has_the_gradient_of_the_soft_one(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    noise, upstream = (torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    hard = hard_gumbel(logits, noise, temperature)
    values = (logits + noise).detach()
    assert torch.allclose(hard, functional.one_hot(values.argmax(dim=1), 5).double())
    (found,) = torch.autograd.grad((hard * upstream).sum(), [logits])
    soft = np.exp((values.numpy() - values.numpy().max(axis=1, keepdims=True)) / temperature)
    soft /= soft.sum(axis=1, keepdims=True)
    g = upstream.numpy()
    by_hand = soft * (g - (soft * g).sum(axis=1, keepdims=True)) / temperature
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_gdas_is_that_of_the_gates_times_the_soft_draw(training: SharedTraining) -> None:
    learner = GumbelSampling(training, **ADAM)
    spread(learner)
    learner.begin_epoch(1)
    assert learner.temperature == pytest.approx((10.0 + 0.1) / 2)
    drawn, chosen = learner.draw()
    gates = functional.one_hot(torch.tensor(chosen), 5).double()

    def gated() -> float:
        return float(functional.cross_entropy(training.network(batch(1)[0], gates, chosen), batch(1)[1]))

    by_gates = differences(gated, gates)
    (expected,) = torch.autograd.grad((drawn * by_gates).sum(), [learner.logits], retain_graph=True)
    found = learner.gradient(batch(1), drawn, chosen)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)
    assert found.abs().max() > 1e-6


def test_draws_follow_the_softmax_of_the_logits(training: SharedTraining) -> None:
    learner = GumbelSampling(training, **ADAM)
    spread(learner)
    counts = torch.zeros(6, 5)
    for _ in range(2000):
        counts += functional.one_hot(torch.tensor(learner.draw()[1]), 5)
    assert (counts / 2000 - learner.shares().detach()).abs().max() < 0.05


def test_the_noise_of_an_epoch_is_that_of_single_draws_and_is_moved_once(training: SharedTraining) -> None:
    learner, moved = GumbelSampling(training, **ADAM), []
    stack = torch.stack
    for epoch in (0, 1):
        training.begin_epoch(epoch)
        learner.begin_epoch(epoch)
        generator = torch.Generator()
        generator.set_state(training.generator.get_state())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "stack", lambda rows: moved.append(len(rows)) or stack(rows))
            drawn = [learner.draw()[0].detach() for _ in range(2 * training.steps)]
        for own in drawn:
            uniform = torch.rand(6, 5, generator=generator, dtype=torch.float64)
            noise = -(-uniform.log()).log()
            expected = hard_gumbel(learner.masked(), noise.to(learner.logits), learner.temperature)
            assert torch.equal(own, expected.detach())
    assert moved == [2 * training.steps] * 2


def test_the_temperature_goes_from_the_first_to_the_last_epoch(training: SharedTraining) -> None:
    learner, seen = GumbelSampling(training, **ADAM), []
    for epoch in range(3):
        learner.begin_epoch(epoch)
        seen.append(learner.temperature)
    assert seen == pytest.approx([10.0, 5.05, 0.1])
