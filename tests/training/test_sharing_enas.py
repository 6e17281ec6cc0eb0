"""ENAS: the controller against explicit enumeration, REINFORCE on a known table, and its place in a search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nasgym.recipes import Recipe
from nasgym.spaces import get_space
from nasgym.training import ImageData
from nasgym.training.sharing import Meter, Schedule, SharedTraining, train_and_settle
from nasgym.training.sharing.controller import Controller
from nasgym.training.sharing.enas import ControllerSettings, Reinforced, RewardedController

ALLOWED = torch.tensor([[True, True, False], [True, True, True], [True, True, True]])  # 2 * 3 * 3 cells
ALL = torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(3))


def decided(seed: int = 0) -> Controller:
    """Return a controller whose choices depend strongly on each other."""
    controller = Controller(ALLOWED, seed).double()
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter *= 10
    return controller


@torch.no_grad()
def told(controller: Controller, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return controller(cells)


def test_probabilities_of_all_cells_add_up_to_one_and_are_those_of_the_draws() -> None:
    controller = decided()
    logs, _ = told(controller, ALL)
    probabilities = logs.exp()
    assert float(probabilities.sum()) == pytest.approx(1.0)
    draws = controller.sample(20_000, torch.Generator().manual_seed(0))
    index = draws @ torch.tensor([9, 3, 1])
    counts = torch.bincount(index, minlength=18).double()
    chi = float(((counts - 20_000 * probabilities) ** 2 / (20_000 * probabilities)).sum())
    assert chi < 45, "17 degrees of freedom: one in 4,000 is above"
    assert float(probabilities.max()) > 2 / 18, "the controller of this test has preferences"


def test_the_mean_of_entropies_on_the_way_is_the_entropy_of_the_whole() -> None:
    logs, entropies = told(decided(), ALL)
    whole = -(logs.exp() * logs).sum()
    assert float((logs.exp() * entropies).sum()) == pytest.approx(float(whole))
    assert float(entropies.max()) <= np.log(18) and float(entropies.min()) > 0


def test_one_cell_by_the_chain_rule_step_by_step() -> None:
    controller, cell = decided(), [1, 2, 0]
    inputs, state, expected = controller.start.view(1, 1, -1), None, 0.0
    for edge, choice in enumerate(cell):
        output, state = controller.lstm(inputs, state)
        logits = 2.5 * torch.tanh(controller.head(output[0, 0]) / 5.0)
        weights = logits.exp() * ALLOWED[edge]
        expected += float(torch.log(weights[choice] / weights.sum()).detach())
        inputs = controller.embedding.weight[choice].view(1, 1, -1)
    assert float(told(controller, torch.tensor([cell]))[0]) == pytest.approx(expected)


def test_options_that_an_edge_lacks_are_never_drawn() -> None:
    draws = Controller(ALLOWED, 0).sample(500, torch.Generator().manual_seed(1))
    assert set(draws[:, 0].tolist()) == {0, 1} and set(draws[:, 1].tolist()) == {0, 1, 2}
    assert float(told(decided(), torch.tensor([[2, 0, 0]]))[0]) == -np.inf


def test_seeds_and_generators_determine_the_controller_and_the_global_one_is_left_alone() -> None:
    before = torch.get_rng_state()
    draws = [Controller(ALLOWED, 3).sample(9, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*draws) and torch.equal(torch.get_rng_state(), before)


def test_the_gradient_is_that_of_the_expected_reward() -> None:
    """With all cells, weighted by their probabilities, REINFORCE gives the exact gradient; any baseline cancels."""
    controller, rewards = decided(), torch.linspace(0.1, 0.9, 18, dtype=torch.float64)

    def gradient(loss: torch.Tensor) -> torch.Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(controller.parameters()))])

    exact = gradient((controller(ALL)[0].exp() * rewards).sum())
    logs = controller(ALL)[0]
    weighted = gradient((logs.exp().detach() * (rewards - 0.3) * logs).sum())
    assert torch.allclose(exact, weighted, atol=1e-12) and float(exact.norm()) > 1e-3


def test_the_loss_is_that_of_reinforce_with_a_moving_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = Controller(ALLOWED, 0)
    settings = ControllerSettings(entropy=0.1, baseline_decay=0.75)
    learner, cells, accuracies = Reinforced(controller, settings), ALL[[3, 7]], [0.5, 0.9]
    logs, entropies = controller(cells)
    first, second = (a + 0.1 * float(h.detach()) for a, h in zip(accuracies, entropies, strict=True))
    baseline = 0.75 * first + 0.25 * second
    expected = -(logs[1] * (second - baseline)) / 2
    wanted = torch.autograd.grad(expected, list(controller.parameters()))
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(learner.optimizer, "step", lambda: seen.extend(p.grad.clone() for p in controller.parameters()))
    learner.learn(cells, accuracies)
    assert learner.baseline == pytest.approx(baseline)
    for found, right in zip(seen, wanted, strict=True):
        assert torch.allclose(found, right, atol=1e-7)


def test_the_expected_reward_rises_on_a_known_table() -> None:
    controller = Controller(ALLOWED, 0)
    rewards = 0.5 + 0.4 * torch.sin(torch.arange(18.0))
    learner, generator = Reinforced(controller, ControllerSettings(rate=0.01)), torch.Generator().manual_seed(0)

    def expected() -> float:
        return float((told(controller, ALL)[0].exp() * rewards).sum())

    values = [expected()]
    for _ in range(3):
        for _ in range(60):
            cells = controller.sample(20, generator)
            learner.learn(cells, rewards[cells @ torch.tensor([9, 3, 1])].tolist())
        values.append(expected())
    assert values[0] == pytest.approx(float(rewards.mean()), abs=0.05)
    assert values[1] > values[0] + 0.1 and values[-1] > 0.75, values
    assert float(rewards[int(controller.sample(1, None)[0] @ torch.tensor([9, 3, 1]))]) > 0.85


SMALL = ControllerSettings(rate=0.05, steps=2, aggregate=3)
Make = Callable[..., SharedTraining]


@pytest.fixture
def make(data: ImageData, recipe: Callable[..., Recipe]) -> Make:
    def training(meter: Meter | None = None, **changes: Any) -> SharedTraining:
        schedule = replace(Schedule(epochs=3, batch=16, evaluation_batch=8, learning_rate=0.05), **changes)
        device = torch.device("cpu")
        return SharedTraining(get_space("nb201"), data, recipe(), schedule, seed=0, device=device, meter=meter)

    return training


def test_weights_learn_on_what_the_controller_draws_and_it_learns_once_per_epoch(make: Make) -> None:
    training = make()
    learner = RewardedController(training, 4, SMALL)
    rewarded: list[list[list[int]]] = []
    trained: list[list[int]] = []
    learn, update = learner.reinforced.learn, training.update

    def learnt(genotypes: torch.Tensor, accuracies: list[float]) -> None:
        assert all(0 <= accuracy <= 1 for accuracy in accuracies)
        rewarded.append(genotypes.tolist())
        learn(genotypes, accuracies)

    def updated(batch: Any, weights: Any = None, chosen: Any = None) -> None:
        trained.append(list(map(int, chosen)))
        update(batch, weights, chosen)

    learner.reinforced.learn, training.update = learnt, updated  # type: ignore[method-assign, assignment]
    before = [p.clone() for p in learner.controller.parameters()]
    found = train_and_settle(learner)
    assert len(rewarded) == 3 * 2 and all(len(cells) == 3 for cells in rewarded)
    assert len(trained) == 3 * 3, "three epochs of 36 images in batches of 16"
    assert not all(map(torch.equal, before, learner.controller.parameters()))
    assert get_space("nb201").is_valid(found[None])[0]


def test_the_answer_is_the_draw_with_the_best_shared_weights(make: Make) -> None:
    training = make(epochs=1)
    learner = RewardedController(training, 6, SMALL)
    scored: list[tuple[list[int], float]] = []

    def accuracy(batch: Any, chosen: Any) -> torch.Tensor:
        scored.append((np.asarray(chosen).tolist(), float(sum(chosen)) / 24))
        return torch.tensor(scored[-1][1])

    training.accuracy = accuracy  # type: ignore[method-assign]
    found = learner.settle(0.0)
    assert len(scored) == 6 and found.tolist() == max(scored, key=lambda item: item[1])[0]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_the_controller_stops_where_the_budget_ends(make: Make, steps: int) -> None:
    probe = RewardedController(make(), 2, SMALL)
    scoring = probe.training.sampled_operations * 16 * SMALL.aggregate
    weights = 3 * probe.step_operations
    training = make(Meter(rate=1.0, allowed=50.0 + probe.settle_operations + weights + (steps + 1.5) * scoring))
    learner = RewardedController(training, 2, SMALL)
    taken: list[int] = []
    learner.reinforced.learn = lambda *_: taken.append(1)  # type: ignore[method-assign, misc, assignment]
    training.begin_epoch(0)
    learner.begin_epoch(0)
    training.meter.count(weights)
    learner.end_epoch(0, 50.0)
    assert len(taken) == steps
