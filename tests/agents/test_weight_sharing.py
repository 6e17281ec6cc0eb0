"""The weight-sharing agents on a task: what they charge, what they keep for the answer, and what they refuse."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from nasgym.agents import _sharing, agent_class, get_agent
from nasgym.errors import (
    DatasetUnavailable,
    DeviceMemoryExhausted,
    InvalidSetting,
    SearchDiverged,
    UnknownName,
    UnsuitableTask,
)
from nasgym.recipes import get_recipe
from nasgym.spaces import get_space
from nasgym.task import make_task
from nasgym.testing import synthetic_task
from nasgym.training.sharing import Learner, SharedTraining
from nasgym.training.sharing.gdas import GumbelSampling

NAMES = ("rsps", "darts_v1", "darts_v2", "gdas", "setn", "enas")
names = pytest.mark.parametrize("name", NAMES)
SMALL = get_recipe("cluttered-digits-10")
LARGE = get_recipe("nb201-12")


def tiny(name, **settings):
    few = {"rsps": ("candidates",), "setn": ("candidates",), "enas": ("candidates", "controller_steps", "aggregate")}
    more = dict.fromkeys(few.get(name, ()), 3)
    return get_agent(name, **{"epochs": 1, "clock": "operations", **more, **settings})


@names
def test_training_is_charged_and_then_one_architecture_is_evaluated(name):
    task = synthetic_task(budget=1000.0, seconds=10.0)
    tiny(name).search(task, 0)
    (finished,) = task.trajectory.arrays().finished
    assert task.evaluations == 1 and finished == task.seconds > 10.0
    assert not task.exhausted, "it has its answer"


@names
def test_counted_operations_make_the_whole_trajectory_repeatable(name):
    ends = []
    for _ in range(2):
        task = synthetic_task(budget=1000.0)
        tiny(name).search(task, 5)
        ends.append([column.tolist() for column in task.trajectory.arrays()])
    assert ends[0] == ends[1]


@names
@pytest.mark.parametrize("budget", [10.0, 10.5, 40.0])
def test_the_evaluation_always_fits_however_small_the_budget(name, budget):
    task = synthetic_task(budget=budget, seconds=10.0)
    tiny(name, epochs=3, operations_per_second=1e6).search(task, 0)
    assert task.evaluations == 1 and task.incumbent is not None and task.seconds <= budget


@names
def test_a_budget_below_one_evaluation_ends_without_an_answer(name):
    task = synthetic_task(budget=9.0, seconds=10.0)
    tiny(name).search(task, 0)
    assert task.evaluations == 0 and task.exhausted and task.seconds == 0.0


def test_measured_seconds_are_charged_by_default():
    task = synthetic_task(budget=1000.0, seconds=10.0)
    get_agent("darts_v1", epochs=1).search(task, 0)
    assert 10.0 < task.seconds < 1000.0


@pytest.mark.parametrize(
    ("space", "why"), [("nb101", "not edge-labelled"), ("nats-sss", "not operations on the edges")]
)
@names
def test_spaces_without_labelled_edges_are_refused(name, space, why):
    with pytest.raises(UnsuitableTask, match=why):
        get_agent(name).check_space(get_space(space))
    get_agent(name).check_space(get_space("nb201"))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "enas"])
def test_published_settings_are_the_presets_and_the_defaults_of_large_recipes(name):
    epochs = 50 if name.startswith("darts") else 250
    agent = get_agent(name)
    schedule, preset = agent.schedule(LARGE, 32), get_agent(f"{name}:nb201-2020").schedule(SMALL, 12)
    for made in (schedule, preset):
        assert (made.epochs, made.batch, made.learning_rate, made.last_rate) == (epochs, 64, 0.025, 0.001)
        assert (made.momentum, made.weight_decay, made.clip, made.affine) == (0.9, 5e-4, 5.0, False)
        assert (made.evaluation_batch, made.architecture_images) == (512, "valid")
    assert preset.tracked and not get_agent(f"{name}:nb201-2020-batch").running_statistics
    nats = get_agent(f"{name}:nats").schedule(LARGE, 32)
    assert (nats.epochs, nats.clip, nats.tracked) == (200, 0.0, False)
    if name != "rsps":
        assert agent.number("architecture_rate", LARGE, 32) == 3e-4 and agent.architecture_decay == 1e-3
    assert agent.schedule(SMALL, 12).epochs < 100, "small recipes have a schedule of their own"
    assert get_agent(name, epochs=7).schedule(SMALL, 12).epochs == 7


def test_published_settings_of_enas():
    agent = get_agent("enas")
    schedule, preset = agent.schedule(LARGE, 32), get_agent("enas:nb201-2020").schedule(SMALL, 12)
    for made in (schedule, preset):
        assert (made.epochs, made.batch, made.learning_rate, made.last_rate) == (250, 128, 0.05, 0.0005)
        assert (made.weight_decay, made.clip, made.period, made.affine) == (2.5e-4, 5.0, 10, False)
        assert [made.rate(epoch) for epoch in (0, 10, 20)] == pytest.approx([0.05, 0.0005, 0.05])
    nats = get_agent("enas:nats").schedule(LARGE, 32)
    assert (nats.epochs, nats.batch, nats.learning_rate, nats.weight_decay) == (200, 64, 0.025, 5e-4)
    assert (nats.clip, nats.period) == (0.0, 200)
    assert [agent.number(name, LARGE, 32) for name in ("controller_rate", "controller_steps")] == [1e-3, 50]
    assert (agent.aggregate, agent.entropy, agent.baseline_decay, agent.candidates) == (20, 1e-4, 0.99, 100)
    assert agent.schedule(SMALL, 12).epochs == agent.schedule(SMALL, 12).period < 100


@names
def test_a_setting_of_0_is_0_and_none_goes_by_the_size_of_the_task(name):
    zeros = {"weight_decay": 0.0, "last_rate": 0.0, "learning_rate": 0.0}
    for recipe, side in ((SMALL, 12), (LARGE, 32)):
        none, zero = (tiny(name, **dict.fromkeys(zeros, value)).schedule(recipe, side) for value in (None, 0.0))
        assert none == tiny(name).schedule(recipe, side)
        assert all(getattr(none, key) > 0 for key in zeros)
        assert {key: getattr(zero, key) for key in zeros} == zeros
    task = synthetic_task()
    tiny(name, weight_decay=0, last_rate=0).search(task, 0)
    assert task.evaluations == 1


@pytest.mark.parametrize(
    ("name", "setting"),
    [*((name, "architecture_rate") for name in ("darts_v1", "darts_v2", "gdas", "setn")),
     *(("enas", setting) for setting in ("period", "controller_rate", "controller_steps"))],
)  # fmt: skip
def test_so_is_that_of_a_search_of_its_own(name, setting):
    for size in ((SMALL, 12), (LARGE, 32)):
        assert get_agent(name, **{setting: 0}).number(setting, *size) == 0 < get_agent(name).number(setting, *size)


def test_logits_stay_as_they_are_at_a_rate_of_0(monkeypatch):
    steps, step = [], GumbelSampling.apply

    def noted(learner, gradient):
        before = learner.logits.detach().clone()
        step(learner, gradient)
        steps.append(torch.equal(before, learner.logits))

    monkeypatch.setattr(GumbelSampling, "apply", noted)
    for rate in (0.0, None):
        steps.clear()
        tiny("gdas", architecture_rate=rate).search(synthetic_task(), 0)
        assert steps and set(steps) == {rate == 0.0}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"epochs": 0}, "epochs of GDAS must be at least 1; got 0"),
        ({"batch": 0}, "batch of GDAS must be at least 1; got 0"),
        ({"epochs": 1.5}, "epochs of GDAS must be of type int or None; got 1.5"),
        ({"weight_decay": False}, "weight_decay of GDAS must be of type float or None; got False"),
        ({"last_rate": -1e-9}, "last_rate of GDAS must be at least 0; got -1e-09"),
        ({"momentum": None}, "momentum of GDAS must be of type float; got None"),
    ],
)
def test_settings_out_of_their_bounds_are_refused(settings, says):
    with pytest.raises(InvalidSetting, match=says):
        get_agent("gdas", **settings)


def test_an_agent_without_a_learner_cannot_be_made():
    for unfinished in (_sharing.WeightSharing, _sharing.ArchitectureSharing, Learner):
        with pytest.raises(TypeError, match="abstract"):
            unfinished()


def test_gdas_cools_from_10_to_a_tenth():
    agent = get_agent("gdas")
    assert (agent.first_temperature, agent.last_temperature) == (10.0, 0.1)
    assert get_agent("rsps").candidates == 100


def test_images_that_are_not_at_hand_are_named(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setenv("NASGYM_DATA", str(tmp_path))
    task = make_task("nb201/cifar10", store=tmp_path / "store", max_evaluations=1)
    with pytest.raises(DatasetUnavailable, match="cifar10"):
        get_agent("gdas").search(task, 0)


def test_a_recipe_that_nasgym_does_not_know_is_named():
    task = synthetic_task()
    task.benchmark.key = replace(task.benchmark.key, recipe="mine")
    with pytest.raises(UnknownName, match="recipe 'mine'"):
        get_agent("gdas").search(task, 0)


def test_a_super_network_that_does_not_fit_says_what_to_do(monkeypatch):
    def full(self, *args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(SharedTraining, "update", full)
    with pytest.raises(DeviceMemoryExhausted, match="super-network of nb201 with batches of 64 images.*smaller batch="):
        tiny("rsps").search(synthetic_task(), 0)


def test_a_super_network_that_diverges_is_a_named_error():
    with pytest.raises(SearchDiverged, match="diverged in epoch . of 4, at a learning rate of"):
        tiny("darts_v1", epochs=4, learning_rate=1e9, clip=0.0).search(synthetic_task(), 0)


@names
def test_a_killed_search_goes_on_from_its_checkpoint(name, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    def kill(report):
        if report.epoch == 2:
            raise Killed

    monkeypatch.setattr(_sharing, "_INTERVAL", 0.0)
    agent = tiny(name, epochs=3, checkpoints=str(tmp_path))
    whole, again, reports = synthetic_task(), synthetic_task(), []
    expected = tiny(name, epochs=3).find(whole, 0)
    with pytest.raises(Killed):
        agent.find(synthetic_task(), 0, kill)
    found = agent.find(again, 0, reports.append)
    assert [report.epoch for report in reports] == [2, 3]
    assert found.tolist() == expected.tolist() and again.seconds == pytest.approx(whole.seconds)


def test_an_interrupted_evaluation_does_not_cost_the_search(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    agent, task = tiny("gdas", epochs=2, checkpoints=str(tmp_path)), synthetic_task()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(task, "evaluate", interrupted)
        agent.search(task, 0)
    again, spent = synthetic_task(), task.seconds
    assert agent.find(again, 0, pytest.fail) is not None and again.seconds == pytest.approx(spent) and spent > 0
    whole, last = synthetic_task(), synthetic_task()
    tiny("gdas", epochs=2).search(whole, 0)
    agent.search(last, 0)
    assert [column.tolist() for column in last.trajectory.arrays()] == [
        column.tolist() for column in whole.trajectory.arrays()
    ]
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_other_seeds_settings_and_budgets_have_checkpoints_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(_sharing, "_INTERVAL", 0.0)
    files = set()
    for settings in ({}, {"learning_rate": 0.5}, {"seed": 1}, {"budget": 1234.0}):
        seed, budget = settings.pop("seed", 0), settings.pop("budget", 1000.0)
        agent = tiny("gdas", epochs=2, checkpoints=str(tmp_path), **settings)
        agent.find(synthetic_task(budget=budget), seed, lambda report: files.update(tmp_path.iterdir()))
    assert len(files) == 4


def test_long_trainings_say_that_they_begin(caplog, monkeypatch):
    monkeypatch.setattr(_sharing, "_is_small", lambda recipe, side: False)
    with caplog.at_level(logging.INFO):
        tiny("gdas").search(synthetic_task(), 0)
    assert "gdas trains a super-network of nb201 on cluttered-digits for 1 epochs" in caplog.text
    assert "super-network, epoch 1 of 1: loss" in caplog.text


@pytest.mark.parametrize("name", NAMES)
def test_torch_is_not_needed_to_look_at_an_agent(name):
    assert agent_class(name).family == "weight sharing" and agent_class(name).settles


def test_threads_are_given_back():
    before = torch.get_num_threads()
    tiny("gdas").search(synthetic_task(), 0)
    assert torch.get_num_threads() == before


@names
def test_the_answer_is_an_architecture_of_the_space(name):
    task = synthetic_task()
    tiny(name).search(task, 0)
    assert 0 <= task.incumbent.index < task.space.size and np.isfinite(task.incumbent.accuracy)


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_checkpoints_that_cannot_lie_there_are_refused_before_the_search(where, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(SharedTraining, "update", pytest.fail)
    with pytest.raises(InvalidSetting, match="checkpoints=.*can be no folder.*Take one that can be written"):
        tiny("rsps", checkpoints=str(tmp_path / where)).search(synthetic_task(), 0)


@pytest.mark.parametrize(("own", "refused"), [("auto", True), ("cpu", False)])
def test_weights_are_trained_on_the_device_of_the_task_unless_the_agent_says_another(own, refused):
    task, agent = synthetic_task(budget=9.0), tiny("rsps", device=own)
    task.device = "cuda:977"
    if refused:
        with pytest.raises(InvalidSetting, match="cuda:977"):
            agent.search(task, 0)
    else:
        agent.search(task, 0)
