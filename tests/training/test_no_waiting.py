"""Within an epoch nothing waits for the device, and every tensor lies on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from nasgym.networks.bundle import BundleNetwork
from nasgym.recipes import Recipe
from nasgym.spaces import NB101, NB201, Genotypes, Space
from nasgym.training import ImageData, bundle_stacked, loop
from nasgym.training.augment import EpochPlan, Pixels, TrainPixels, plan_epoch
from nasgym.training.engines import Engine, build_networks
from nasgym.training.sharing import Learner, Schedule, SharedTraining
from nasgym.training.sharing.alphas import ArchitectureLearner
from nasgym.training.sharing.darts import FirstOrder, SecondOrder
from nasgym.training.sharing.enas import ControllerSettings, RewardedController
from nasgym.training.sharing.gdas import GumbelSampling
from nasgym.training.sharing.sampled import RandomSharing
from nasgym.training.sharing.setn import SelfEvaluatedTemplate

SPACE, SMALL = NB201(), NB101(5)
CELLS = np.concatenate([SPACE.from_index([11472, 0]), SPACE.sample(np.random.default_rng(0), 4)])
WAITING = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select", "unique", "_to_copy")


class _NoWaiting(TorchDispatchMode):
    """Fails where an operation would wait for a GPU; a copy does where it leaves the device."""

    def __init__(self, copies: int = 0) -> None:
        super().__init__()
        self.calls, self.copies = 0, copies

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, func._schema.name.removeprefix("aten::")
        if name == "_to_copy" and kwargs.get("device") is not None and self.copies:
            self.copies -= 1
        elif name in WAITING and not (name == "_to_copy" and kwargs.get("device") is None):
            pytest.fail(f"{name} waits for the device")
        self.calls += 1
        return func(*args, **kwargs)


@pytest.mark.parametrize("engine", ["eager", "stacked"])
def test_no_step_waits_for_the_device(
    engine: Engine, data: ImageData, recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = CELLS if engine == "stacked" else CELLS[:1]
    _check_an_epoch(engine, SPACE, rows, recipe(flip=True, crop_padding=1), data, monkeypatch)


@pytest.mark.parametrize("of", ["nb101-4", "nb101-digits"])
def test_no_step_of_a_cell_of_nb101_waits_for_the_device(
    of: str, data: ImageData, recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(of, channels=4, cells_per_stage=1, flip=True, crop_padding=1)
    row = SMALL.from_str(["01101/00010/00011/00001/00000+conv3x3-bn-relu+maxpool3x3+conv1x1-bn-relu"])
    _check_an_epoch("eager", SMALL, row, made, data, monkeypatch)


def _check_an_epoch(
    engine: Engine, space: Space, rows: Genotypes, made: Recipe, data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, seeds = torch.device("cpu"), list(range(len(rows)))
    networks = build_networks(engine, space, rows, seeds, made.macro(2, 1, 8), made, device)
    train, valid = TrainPixels(data, device, 1), Pixels(data.valid, data, device)
    plan = EpochPlan.stack([plan_epoch(len(train), seed, 0, 1, True) for seed in seeds])
    monkeypatch.setattr(loop.Sums, "score", lambda self: None)  # read once, after the epoch
    monkeypatch.setattr(bundle_stacked._Sums, "scores", lambda self: None)
    with _NoWaiting() as seen:
        networks.train_epoch(train.planned(plan, made.batch_size), loop.rate_of_epoch(made, 0, len(train)))
        networks.evaluate(valid.batches(networks.evaluation_batch))
    assert seen.calls > 100


@pytest.mark.parametrize("learner", [FirstOrder, SecondOrder])
def test_no_step_of_a_super_network_waits_for_the_device(
    learner: type[FirstOrder] | type[SecondOrder], data: ImageData, recipe: Callable[..., Recipe]
) -> None:
    schedule, made = Schedule(epochs=1, batch=16), recipe(flip=True, crop_padding=1)
    training = SharedTraining(SPACE, data, made, schedule, seed=0, device=torch.device("cpu"))
    found, (batch, held) = learner(training, rate=0.1, decay=0.0), (training.batches(0), training.held_batches(0))
    with _NoWaiting() as seen:
        part = next(batch)
        training.update(part, found.shares().detach())
        training.update(part, chosen=CELLS[0])
        training.accuracy(part, CELLS[1])
        gradient = found.gradient(next(held)) if isinstance(found, FirstOrder) else found.gradient(part, next(held))
    assert seen.calls > 100 and gradient.shape == (6, 5)


SAMPLED: dict[str, tuple[Callable[[SharedTraining], Learner], int, int]] = {
    "rsps": (lambda training: RandomSharing(training, 5), 0, 0),
    "setn": (lambda training: SelfEvaluatedTemplate(training, 5, rate=0.1, decay=0.0), 0, 0),
    "gdas": (lambda training: GumbelSampling(training, rate=0.1, decay=0.0), 1, 2),
    "enas": (lambda training: RewardedController(training, 5, ControllerSettings(steps=2, aggregate=3)), 0, 0),
}
"""Learner, how often an epoch moves something to the device, and what a step reads from it."""


@pytest.mark.parametrize("name", SAMPLED)
def test_a_step_of_a_learner_reads_no_more_than_its_page_says(
    name: str, data: ImageData, recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, copies, allowed = SAMPLED[name]
    schedule = Schedule(epochs=1, batch=12)
    training = SharedTraining(SPACE, data, recipe(), schedule, seed=0, device=torch.device("cpu"))
    learner, (batches, held) = make(training), (training.batches(0), training.held_batches(0))
    learner.begin_epoch(0)
    if isinstance(learner, ArchitectureLearner):
        monkeypatch.setattr(learner, "apply", lambda gradient: None)  # Adam's steps are counted on the host
    parts, reads = list(zip(batches, held, strict=False)), _count_reads(monkeypatch)
    with _NoWaiting(copies) as seen:
        for batch, own in parts:
            learner.step(batch, iter([own]))
    assert (len(reads), seen.copies) == (allowed * len(parts), 0) and seen.calls > 100 and len(parts) == 3


def test_enas_reads_the_scores_of_a_controller_step_at_once(
    data: ImageData, recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule, device = Schedule(epochs=1, batch=12), torch.device("cpu")
    training = SharedTraining(SPACE, data, recipe(), schedule, seed=0, device=device)
    learner = RewardedController(training, 5, ControllerSettings(steps=2, aggregate=3))
    held, drawn = [next(training.held_batches(0))] * 6, learner.controller.sample(3, training.generator)
    monkeypatch.setattr(training, "held_batches", lambda epoch: iter(held))
    monkeypatch.setattr(learner.controller, "sample", lambda *_: drawn)  # on the CPU, as all of the controller
    monkeypatch.setattr(learner.reinforced, "learn", lambda *_: None)
    reads = _count_reads(monkeypatch)
    with _NoWaiting():
        learner.end_epoch(0, 0.0)
    assert reads == ["tolist"] * 2, "one for each of the controller's steps"


def _count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return where `Tensor.tolist` will be noted, which asks for numbers without an operation on a CPU."""
    reads: list[str] = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: reads.append("tolist") or tolist(self))
    return reads


