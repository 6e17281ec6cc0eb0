"""Zero-cost proxies: against figures by hand, on every space, and beside trained accuracies."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional

from nasgym.agents import _proxies
from nasgym.errors import DatasetUnavailable, InvalidSetting, UnknownName
from nasgym.recipes import get_recipe
from nasgym.spaces import get_space
from nasgym.task import make_task
from nasgym.training import proxies
from nasgym.training.proxies import PROXIES, ProxyScorer, gradient_norm, naswot, synflow

DIGITS = "cluttered-digits"
RECIPES = {"nb201": "cluttered-digits-10", "nats-sss": "cluttered-digits-10", "nb101-5": "nb101-digits"}


def dense(weight, bias=None):
    layer = nn.Linear(len(weight[0]), len(weight), bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


def two_layers(*between, bias=None, scale=1.0):
    first, second = [[scale, -2.0 * scale], [3.0 * scale, 4.0 * scale]], [[-5.0, 6.0]]
    return nn.Sequential(nn.Flatten(), dense(first, bias), *between, dense(second))


def test_synflow_by_hand():
    """Each layer passes on 5 * (1 + 2) + 6 * (3 + 4) = 57; a bias of -1 adds 5 + 6 to what the second one does."""
    shape = (2, 1, 1)
    assert synflow(two_layers(), shape) == pytest.approx(57 + 57)
    assert synflow(two_layers(bias=[-1.0, 1.0]), shape) == pytest.approx(57 + 68)
    assert synflow(two_layers(nn.ReLU()), shape) == pytest.approx(114)
    assert synflow(two_layers(scale=-3.0), shape) == pytest.approx(3 * 114)


def test_synflow_looks_through_batch_norms():
    norm = nn.BatchNorm1d(2)
    with torch.no_grad():
        norm.weight.fill_(7.0)
        norm.bias.fill_(5.0)
        norm.running_mean.fill_(3.0)
        norm.running_var.fill_(0.01)
    assert synflow(two_layers(norm), (2, 1, 1)) == 114.0


def test_synflow_of_a_convolution_by_hand():
    """A 3x3 kernel of ones on 2x2 ones with padding sees four of them in each of four places."""
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.constant_(conv.weight, -1.0)
    assert synflow(nn.Sequential(conv, nn.Flatten()), (1, 2, 2)) == 16.0


CODED = torch.tensor([[1.0, -1.0], [2.0, 3.0], [-1.0, 0.0]]).view(3, 2, 1, 1)  # codes 10, 11, 00


class Applied(nn.Module):
    def __init__(self, relu):
        super().__init__()
        self.relu = relu

    def forward(self, x):
        return self.relu(x.clone())


@pytest.mark.parametrize(
    "relu",
    [nn.ReLU(), nn.ReLU(inplace=True), functional.relu, torch.relu, torch.relu_, torch.Tensor.relu],
)
def test_naswot_by_hand(relu):
    """The kernel is [[2, 1, 1], [1, 2, 0], [1, 0, 2]], and its determinant 4."""
    assert naswot(Applied(relu), CODED) == pytest.approx(math.log(4))


def test_the_units_of_all_relus_add_up():
    assert naswot(nn.Sequential(nn.ReLU(), nn.ReLU()), CODED) == pytest.approx(math.log(2**3 * 4))


def test_two_images_with_one_code_give_minus_infinity():
    same = torch.stack([CODED[0], CODED[1], 5 * CODED[1]])
    assert naswot(nn.Sequential(nn.ReLU()), same) == -math.inf
    assert naswot(nn.Sequential(nn.Flatten()), CODED) == -math.inf, "no ReLU: nothing tells images apart"


def test_gradient_norm_by_hand():
    """With logits of zero the gradient is (p - y) x: rows of -x / 2 and x / 2 with |x| = 5."""
    network = nn.Sequential(nn.Flatten(), dense([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0]))
    images = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    assert gradient_norm(network, images, torch.tensor([0])) == pytest.approx(math.sqrt(2 * 0.25 * 25))
    both = torch.cat([images, images])
    assert gradient_norm(network, both, torch.tensor([0, 1])) == pytest.approx(0.0, abs=1e-6), "the mean over images"


def test_gradient_norms_of_layers_are_added():
    rng = np.random.default_rng(0)
    w1, w2 = rng.normal(size=(4, 3)), rng.normal(size=(2, 4))
    x, y = rng.normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, 0])
    hidden = np.maximum(x @ w1.T, 0)
    p = np.exp(hidden @ w2.T)
    p /= p.sum(axis=1, keepdims=True)
    error = (p - np.eye(2)[y]) / len(x)
    first = ((error @ w2) * (hidden > 0)).T @ x
    expected = np.linalg.norm(first) + np.linalg.norm(error.T @ hidden)
    network = nn.Sequential(nn.Flatten(), dense(w1.tolist()), nn.ReLU(), dense(w2.tolist()))
    images = torch.tensor(x, dtype=torch.float32).view(6, 3, 1, 1)
    assert gradient_norm(network, images, torch.from_numpy(y)) == pytest.approx(expected, rel=1e-5)


def scorer(space="nb201", **settings):
    return ProxyScorer(get_space(space), DIGITS, get_recipe(RECIPES[space]), **{"images": 32, **settings})


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("space", RECIPES)
def test_scores_of_every_space_are_those_of_their_seed(space, proxy):
    rows = get_space(space).sample(np.random.default_rng(1), 3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first = [scorer(space)(proxy, row) for row in rows]
    assert [scorer(space)(proxy, row) for row in rows] == first
    assert [scorer(space, seed=1)(proxy, row) for row in rows] != first
    assert len(set(first)) == 3
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads


def test_a_network_is_scored_on_the_threads_that_it_would_be_trained_on(monkeypatch):
    """A small one on one, a large one on all: `Trainer` does the same."""
    before, seen = torch.get_num_threads(), []

    def score(scorer, network):
        seen.append(torch.get_num_threads())
        return 0.0

    monkeypatch.setattr(proxies, "_SCORES", {"synflow": score})
    torch.set_num_threads(2)
    try:
        for batch in (16, 1 << 20):
            recipe = replace(get_recipe("cluttered-digits-10"), batch_size=batch)
            ProxyScorer(get_space("nb201"), DIGITS, recipe, device="cpu")("synflow", np.ones(6, dtype=np.int8))
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 2]


def test_a_cell_without_a_path_has_the_lowest_scores():
    nothing = np.zeros(6, dtype=np.int8)
    assert scorer()("synflow", nothing) == 0.0
    assert scorer()("naswot", nothing) == -math.inf


def test_the_minibatch_is_drawn_from_the_train_split_without_repetition():
    images, labels = scorer(images=64).minibatch
    from nasgym.training import load_dataset

    data = load_dataset(DIGITS)
    pixels = (images * data.std[0] + data.mean[0]).round().to(torch.uint8)
    found = [(data.train.images == image).flatten(1).all(dim=1).nonzero()[0, 0] for image in pixels]
    assert len(set(map(int, found))) == 64
    assert torch.equal(labels, data.train.labels[torch.stack(found)])


def test_synflow_needs_no_data_and_the_others_say_what_is_missing():
    on_cifar = ProxyScorer(get_space("nats-sss"), "cifar10", get_recipe("nats-sss-12"))
    row = np.zeros(5, dtype=np.int8)
    assert on_cifar("synflow", row) > 0
    for proxy in ("naswot", "gradient_norm"):
        with pytest.raises(DatasetUnavailable):
            on_cifar(proxy, row)
    on_cifar.prepare(["synflow"])
    with pytest.raises(DatasetUnavailable):
        on_cifar.prepare(["synflow", "naswot"])


def test_counted_operations_are_passes_times_images_times_flops():
    rows = get_space("nb201").sample(np.random.default_rng(0), 4)
    made = scorer(images=50)
    flops = get_space("nb201").flops(rows, made.macro)
    assert made.macro == get_recipe("cluttered-digits-10").macro(10, 1, 12)
    assert made.operations("synflow", rows).tolist() == (3 * flops).tolist()
    assert made.operations("naswot", rows).tolist() == (50 * flops).tolist()
    assert made.operations("gradient_norm", rows).tolist() == (150 * flops).tolist()


def test_bad_input_is_refused_by_name():
    with pytest.raises(UnknownName, match=r"unknown proxy 'synflo'. Did you mean 'synflow'"):
        scorer()("synflo", np.zeros(6, dtype=np.int8))
    with pytest.raises(InvalidSetting, match="2 images or more; got 1"):
        scorer(images=1)
    with pytest.raises(UnknownName, match="unknown dataset 'digits'"):
        ProxyScorer(get_space("nb201"), "digits", get_recipe("nb201-12"))


def test_agents_name_the_same_proxies():
    assert set(_proxies.RUN) == set(PROXIES)


@pytest.mark.parametrize(("proxy", "least"), [("synflow", 0.45), ("naswot", 0.3), ("gradient_norm", 0.05)])
def test_scores_go_with_the_accuracies_of_the_embedded_table(proxy, least, monkeypatch):
    monkeypatch.setenv("NASGYM_EMBEDDED", "1")
    task = make_task(on_missing="error")
    drawn = task.space.sample(np.random.default_rng(0), 130)
    _, first = np.unique(task.space.canonical(drawn), return_index=True)
    rows = drawn[np.sort(first)[:100]]
    made = scorer(images=64)
    rho = spearmanr([made(proxy, row) for row in rows], task.evaluate(rows).accuracies)[0]
    assert rho > least
