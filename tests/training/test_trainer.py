"""The trainer: what it gives, that it repeats itself, resumes, and what bad input gets."""

from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch

from nasgym.errors import DeviceMemoryExhausted, InvalidArchitecture, InvalidSetting, UnknownName
from nasgym.recipes import Recipe, get_recipe
from nasgym.results import SPLITS, Evaluation, decode, encode
from nasgym.spaces import NB201, get_space
from nasgym.training import Engine, EpochReport, ImageData, Split, Trainer, solo_engine
from nasgym.training import eager as eager_module
from nasgym.training.bundle_compiler import load_kernels
from nasgym.training.loop import evaluate, learning_rate, make_optimizer, train_epoch
from nasgym.training.trainer import _tf32, reproducible

MakeRecipe = Callable[..., Recipe]
SPACE = NB201()
CELL = SPACE.from_index([11472])[0]
NB101_CELL = "01101/00010/00011/00001/00000+conv3x3-bn-relu+maxpool3x3+conv1x1-bn-relu"

needs_compiler = pytest.mark.skipif(load_kernels() is None, reason="there is no C compiler here")
ENGINES = pytest.mark.parametrize("engine", [pytest.param("compiled", marks=needs_compiler), "eager", "stacked"])


def _numbers(evaluation: Evaluation) -> dict[str, list[float]]:
    """Return all that must repeat: everything but the seconds."""
    return {name: s.values.tolist() for name, s in evaluation.series.items() if not name.endswith("_seconds")}


def test_an_evaluation_has_every_metric_at_every_epoch(data: ImageData, recipe: MakeRecipe) -> None:
    seen: list[EpochReport] = []
    trainer = Trainer(SPACE, "cluttered-digits", recipe(epochs=8), device="cpu", data=data, on_epoch=seen.append)
    result = trainer(CELL, seed=3)
    assert (result.index, result.seed, result.epochs, result.diverged) == (11472, 3, 8, False)
    for split in SPLITS:
        for kind in ("accuracy", "loss", "seconds"):
            assert result.series[f"{split}_{kind}"].epochs.tolist() == list(range(1, 9))
    assert [r.epoch for r in seen] == list(range(1, 9))
    assert result.valid_accuracy == seen[-1].valid_accuracy
    assert result.valid_accuracy is not None and result.valid_accuracy > 0.85  # two halves of a tiny image
    assert (np.diff(result.series["train_seconds"].values) > 0).all()
    assert result.provenance["torch"] == torch.__version__
    assert result.provenance["fingerprint"] == data.fingerprint
    assert decode(encode(result)) == result


@ENGINES
def test_the_seed_and_nothing_else_decides(engine: Engine, data: ImageData, recipe: MakeRecipe) -> None:
    trainer = Trainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data, engine=engine)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = trainer(CELL, 0)
    assert torch.equal(torch.get_rng_state(), before)  # the user's generator is left alone
    torch.manual_seed(2)
    second = Trainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data, engine=engine)
    again, other = second(CELL, 0), trainer(CELL, 1)
    assert first.provenance["engine"] == trainer.engine == engine
    assert _numbers(first) == _numbers(again)
    assert _numbers(first) != _numbers(other)


def test_a_small_network_trains_on_one_thread_and_a_large_one_on_all(data: ImageData, recipe: MakeRecipe) -> None:
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        for batch in (16, 1 << 20):
            trainer = Trainer(
                SPACE,
                "cluttered-digits",
                recipe(epochs=1, batch_size=batch),
                device="cpu",
                data=data,
                engine="eager",
                on_epoch=lambda report: seen.append(torch.get_num_threads()),
            )
            assert trainer(CELL, 0).provenance["threads"] == str(seen[-1])
            assert torch.get_num_threads() == 2  # the user's setting is left alone
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 2]