def test_what_would_wait_is_found() -> None:
    with _NoWaiting(), pytest.raises(pytest.fail.Exception, match="waits"):
        float(torch.ones(()))


def test_every_tensor_of_a_bundle_lies_on_its_device(
    data: ImageData, recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a made-up GPU, where tensors have shapes and a device but no numbers; two devices in one operation fail."""
    made, device, seeds = recipe(flip=True, crop_padding=1), torch.device("cuda"), list(range(len(CELLS)))
    monkeypatch.setattr(BundleNetwork, "to", _moved)
    monkeypatch.setattr(torch.autograd, "backward", lambda loss: None)  # its engine asks for a real one
    seen: list[torch.device] = []
    monkeypatch.setattr(
        bundle_stacked._Sums, "scores", lambda self: seen.extend([self._correct.device, self._loss.device])
    )
    with FakeTensorMode(allow_non_fake_inputs=True):
        train, valid = TrainPixels(data, device, 1), Pixels(data.valid, data, device)
        plan = EpochPlan.stack([plan_epoch(len(train), seed, 0, 1, True) for seed in seeds]).to(device)
        networks = build_networks("stacked", SPACE, CELLS, seeds, made.macro(2, 1, 8), made, device)
        networks.train_epoch(train.planned(plan, made.batch_size), 0.1)
        networks.evaluate(valid.batches(networks.evaluation_batch))
    assert {d.type for d in seen} == {"cuda"} and len(seen) == 4


def _moved(network: nn.Module, device: torch.device) -> nn.Module:
    """Stand in for `nn.Module.to`, which cannot swap made-up tensors."""
    for module in network.modules():
        for name, tensor in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(torch.empty(tensor.shape, device=device)))
        for name, tensor in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.empty(tensor.shape, dtype=tensor.dtype, device=device))
    return network
