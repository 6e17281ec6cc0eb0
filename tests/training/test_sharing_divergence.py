"""A search that has no numbers any more is an error that names what was lost and what to change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from nasgym.errors import SearchDiverged
from nasgym.recipes import Recipe
from nasgym.spaces import get_space
from nasgym.training import ImageData
from nasgym.training.sharing import Learner, Schedule, SharedTraining, train_and_settle
from nasgym.training.sharing.darts import FirstOrder, SecondOrder
from nasgym.training.sharing.enas import ControllerSettings, RewardedController
from nasgym.training.sharing.gdas import GumbelSampling
from nasgym.training.sharing.learner import best_of
from nasgym.training.sharing.sampled import RandomSharing
from nasgym.training.sharing.setn import SelfEvaluatedTemplate

LEARNERS: dict[str, Callable[[SharedTraining, float], Learner]] = {
    "rsps": lambda training, rate: RandomSharing(training, 5),
    "darts_v1": lambda training, rate: FirstOrder(training, rate=rate, decay=1e-3),
    "darts_v2": lambda training, rate: SecondOrder(training, rate=rate, decay=1e-3),
    "gdas": lambda training, rate: GumbelSampling(training, rate=rate, decay=1e-3),
    "setn": lambda training, rate: SelfEvaluatedTemplate(training, 5, rate=rate, decay=1e-3),
    "setn, likeliest": lambda training, rate: SelfEvaluatedTemplate(training, 5, False, rate=rate, decay=1e-3),
    "enas": lambda training, rate: RewardedController(training, 5, ControllerSettings(rate, steps=2, aggregate=2)),
}
Make = Callable[..., SharedTraining]


@pytest.fixture
def make(data: ImageData, recipe: Callable[..., Recipe]) -> Make:
    def training(**changes: float) -> SharedTraining:
        made = Schedule(**{"epochs": 2, "batch": 64, "evaluation_batch": 8, "clip": 0.0, **changes})  # type: ignore[arg-type]
        space = get_space("nb201")
        return SharedTraining(space, data, recipe(), made, seed=0, device=torch.device("cpu"))

    return training


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("epochs", [1, 2])
def test_weights_lost_in_the_last_of_few_steps_are_noticed(make: Make, name: str, epochs: int) -> None:
    """One step an epoch: the loss of the first epoch is that of the first weights, and finite."""
    with pytest.raises(SearchDiverged, match="diverged.*Take a lower learning_rate"):
        train_and_settle(LEARNERS[name](make(learning_rate=1e38, last_rate=1e38, epochs=epochs), 0.05))


@pytest.mark.parametrize("name", ["darts_v1", "darts_v2", "gdas", "setn", "setn, likeliest"])
def test_an_architecture_that_wild_weights_take_along_is_noticed(make: Make, name: str) -> None:
    with pytest.raises(SearchDiverged, match="its architecture's parameters.*lower learning_rate.*architecture_rate"):
        train_and_settle(LEARNERS[name](make(learning_rate=1e30, epochs=1), 0.05))


@pytest.mark.parametrize("name", ["darts_v1", "darts_v2", "gdas", "setn", "setn, likeliest"])
def test_too_long_steps_of_the_architecture_are_noticed_and_named(make: Make, name: str) -> None:
    with pytest.raises(SearchDiverged, match=r"its architecture's parameters .*a lower architecture_rate") as raised:
        train_and_settle(LEARNERS[name](make(epochs=9, clip=5.0), 1e38))
    assert "clip" not in str(raised.value), "they are clipped already"
    assert ("last_temperature" in str(raised.value)) == (name == "gdas")


def test_a_controller_without_odds_is_noticed(make: Make) -> None:
    learner = RewardedController(make(), 5, ControllerSettings(0.001, steps=2, aggregate=2))
    with torch.no_grad():
        learner.controller.head.weight[0] = torch.nan
    with pytest.raises(SearchDiverged, match="the controller diverged.*lower controller_rate"):
        train_and_settle(learner)


def test_lost_weights_are_named_and_clipping_is_advised_where_there_is_none(make: Make) -> None:
    for clip, advised in ((0.0, True), (5.0, False)):
        training = make(clip=clip)
        with torch.no_grad():
            training.weights[0][:] = torch.inf
        with pytest.raises(SearchDiverged, match="its loss and its weights are not finite any more") as raised:
            train_and_settle(LEARNERS["rsps"](training, 0.0))
        assert ("clip=5" in str(raised.value)) == advised and "architecture_rate" not in str(raised.value)


def test_statistics_that_are_lost_are_noticed_too(make: Make) -> None:
    training = make(tracked=True, epochs=1)
    next(b for n, b in training.network.named_buffers() if n.endswith("running_var"))[0] = torch.inf
    with pytest.raises(SearchDiverged, match="its weights are not finite"):
        train_and_settle(LEARNERS["rsps"](training, 0.0))


def test_a_candidate_without_finite_logits_is_none_and_without_any_there_is_no_answer(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, candidates = make(), list(get_space("nb201").from_index([0, 1, 2]))
    scores = iter([torch.nan, 0.0, 0.25, torch.nan, torch.nan, torch.nan])
    monkeypatch.setattr(training, "accuracy", lambda *_: torch.tensor(next(scores)))
    assert best_of(training, candidates, 0.0) is candidates[2]
    with pytest.raises(SearchDiverged, match="none of 3 architectures has finite logits"):
        best_of(training, candidates, 0.0)
    monkeypatch.undo()
    with torch.no_grad():
        training.network.classifier.bias[1] = torch.inf  # type: ignore[operator, union-attr]
    assert training.accuracy(next(training.scoring_batches()), [3] * 6).isnan()