def test_the_seconds_of_training_hold_nothing_else(
    data: ImageData, recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that goes on only where the epoch is told and where a checkpoint is written."""
    now = [0.0]

    def slow(*_: object) -> None:
        now[0] += 100.0

    monkeypatch.setattr("nasgym.training.progress.time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr("nasgym.training.checkpoints.Checkpoint.save", slow)
    kept = {"checkpoints": tmp_path, "checkpoint_seconds": 0.0, "on_epoch": slow}
    result = Trainer(SPACE, "cluttered-digits", recipe(epochs=3), device="cpu", data=data, **kept)(CELL, 0)  # type: ignore[arg-type]
    assert now == [600.0]
    assert result.series["train_seconds"].values.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("tf32", [False, True])
def test_the_precision_that_the_user_has_set_stays(tf32: bool) -> None:
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    try:
        cudnn.allow_tf32 = tf32
        with reproducible():
            assert (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark) == (tf32, True, False)
            assert ("convolutions" in _tf32()) == tf32
        assert (cudnn.allow_tf32, cudnn.deterministic) == (tf32, before[1])
    finally:
        cudnn.allow_tf32 = before[0]


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("space", "cell", "made"),
    [
        ("nb201", SPACE.to_str(CELL[None])[0], {}),
        ("nb101-5", NB101_CELL, {"of": "nb101-4", "channels": 4, "cells_per_stage": 1}),
        ("nb101-5", NB101_CELL, {"of": "nb101-digits", "channels": 4}),
    ],
)
def test_a_cuda_device_repeats_itself(
    space: str, cell: str, made: dict[str, Any], data: ImageData, recipe: MakeRecipe
) -> None:
    known, rules = get_space(space), recipe(flip=True, crop_padding=1, **made)
    trainers = [Trainer(known, "cluttered-digits", rules, device="cuda", data=data) for _ in range(2)]
    first, again = (trainer(known.from_str([cell])[0], 0) for trainer in trainers)
    assert not first.diverged
    assert _numbers(first) == _numbers(again)


class _Killed(Exception):
    """Stands for the end of the process."""


@ENGINES
def test_a_killed_training_resumes_bit_for_bit(
    engine: Engine, data: ImageData, recipe: MakeRecipe, tmp_path: Path
) -> None:
    made = recipe(epochs=4, flip=True, crop_padding=1)
    whole = Trainer(SPACE, "cluttered-digits", made, device="cpu", data=data, engine=engine)(CELL, 5)

    def kill(report: EpochReport) -> None:
        if report.epoch == 3:  # its checkpoint is not written yet: two epochs are saved
            raise _Killed

    kept = {"device": "cpu", "data": data, "checkpoints": tmp_path, "checkpoint_seconds": 0.0, "engine": engine}
    with pytest.raises(_Killed):
        Trainer(SPACE, "cluttered-digits", made, **kept, on_epoch=kill)(CELL, 5)  # type: ignore[arg-type]
    assert len(list(tmp_path.iterdir())) == 1
    other = {**kept, "engine": "eager" if engine != "eager" else "stacked"}
    begun: list[EpochReport] = []
    Trainer(SPACE, "cluttered-digits", made, **other, on_epoch=begun.append)(CELL, 5)  # type: ignore[arg-type]
    assert begun[0].epoch == 1  # the checkpoint of one engine is nothing to another
    resumed: list[EpochReport] = []
    trainer = Trainer(SPACE, "cluttered-digits", made, **kept, on_epoch=resumed.append)  # type: ignore[arg-type]
    result = trainer(CELL, 5)
    assert [r.epoch for r in resumed] == [3, 4]
    assert _numbers(result) == _numbers(whole)
    assert list(tmp_path.iterdir()) == []  # removed at the end


_KILLED = """
import os, signal, sys
from pathlib import Path
from dataclasses import replace
from nasgym.recipes import get_recipe
from nasgym.spaces import NB201
from nasgym.training import Trainer
recipe = replace(get_recipe("cluttered-digits-10"), name="tiny", epochs=3, batch_size=1000, channels=1)
kill = lambda report: os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2] == str(report.epoch) else print(report.epoch)
kept = {"checkpoints": Path(sys.argv[1]), "checkpoint_seconds": 0.0, "on_epoch": kill}
result = Trainer(NB201(), "cluttered-digits", recipe, device="cpu", **kept)(NB201().from_index([1835])[0], 0)
print(result.series["valid_loss"].values.tolist())
"""


@pytest.mark.slow
def test_a_training_survives_kill_9(tmp_path: Path) -> None:
    def run(folder: str, kill_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _KILLED, str(tmp_path / folder), str(kill_at)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))

    assert run("killed", 2).returncode == -signal.SIGKILL
    resumed, whole = run("killed", 0).stdout.splitlines(), run("whole", 0).stdout.splitlines()
    assert resumed[:-1] == ["2", "3"]
    assert whole[:-1] == ["1", "2", "3"]
    assert resumed[-1] == whole[-1]


def test_one_thread_takes_the_kernels_and_several_pytorch(
    data: ImageData, recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cpu = torch.device("cpu")
    compiled = "eager" if load_kernels() is None else "compiled"
    assert solo_engine(SPACE, get_recipe("cluttered-digits-10"), cpu, 12) == compiled
    for threads, expected in ((2, "eager"), (1, compiled)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert solo_engine(SPACE, get_recipe("nb201-12"), cpu, 32) == expected
    assert solo_engine(SPACE, get_recipe("cluttered-digits-10"), torch.device("cuda"), 12) == "eager"
    monkeypatch.setenv("NASGYM_COMPILE", "0")
    load_kernels.cache_clear()
    try:
        trainer = Trainer(SPACE, "cluttered-digits", recipe(epochs=1), device="cpu", data=data)
        assert trainer(CELL, 0).provenance["engine"] == "eager"
        assert not caplog.records  # nothing that a user would see
    finally:
        load_kernels.cache_clear()


def test_a_damaged_checkpoint_is_not_trusted(
    data: ImageData, recipe: MakeRecipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def kill(report: EpochReport) -> None:
        if report.epoch == 2:
            raise _Killed

    kept = {"device": "cpu", "data": data, "checkpoints": tmp_path, "checkpoint_seconds": 0.0}
    with pytest.raises(_Killed):
        Trainer(SPACE, "cluttered-digits", recipe(), **kept, on_epoch=kill)(CELL, 0)  # type: ignore[arg-type]
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    result = Trainer(SPACE, "cluttered-digits", recipe(), **kept)(CELL, 0)  # type: ignore[arg-type]
    assert "begins anew" in caplog.text
    assert _numbers(result) == _numbers(Trainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data)(CELL, 0))


def test_a_disk_without_room_costs_the_checkpoint_and_no_training(
    data: ImageData,
    recipe: MakeRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(state: object, file: BinaryIO) -> None:
        file.write(b"the first bytes")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    kept = {"device": "cpu", "data": data, "checkpoints": tmp_path, "checkpoint_seconds": 0.0}
    result = Trainer(SPACE, "cluttered-digits", recipe(), **kept)(CELL, 0)  # type: ignore[arg-type]
    assert len(result.series["valid_accuracy"].values) == 3
    assert "No space left" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_divergence_is_a_result(data: ImageData, recipe: MakeRecipe) -> None:
    seen: list[EpochReport] = []
    made = recipe(learning_rate=1e30, epochs=5)
    result = Trainer(SPACE, "cluttered-digits", made, device="cpu", data=data, on_epoch=seen.append)(CELL, 0)
    assert result.diverged
    assert len(seen) < 5  # nothing is trained after that
    assert result.epochs == 5
    for split in SPLITS:
        assert result.value(f"{split}_accuracy") == 0.5  # guessing between two classes
        assert len(result.series[f"{split}_accuracy"].values) == 5
    assert all(np.isfinite(series.values).all() for series in result.series.values())
    assert result.train_seconds is not None and result.train_seconds > 0


def test_learning_rates_are_the_published_cosine(recipe: MakeRecipe) -> None:
    rates = [learning_rate(recipe(epochs=12, learning_rate=0.1), e) for e in range(12)]
    assert rates[0] == 0.1
    assert rates[6] == pytest.approx(0.05)
    assert rates[11] == pytest.approx(0.05 * (1 + math.cos(math.pi * 11 / 12)))


def test_one_step_is_nesterov_sgd_with_weight_decay_on_everything(recipe: MakeRecipe) -> None:
    """Two steps of one weight and one bias, by hand."""
    made = recipe(learning_rate=0.5, momentum=0.9, weight_decay=0.1)
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.weight, 2.0)
    torch.nn.init.constant_(layer.bias, 3.0)
    optimizer = make_optimizer(layer, made)
    weight, bias, v_weight, v_bias = 2.0, 3.0, 0.0, 0.0
    for _ in range(2):
        optimizer.zero_grad()
        layer(torch.ones(1, 1)).sum().backward()  # a gradient of one on both
        optimizer.step()
        g_weight, g_bias = 1 + 0.1 * weight, 1 + 0.1 * bias
        v_weight, v_bias = 0.9 * v_weight + g_weight, 0.9 * v_bias + g_bias
        weight, bias = weight - 0.5 * (g_weight + 0.9 * v_weight), bias - 0.5 * (g_bias + 0.9 * v_bias)
    assert float(layer.weight.detach()) == pytest.approx(weight, rel=1e-4)
    assert float(layer.bias.detach()) == pytest.approx(bias, rel=1e-4)


def test_scores_weigh_batches_by_their_size(recipe: MakeRecipe) -> None:
    class Fixed(torch.nn.Module):
        """Logits are the images themselves."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.scale

    right, wrong = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    label = torch.tensor([0])
    batches = [(right.repeat(3, 1), label.repeat(3)), (wrong, label)]
    score = evaluate(Fixed(), batches)
    assert score.accuracy == 0.75
    losses = 3 * math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))
    assert score.loss == pytest.approx(losses / 4)
    network = Fixed()
    trained = train_epoch(network, make_optimizer(network, recipe()), batches, rate=0.0)
    assert trained == pytest.approx(score)
    assert network.training


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta", ""])
def test_an_unknown_device_is_named(device: str, recipe: MakeRecipe) -> None:
    with pytest.raises(InvalidSetting, match="'auto' or 'cpu'"):
        Trainer(SPACE, "cluttered-digits", recipe(), device=device)


