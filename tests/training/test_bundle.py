"""Bundles: each member gets the result that it would get alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.recipes import Recipe, get_recipe
from nasgym.results import SPLITS, Evaluation
from nasgym.spaces import NB201, Genotypes
from nasgym.training import ImageData, Split, Trainer, load_dataset
from nasgym.training.bundle import BundleTrainer, Engine
from nasgym.training.bundle_compiler import load_kernels

MakeRecipe = Callable[..., Recipe]
SPACE = NB201()
HAND_PICKED = [
    [3, 3, 0, 0, 0, 0],  # no path
    [0, 0, 3, 0, 0, 4],  # a pooling of a convolution of zero
    [1] * 6,
    [3] * 6,
    [4] * 6,
    [0, 1, 0, 0, 3, 2],  # a convolution of zero beside a path
    [0, 1, 1, 4, 4, 3],  # skip and pooling of zero
    [3, 0, 0, 2, 0, 0],  # a dead node
    [2, 0, 4, 0, 0, 3],  # a chain
]
CELLS = [np.array(row, dtype=np.int8) for row in HAND_PICKED]
CELLS += list(SPACE.sample(np.random.default_rng(0), 4).astype(np.int8))

needs_compiler = pytest.mark.skipif(load_kernels() is None, reason="there is no C compiler here")
ENGINES = pytest.mark.parametrize("engine", [pytest.param("compiled", marks=needs_compiler), "stacked", "eager"])


def _losses(evaluation: Evaluation) -> list[float]:
    return [x for split in SPLITS for x in evaluation.series[f"{split}_loss"].values.tolist()]


@pytest.mark.parametrize(
    ("engine", "device"),
    [
        pytest.param("compiled", "cpu", marks=needs_compiler),
        ("stacked", "cpu"),
        ("eager", "cpu"),
        pytest.param("stacked", "cuda", marks=pytest.mark.gpu),
        pytest.param("eager", "cuda", marks=pytest.mark.gpu),
    ],
)
@pytest.mark.parametrize(
    "change", [{"channels": 4}, {"flip": True, "crop_padding": 1, "nesterov": False, "channels": 5}]
)
def test_each_member_gets_what_it_gets_alone(
    engine: Engine,
    device: str,
    change: dict[str, object],
    data: ImageData,
    recipe: MakeRecipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two epochs of three steps, the last of them with four images; the seeds differ."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # it rounds to a thousandth
    made = recipe(epochs=2, **change)  # with fewer channels one may be dead, and batch norm then blows up rounding
    bundle = BundleTrainer(SPACE, "cluttered-digits", made, device=device, data=data, engine=engine)
    alone = Trainer(SPACE, "cluttered-digits", made, device=device, data=data, engine="eager")
    jobs = [(cell, seed) for seed, cell in enumerate(CELLS)]
    for (cell, seed), result in zip(jobs, bundle.train(jobs), strict=True):
        expected = alone(cell, seed)
        assert (result.index, result.seed, result.epochs) == (expected.index, expected.seed, 2)
        assert set(result.series) == set(expected.series)
        assert _losses(result) == pytest.approx(_losses(expected), rel=2e-4), SPACE.to_str(cell[None])
    assert bundle.engine == engine


@ENGINES
def test_equal_jobs_get_equal_results_and_order_does_not_matter(
    engine: Engine, data: ImageData, recipe: MakeRecipe
) -> None:
    bundle = BundleTrainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data, engine=engine)
    jobs = [(CELLS[3], 0), (CELLS[8], 1), (CELLS[3], 0)]
    seen: list[Evaluation] = []
    first, second, third = bundle.train(jobs, on_result=seen.append)
    assert len(seen) == 3
    assert _losses(first) == pytest.approx(_losses(third), rel=1e-6)
    assert _losses(first) != _losses(second)
    backwards = bundle.train(jobs[::-1])
    assert _losses(backwards[1]) == pytest.approx(_losses(second), rel=1e-4)
    assert bundle.train([]) == []


@ENGINES
def test_one_member_diverges_and_no_other(engine: Engine, data: ImageData, recipe: MakeRecipe) -> None:
    """At so large a rate only a network whose cells ignore their input keeps its numbers."""
    made = recipe(epochs=4, learning_rate=1e18, weight_decay=0.0)
    alone = Trainer(SPACE, "cluttered-digits", made, device="cpu", data=data, engine="eager")
    bundle = BundleTrainer(SPACE, "cluttered-digits", made, device="cpu", data=data, engine=engine)
    jobs = [(cell, 0) for cell in CELLS]
    together = bundle.train(jobs)
    apart = [alone(*job) for job in jobs]
    assert [r.diverged for r in together] == [r.diverged for r in apart]
    assert not any(r.diverged for r in together[:2])
    assert all(r.diverged for r in together[2:])
    for result, expected in zip(together[:2], bundle.train(jobs[:2]), strict=True):
        assert _losses(result) == pytest.approx(_losses(expected), rel=0.01)


@needs_compiler
def test_threads_change_nothing(data: ImageData, recipe: MakeRecipe) -> None:
    bundle = BundleTrainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data, engine="compiled")
    jobs = [(cell, 3) for cell in CELLS]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = bundle.train(jobs)
        torch.set_num_threads(3)
        several = bundle.train(jobs)
    finally:
        torch.set_num_threads(threads)
    assert [_losses(r) for r in one] == [_losses(r) for r in several]


def test_without_a_compiler_members_train_one_by_one(
    data: ImageData, recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NASGYM_COMPILE", "0")
    load_kernels.cache_clear()
    try:
        trainer = BundleTrainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data)
        assert trainer.engine == "eager"
        (result,) = trainer.train([(CELLS[3], 1)])
        assert _losses(result) == _losses(
            Trainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data, engine="eager")(CELLS[3], 1)
        )
        with pytest.raises(InvalidSetting, match="C compiler"):
            BundleTrainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data, engine="compiled")
    finally:
        load_kernels.cache_clear()


def test_bad_input_is_named(data: ImageData, recipe: MakeRecipe) -> None:
    trainer = BundleTrainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data, engine="stacked")
    with pytest.raises(InvalidArchitecture):
        trainer.train([(np.full(6, 5), 0)])
    with pytest.raises(InvalidSetting, match="-1"):
        trainer.train([(CELLS[0], -1)])
    with pytest.raises(InvalidSetting, match="engines are"):
        BundleTrainer(SPACE, "cluttered-digits", recipe(), data=data, engine="fast")  # type: ignore[arg-type]


@pytest.mark.slow
@needs_compiler
def test_full_trainings_reach_the_same_accuracies() -> None:
    """One cell, six seeds, the embedded data set and its recipe: equal in distribution, and near seed by seed."""
    made = get_recipe("cluttered-digits-10")
    data = load_dataset("cluttered-digits", image_size=made.image_size)
    cell, seeds = SPACE.from_index([11472])[0], range(6)
    together = BundleTrainer(SPACE, "cluttered-digits", made, device="cpu", data=data, engine="compiled")
    alone = Trainer(SPACE, "cluttered-digits", made, device="cpu", data=data, engine="eager")
    first = np.array([result.valid_accuracy for result in together.train([(cell, seed) for seed in seeds])])
    second = np.array([alone(cell, seed).valid_accuracy for seed in seeds])
    noise = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / len(seeds))
    assert abs(first.mean() - second.mean()) < 4 * noise + 0.002
    assert first.min() > 0.5


@dataclass(frozen=True)
class _Short:
    """A short training that rounding changes little, and what two cells reach in it alone."""

    data: ImageData
    recipe: Recipe
    jobs: list[tuple[Genotypes, int]]
    alone: NDArray[np.float64]


@pytest.fixture(scope="module")
def short() -> _Short:
    """Half the training images, three epochs at a tenth of the rate; two cells of eight seeds each."""
    whole, made = load_dataset("cluttered-digits"), get_recipe("cluttered-digits-10")
    half = Split(whole.train.images[:1500], whole.train.labels[:1500])
    data = ImageData.of("cluttered-digits", whole.classes, (half, whole.valid, whole.test))
    made = replace(made, name="short", epochs=3, learning_rate=made.learning_rate / 10)
    jobs = [(cell, seed) for cell in SPACE.from_index([11472, 14393]) for seed in range(8)]
    alone = Trainer(SPACE, "cluttered-digits", made, device="cpu", data=data, engine="eager")
    return _Short(data, made, jobs, np.array([alone(*job).valid_accuracy for job in jobs]))


@pytest.mark.slow
@pytest.mark.parametrize("engine", [pytest.param("compiled", marks=needs_compiler), "stacked"])
def test_short_trainings_reach_the_same_accuracies(engine: Engine, short: _Short) -> None:
    """Sixteen pairs of trainings, each of one cell and seed: no mean difference, by a t test."""
    bundle = BundleTrainer(SPACE, "cluttered-digits", short.recipe, device="cpu", data=short.data, engine=engine)
    together = np.array([result.valid_accuracy for result in bundle.train(short.jobs)])
    difference = together - short.alone
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert abs(difference.mean()) <= 4.07 * error, difference  # exceeded once in a thousand with 15 degrees of freedom
    assert error < 0.004, difference  # measured: 0.0024; far above that the test would say nothing
    assert short.alone.min() > 0.12 and short.alone.std() > 0.005  # more than guessing: there is something to differ in
