"""Super-networks in training: seeds, images, budgets, checkpoints, divergence, and toys with a known answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nasgym.errors import SearchDiverged
from nasgym.recipes import Recipe
from nasgym.spaces import NB201, get_space
from nasgym.training import ImageData
from nasgym.training.checkpoints import Checkpoint
from nasgym.training.sharing import Learner, Meter, Schedule, SharedTraining, SharingReport, train_and_settle
from nasgym.training.sharing.darts import FirstOrder, SecondOrder
from nasgym.training.sharing.enas import ControllerSettings, RewardedController
from nasgym.training.sharing.gdas import GumbelSampling
from nasgym.training.sharing.learner import best_of
from nasgym.training.sharing.sampled import RandomSharing
from nasgym.training.sharing.setn import SelfEvaluatedTemplate
from nasgym.training.trainer import reproducible

CPU = torch.device("cpu")
ADAM = {"rate": 0.05, "decay": 1e-3}
SCHEDULE = Schedule(epochs=4, batch=16, evaluation_batch=8, learning_rate=0.05)
LEARNERS: dict[str, Callable[[SharedTraining], Learner]] = {
    "rsps": lambda training: RandomSharing(training, 5),
    "darts_v1": lambda training: FirstOrder(training, **ADAM),
    "darts_v2": lambda training: SecondOrder(training, **ADAM),
    "gdas": lambda training: GumbelSampling(training, **ADAM),
    "setn": lambda training: SelfEvaluatedTemplate(training, 5, **ADAM),
    "enas": lambda training: RewardedController(training, 5, ControllerSettings(rate=0.05, steps=1, aggregate=1)),
}
names = pytest.mark.parametrize("name", LEARNERS)
Make = Callable[..., SharedTraining]


@pytest.fixture
def make(data: ImageData, recipe: Callable[..., Recipe]) -> Make:
    def training(space: Any = None, *, seed: int = 0, meter: Meter | None = None, **changes: Any) -> SharedTraining:
        schedule = replace(SCHEDULE, **changes)
        space = space or get_space("nb201")
        return SharedTraining(space, data, recipe(), schedule, seed=seed, device=CPU, meter=meter)

    return training


def weights(training: SharedTraining) -> list[torch.Tensor]:
    return list(training.network.state_dict().values())


@names
def test_the_seed_determines_a_search(make: Make, name: str) -> None:
    ends = []
    for seed in (0, 0, 1):
        training = make(seed=seed, epochs=1)
        ends.append((train_and_settle(LEARNERS[name](training)).tolist(), weights(training)))
    assert ends[0][0] == ends[1][0] and all(map(torch.equal, ends[0][1], ends[1][1]))
    assert not all(map(torch.equal, ends[0][1], ends[2][1]))


@names
def test_a_killed_search_goes_on_to_the_same_end(make: Make, name: str, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(report: SharingReport) -> None:
        if report.epoch == 2:
            raise Killed

    whole = make(meter=Meter(rate=1e6), epochs=3)
    expected = train_and_settle(LEARNERS[name](whole))
    place = {"folder": tmp_path, "identity": {"name": name}, "interval": 0.0}
    with pytest.raises(Killed):
        begun = LEARNERS[name](make(meter=Meter(rate=1e6), epochs=3))
        train_and_settle(begun, checkpoint=Checkpoint(**place), on_epoch=kill)
    charged: list[float] = []
    again, reports = make(meter=Meter(1e6, charge=charged.append), epochs=3), []
    found = train_and_settle(LEARNERS[name](again), checkpoint=Checkpoint(**place), on_epoch=reports.append)
    assert [report.epoch for report in reports] == [2, 3], "the first epoch was saved"
    assert found.tolist() == expected.tolist() and all(map(torch.equal, weights(again), weights(whole)))
    assert again.meter.charged == pytest.approx(whole.meter.charged) == pytest.approx(sum(charged))
    after: list[float] = []
    untouched = make(meter=Meter(1e6, charge=after.append), epochs=3)
    kept = train_and_settle(LEARNERS[name](untouched), checkpoint=Checkpoint(**place), on_epoch=pytest.fail)
    assert kept.tolist() == expected.tolist() and after == [again.meter.charged], "the answer was saved"


@names
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_training_stops_in_the_middle_where_the_budget_ends(make: Make, name: str, steps: int) -> None:
    probe = LEARNERS[name](make())
    ahead = probe.settle_operations + (steps + 1.5) * probe.step_operations
    training = make(meter=Meter(rate=1.0, allowed=100.0 + (ahead if steps else 1.0)))
    learner = LEARNERS[name](training)
    taken: list[int] = []
    step = learner.step
    learner.step = lambda batch, held: taken.append(1) or step(batch, held)  # type: ignore[method-assign, func-returns-value]
    found = train_and_settle(learner, evaluation_seconds=100.0)
    assert len(taken) == steps and training.meter.charged <= training.meter.allowed - 100.0
    assert NB201().is_valid(found[None])[0]


@pytest.mark.gpu
@names
def test_a_gpu_steps_repeats_itself_and_goes_on(
    data: ImageData, recipe: Callable[..., Recipe], name: str, tmp_path: Path
) -> None:
    def made() -> tuple[SharedTraining, Learner]:
        schedule, device = replace(SCHEDULE, epochs=3), torch.device("cuda")
        training = SharedTraining(get_space("nb201"), data, recipe(), schedule, seed=0, device=device)
        return training, LEARNERS[name](training)

    def kill(report: SharingReport) -> None:
        if report.epoch == 2:
            raise KeyboardInterrupt

    place: dict[str, Any] = {"folder": tmp_path, "identity": {}, "interval": 0.0}
    with reproducible():
        training, learner = made()
        before, found = [w.clone() for w in weights(training)], train_and_settle(learner)
        again, repeated = made()
        assert train_and_settle(repeated).tolist() == found.tolist()
        with pytest.raises(KeyboardInterrupt):
            train_and_settle(made()[1], checkpoint=Checkpoint(**place), on_epoch=kill)
        resumed, rest = made()
        assert train_and_settle(rest, checkpoint=Checkpoint(**place)).tolist() == found.tolist()
    assert not all(map(torch.equal, before, weights(training)))
    for other in (again, resumed):
        assert all(map(torch.equal, weights(other), weights(training)))
    assert all(weight.is_cuda for weight in weights(resumed))
    own = getattr(rest, "optimizer", None)
    steps = [] if own is None else [state["step"] for state in own.state.values()]
    assert all(step.device.type == "cpu" for step in steps), "Adam reads them on the host"


def test_without_a_known_price_an_evaluation_is_kept_for_at_the_rate_of_training(make: Make) -> None:
    training = make(meter=Meter(rate=1.0))
    evaluation = 3 * training.sampled_operations * 3 * 36  # three passes, three epochs of the recipe, 36 images
    step = RandomSharing(training, 1).step_operations
    training.meter.allowed = evaluation + training.scoring_operations + 2.5 * step
    train_and_settle(RandomSharing(training, 1))
    assert training.meter.charged == pytest.approx(step + training.scoring_operations)


def test_measured_seconds_are_charged_epoch_by_epoch(make: Make) -> None:
    charged: list[float] = []
    training = make(meter=Meter(charge=charged.append))
    train_and_settle(LEARNERS["rsps"](training))
    assert len(charged) == 5 and all(seconds > 0 for seconds in charged)  # four epochs and the choice
    assert sum(charged) == pytest.approx(training.meter.charged) and 0 < training.meter.rate < float("inf")


@pytest.mark.parametrize("name", ["rsps", "darts_v1"])
@pytest.mark.parametrize("allowed", [5.0, 5.001, 5.05])
def test_whatever_a_measured_search_takes_the_evaluation_is_left(make: Make, name: str, allowed: float) -> None:
    charged: list[float] = []
    training = make(meter=Meter(allowed=allowed, charge=charged.append), epochs=100)
    train_and_settle(LEARNERS[name](training), evaluation_seconds=5.0)
    assert 0.0 <= sum(charged) <= allowed - 5.0 + 1e-12


@pytest.mark.parametrize("rate", [1e8])
def test_a_super_network_that_diverges_is_an_error_with_its_epoch_and_rate(make: Make, rate: float) -> None:
    training = make(learning_rate=rate, clip=0.0)
    with pytest.raises(SearchDiverged, match=r"diverged in epoch \d of 4, at a learning rate of 1e\+08.*lower"):
        train_and_settle(LEARNERS["darts_v1"](training))


def test_reports_tell_epochs_losses_and_the_present_favourite(make: Make) -> None:
    reports: list[SharingReport] = []
    found = train_and_settle(LEARNERS["darts_v1"](make()), on_epoch=reports.append)
    assert [(r.epoch, r.epochs) for r in reports] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert reports[-1].genotype == tuple(found.tolist()) and all(r.loss > 0 for r in reports)
    assert [r.seconds for r in reports] == sorted(r.seconds for r in reports)


def test_the_learning_rate_is_a_cosine_between_its_ends() -> None:
    schedule = Schedule(epochs=100, learning_rate=0.025, last_rate=0.001)
    assert schedule.rate(0) == pytest.approx(0.025) and schedule.rate(50) == pytest.approx(0.013)
    assert schedule.rate(99) == pytest.approx(0.001, abs=1e-5)
    waves = Schedule(epochs=100, learning_rate=0.05, last_rate=0.0005, period=10)
    assert waves.rate(10) == pytest.approx(0.0005) and waves.rate(20) == pytest.approx(0.05)


def test_weights_and_architecture_see_images_of_their_own(make: Make, data: ImageData) -> None:
    training = make()
    train = {image.tobytes() for image in training._own.images.numpy()}
    held = {image.tobytes() for image in training._held.images.numpy()}
    assert train == {image.tobytes() for image in data.train.images.numpy()}
    assert held == {image.tobytes() for image in data.valid.images.numpy()}
    training = make(architecture_images="train")
    own, held_images = training._own.images, training._held.images
    assert len(own) == len(held_images) == 18
    both = {image.tobytes() for image in torch.cat([own, held_images]).numpy()}
    assert both == train


def test_batches_for_the_architecture_never_end_and_differ(make: Make) -> None:
    stream = make().held_batches(0)
    drawn = [next(stream)[0] for _ in range(6)]  # 20 images, 16 a step: two steps a turn
    assert [len(images) for images in drawn] == [16, 4] * 3
    assert not torch.equal(drawn[0], drawn[2])


def test_the_best_under_shared_scores_is_settled_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    training = make()
    candidates = list(NB201().sample(np.random.default_rng(0), 20))
    scores = torch.linspace(0, 0.5, 20)[torch.randperm(20, generator=torch.Generator().manual_seed(3))]
    asked: list[list[int]] = []

    def known(self: SharedTraining, batch: Any, chosen: Any) -> torch.Tensor:
        asked.append(list(chosen))
        return scores[len(asked) - 1]

    monkeypatch.setattr(SharedTraining, "accuracy", known)
    assert best_of(training, candidates, 0.0) is candidates[int(scores.argmax())]
    assert asked == [c.tolist() for c in candidates]


def test_candidates_that_no_longer_fit_are_left_out(make: Make) -> None:
    training = make(meter=Meter(rate=1.0))
    training.meter.allowed = 2.5 * training.scoring_operations
    candidates = list(NB201().sample(np.random.default_rng(0), 20))
    found = best_of(training, candidates, 0.0)
    assert any(found is candidate for candidate in candidates[:2])
    assert training.meter.seconds == pytest.approx(2 * training.scoring_operations)
    training.meter.allowed = 0.0
    assert best_of(training, candidates, 0.0) is candidates[0]


def test_random_sharing_trains_one_architecture_a_step(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    update = SharedTraining.update

    def watched(self: SharedTraining, batch: Any, weights: Any = None, chosen: Any = None) -> None:
        seen.append(tuple(chosen))
        update(self, batch, weights, chosen)

    monkeypatch.setattr(SharedTraining, "update", watched)
    training = make()
    train_and_settle(RandomSharing(training, 3))
    assert len(seen) == 4 * training.steps == 12 and len(set(seen)) > 9


def test_shared_weights_score_as_the_network_does_in_evaluation(make: Make) -> None:
    training = make()
    train_and_settle(LEARNERS["rsps"](training))
    batch = next(training.scoring_batches())
    training.network.eval()
    with torch.no_grad():
        right = (training.network(batch[0], chosen=[3] * 6).argmax(dim=1) == batch[1]).float().mean()
    training.network.train()
    assert training.accuracy(batch, [3] * 6) == right and training.network.training


class Toy(nn.Module):
    """Three operations on one edge: nothing, the mean of the image, and the difference of its halves, which tells."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.Parameter(torch.tensor([[0.0, 0.0], [0.1, -0.1], [0.1, -0.1]]))
        self.register_buffer("allowed", torch.ones(1, 3, dtype=torch.bool))

    def forward(self, images: torch.Tensor, weights: torch.Tensor, chosen: Any = None) -> torch.Tensor:
        top, bottom = images[:, :, :4].mean(dim=(1, 2, 3)), images[:, :, 4:].mean(dim=(1, 2, 3))
        features = torch.stack([torch.zeros_like(top), top + bottom, top - bottom], dim=1)
        if chosen is None:
            return (weights[0] * features) @ self.heads
        only = features[:, chosen[0], None] * self.heads[chosen[0]] * weights[0, chosen[0]]
        return only + weights[0].sum() - weights[0, chosen[0]]


@pytest.mark.parametrize("name", ["darts_v1", "darts_v2", "gdas"])
def test_the_only_operation_that_tells_the_classes_apart_is_found(make: Make, name: str) -> None:
    training = make(epochs=20)
    training.network = Toy()  # type: ignore[assignment]
    training.weights = list(training.network.parameters())
    training.optimizer = torch.optim.SGD(training.weights, lr=0.05, momentum=0.9)
    learner = LEARNERS[name](training)
    found = train_and_settle(learner)
    shares = learner.shares().detach()[0]  # type: ignore[attr-defined]
    assert found.tolist() == [2] and shares[2] > 0.6, shares