def test_an_unknown_dataset_is_named(recipe: MakeRecipe) -> None:
    with pytest.raises(UnknownName, match="cifar10"):
        Trainer(SPACE, "cifar11", recipe())


@pytest.mark.parametrize("change", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": math.nan}, {"channels": -1}])
def test_a_recipe_out_of_bounds_is_named(change: dict[str, float], recipe: MakeRecipe) -> None:
    with pytest.raises(InvalidSetting, match=next(iter(change))):
        Trainer(SPACE, "cluttered-digits", recipe(**change), device="cpu")


def test_a_bad_genotype_or_seed_is_named(data: ImageData, recipe: MakeRecipe) -> None:
    trainer = Trainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data)
    for genotype in ([0, 1, 2, 3, 4, 5], [0, 1], [CELL.tolist()]):
        with pytest.raises((InvalidArchitecture, ValueError)):
            trainer(np.array(genotype), 0)
    with pytest.raises(InvalidSetting, match="-1"):
        trainer(CELL, -1)


def test_images_too_small_for_the_network_are_named(recipe: MakeRecipe) -> None:
    split = Split(torch.zeros(4, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    data = ImageData.of("cluttered-digits", ("a", "b"), (split, split, split))
    with pytest.raises(InvalidSetting, match="5 pixels"):
        Trainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data)(CELL, 0)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: ..."),
        MemoryError("Unable to allocate 1.00 TiB"),
    ],
)
def test_memory_that_does_not_suffice_says_what_to_do(
    error: Exception, data: ImageData, recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(eager_module, "train_epoch", fail)
    with pytest.raises(DeviceMemoryExhausted, match="batch_size"):
        Trainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data, engine="eager")(CELL, 0)


def test_other_runtime_errors_pass(data: ImageData, recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(eager_module, "train_epoch", fail)
    with pytest.raises(RuntimeError, match="something else"):
        Trainer(SPACE, "cluttered-digits", recipe(), device="cpu", data=data, engine="eager")(CELL, 0)
