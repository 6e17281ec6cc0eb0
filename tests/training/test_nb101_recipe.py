"""The recipes of NAS-Bench-101: their optimiser, their schedule, their split, and a training by the narrow one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from nasgym.errors import InvalidSetting
from nasgym.recipes import RECIPES, default_recipe
from nasgym.spaces import NB101, get_space
from nasgym.training import Trainer
from nasgym.training.eager import EagerNetwork
from nasgym.training.engines import build_networks, bundle_engine, solo_engine
from nasgym.training.loop import make_optimizer, rate_of_epoch
from nasgym.training.rmsprop import RMSProp

PUBLISHED = RECIPES["nb101-108"]


def test_recipes_differ_in_epochs_alone() -> None:
    for epochs in (4, 12, 36, 108):
        made = RECIPES[f"nb101-{epochs}"]
        assert made == replace(PUBLISHED, name=made.name, epochs=epochs)
    assert (PUBLISHED.learning_rate, PUBLISHED.batch_size, PUBLISHED.weight_decay) == (0.2, 256, 1e-4)
    macro = PUBLISHED.macro(10, 3, 32)
    assert (macro.channels, macro.cells_per_stage) == (128, 3)


def test_recipes_where_none_is_named() -> None:
    for space in ("nb101", "nb101-3", "nb101-4", "nb101-5", "nb101-6"):
        assert default_recipe("cifar10", space) == "nb101-108"
        assert default_recipe("cluttered-digits", space) == "nb101-digits"
    assert default_recipe("cluttered-digits", "nb201") == "cluttered-digits-10"


def test_three_steps_are_those_of_the_published_rule() -> None:
    made = replace(PUBLISHED, learning_rate=0.5, weight_decay=0.1)
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 2.0)
    optimizer = make_optimizer(layer, made)
    assert isinstance(optimizer, RMSProp)
    weight, square, velocity = 2.0, 1.0, 0.0
    for x in (1.0, -3.0, 0.5):
        optimizer.zero_grad()
        layer(torch.tensor([[x]])).sum().backward()
        optimizer.step()
        gradient = x + 0.1 * weight
        square = 0.9 * square + 0.1 * gradient**2
        velocity = 0.9 * velocity + 0.5 * gradient / math.sqrt(square + 1.0)
        weight -= velocity
        assert float(layer.weight.detach()) == pytest.approx(weight, rel=1e-5)


def test_the_optimiser_goes_on_from_its_state() -> None:
    def steps(optimizer: torch.optim.Optimizer, weight: torch.nn.Parameter, n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()

    straight, stopped = (torch.nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2))
    one, two = RMSProp([straight], lr=0.1), RMSProp([stopped], lr=0.1)
    steps(one, straight, 5)
    steps(two, stopped, 2)
    again = RMSProp([stopped], lr=0.1)
    again.load_state_dict(two.state_dict())
    steps(again, stopped, 3)
    assert torch.equal(straight, stopped)


def test_the_rate_falls_by_step_from_nothing_at_the_first() -> None:
    made = replace(PUBLISHED, epochs=4, learning_rate=0.2)
    rates = [rate for epoch in range(4) for rate in rate_of_epoch(made, epoch, 1_000)]
    assert len(rates) == 16 and rates[0] == 0.0
    assert rates[1:] == pytest.approx([0.1 * (1 + math.cos(math.pi * step / 16)) for step in range(1, 16)])
    assert rate_of_epoch(replace(made, schedule="cosine"), 0, 1_000) == 0.2


def test_batch_norms_average_as_the_recipe_says() -> None:
    space = get_space("nb101-5")
    row = space.from_index([3])
    for name, momentum in (("nb101-4", 0.003), ("nb101-digits", 0.1)):
        recipe = replace(RECIPES[name], channels=8, cells_per_stage=1)
        networks = build_networks("eager", space, row, [0], recipe.macro(10, 1, 12), recipe, torch.device("cpu"))
        assert isinstance(networks, EagerNetwork)
        norms = [m for m in networks.network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert norms and {norm.momentum for norm in norms} == {momentum}


def test_engines_that_do_not_know_the_rule_are_not_taken() -> None:
    device, space = torch.device("cpu"), get_space("nb201")
    assert solo_engine(space, PUBLISHED, device, 12) == bundle_engine(space, PUBLISHED, device) == "eager"
    cuda = torch.device("cuda")
    assert bundle_engine(space, RECIPES["nb201-12"], cuda) == "stacked"
    assert bundle_engine(space, PUBLISHED, cuda) == "eager"
    with pytest.raises(InvalidSetting, match="the recipe 'nb101-108' has rmsprop.*Take 'eager'"):
        build_networks("stacked", space, np.zeros((1, 6), int), [0], PUBLISHED.macro(10, 3, 32), PUBLISHED, device)


@pytest.mark.parametrize("recipe", ["nb101-digits", "nb101-4"])
def test_a_cell_trains(recipe: str) -> None:
    made = replace(
        RECIPES[recipe], epochs=2, channels=8, cells_per_stage=1, norm_momentum=0.1, crop_padding=0, flip=False
    )
    space = NB101(5)
    (index,) = space.index(space.from_str(["b49ac8c578b4561d79ac7087988f1c61"])).tolist()
    trainer = Trainer(space, "cluttered-digits", made, device="cpu")
    result = trainer(space.from_index([index])[0], seed=0)
    assert result.index == index and result.value("valid_accuracy") > 0.15
    assert trainer(space.from_index([index])[0], seed=0).value("valid_accuracy") == result.value("valid_accuracy")
