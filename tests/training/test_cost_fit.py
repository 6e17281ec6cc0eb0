"""The cost model measured: on a made-up machine exactly, on this one roughly."""

import time
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
import torch

from nasgym.costs import PARTS, CostModel
from nasgym.errors import InvalidSetting
from nasgym.recipes import Recipe, get_recipe
from nasgym.spaces import NB201, Genotypes, NatsSSS, get_space
from nasgym.training import ImageData, Trainer
from nasgym.training.cost_fit import cells_to_measure, measure_costs
from nasgym.training.cost_meter import CostMeter
from tests.costs.samples import TRUTH, truth

MakeRecipe = Callable[..., Recipe]
SPACE = NB201()
RECIPE = get_recipe("cluttered-digits-10")


def test_a_made_up_machine_is_found_out(data: ImageData, recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, asked = np.random.default_rng(0), []

    def seconds(self: CostMeter, genotype: Genotypes, steps: int) -> tuple[float, ...]:
        counts = SPACE.computed_operations(genotype[None])
        asked.append(int(SPACE.index(genotype[None])[0]))
        busy = 5.0 if 400 < len(asked) < 520 else 1.0  # another program, for a third of the second round
        return tuple(busy * float(truth(counts, part)[0]) * rng.normal(1, 0.01) for part in PARTS)

    monkeypatch.setattr(CostMeter, "seconds", seconds)
    seen: list[tuple[int, int]] = []
    small = recipe()
    model = measure_costs(
        SPACE, "cluttered-digits", small, data=data, cells=300, steps=4, rounds=5, on_progress=lambda *p: seen.append(p)
    )
    every = SPACE.from_index(np.arange(SPACE.size))
    counts = SPACE.computed_operations(every)
    found = model.seconds(SPACE, every, 1)
    for part in PARTS:
        assert np.abs(found[f"{part}_seconds"] / truth(counts, part) - 1).max() < 0.05
        assert model.errors[part].r2 > 0.97
        assert 0 < model.errors[part].median < 0.02
    assert model.coefficients["train"][1] == pytest.approx(TRUTH["train"][1], rel=0.05)
    by = model.measured
    assert (model.space, model.dataset, model.recipe) == ("nb201", "cluttered-digits", "tiny")
    assert (by.steps, by.rounds, by.threads) == (4, 5, 1)
    assert 300 <= by.cells <= 320
    assert seen == [(i + 1, 5 * by.cells) for i in range(5 * by.cells)]
    rounds = np.array(asked[1:]).reshape(5, by.cells)  # the first one wakes up the machine
    assert all(sorted(order) == sorted(set(asked)) for order in rounds.tolist())
    assert len({tuple(order) for order in rounds.tolist()}) == 5, "every round has an order of its own"


@pytest.mark.parametrize("space", [NB201(), NatsSSS()], ids=lambda space: space.name)
def test_a_few_cells_of_this_machine(space: NB201 | NatsSSS, data: ImageData, recipe: MakeRecipe) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    model = measure_costs(space, "cluttered-digits", recipe(), data=data, cells=2, steps=1, rounds=2, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator is left alone"
    assert model.measured.engine == Trainer(space, "cluttered-digits", recipe(), data=data, device="cpu").engine
    assert CostModel.from_json(model.to_json()) == model
    found = model.seconds(space, space.sample(np.random.default_rng(0), 50), 3)
    assert all((seconds >= 0).all() for seconds in found.values())
    assert found["train_seconds"].max() > 0


def test_an_epoch_is_as_many_steps_as_it_has_batches(
    data: ImageData, recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that ticks once a batch, an epoch takes as many ticks as there are batches."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(CostMeter, "_mark", lambda self: float(next(ticks)))
    meter = CostMeter(SPACE, "cluttered-digits", recipe(batch_size=16), data=data, device="cpu")
    with meter.ready():
        train, valid, test = meter.seconds(SPACE.sample(np.random.default_rng(0), 1)[0], 7)
    assert train == pytest.approx(36 / 16)
    assert valid == test == pytest.approx(1.0)  # 20 images: one batch, which is not a whole one


def test_the_batches_are_those_of_a_training(data: ImageData, recipe: MakeRecipe) -> None:
    meter = CostMeter(SPACE, "cluttered-digits", recipe(batch_size=16), data=data, device="cpu")
    batches = list(islice(meter._training(16), 5))  # two of each epoch, the rest of four images is left out
    assert all(labels.shape == (1, 16) for _, labels in batches)
    expected = list(meter._splits()[0].planned(meter._plan(1, [0]), 16))
    assert torch.equal(batches[2][0], expected[0][0])
    assert torch.equal(batches[3][1], expected[1][1])


@pytest.mark.parametrize("name", ["nb201", "nats-sss"])
def test_the_extremes_are_measured_too(name: str) -> None:
    space = get_space(name)
    chosen = cells_to_measure(space, 3, np.random.default_rng(0))
    counts = space.computed_operations(chosen)
    every = space.computed_operations(space.from_index(np.arange(space.size)))
    assert (counts.max(axis=0) == every.max(axis=0)).all()
    assert (counts.min(axis=0) == every.min(axis=0)).all()
    assert len(np.unique(chosen, axis=0)) == len(chosen) <= 3 + 2 * (counts.shape[1] + 1)
    assert np.array_equal(chosen, cells_to_measure(space, 3, np.random.default_rng(0)))


def test_more_cells_than_there_are() -> None:
    assert len(cells_to_measure(SPACE, 10**6, np.random.default_rng(0))) == SPACE.size


@pytest.mark.parametrize("name", ["cells", "steps", "rounds"])
def test_numbers_below_one(name: str, data: ImageData, recipe: MakeRecipe) -> None:
    with pytest.raises(InvalidSetting, match=f"{name} must be 1 or more; got 0"):
        measure_costs(SPACE, "cluttered-digits", recipe(), data=data, **{name: 0})


@pytest.mark.slow
def test_it_charges_about_what_a_training_takes() -> None:
    """Processor seconds of whole trainings against the model, whatever else runs here."""
    model = measure_costs(SPACE, "cluttered-digits", RECIPE, cells=30, steps=6, rounds=2, device="cpu")
    trainer = Trainer(SPACE, "cluttered-digits", RECIPE, device="cpu")
    if trainer.engine != "compiled":
        pytest.skip("no C compiler")
    rows = SPACE.from_str(
        [
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
        ]
    )
    trainer(rows[0], 0)
    charged = model.seconds(SPACE, rows, RECIPE.epochs)
    for number, row in enumerate(rows):
        start = time.process_time()
        trainer(row, 0)
        taken = time.process_time() - start
        passes = charged["valid_seconds"][number] + charged["test_seconds"][number]
        assert 0.6 < taken / (charged["train_seconds"][number] + RECIPE.epochs * passes) < 1.7
