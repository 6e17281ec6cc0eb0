"""Bundles of networks: each member computes what it would compute alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.networks.bundle import BundleNetwork
from nasgym.networks.bundle_cells import live_edges
from nasgym.networks.initial import initial_weights, seeded_network
from nasgym.spaces import NB201, Macro

SPACE = NB201()
MACRO = Macro(channels=2, cells_per_stage=1, classes=3, in_channels=1, resolution=7)
HAND_PICKED = {
    "no path": [3, 3, 0, 0, 0, 0],
    "pooling of a convolution of zero": [0, 0, 3, 0, 0, 4],
    "all skips": [1] * 6,
    "all 3x3": [3] * 6,
    "all poolings": [4] * 6,
    "convolution of zero": [0, 1, 0, 0, 3, 2],
    "skip and pooling of zero": [0, 1, 1, 4, 4, 3],
    "dead node": [3, 0, 0, 2, 0, 0],
    "output is a convolution of zero alone": [0, 0, 0, 0, 3, 0],
    "chain": [2, 0, 4, 0, 0, 3],
}
ALL = np.array(list(HAND_PICKED.values()), dtype=np.int8)


def _step(network: torch.nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Take one step of the recipe's optimiser and return the logits before it; labels are ``[b]`` or ``[m, b]``."""
    logits: Tensor = network(images)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, nesterov=True, momentum=0.9, weight_decay=5e-4)
    loss = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum") / labels.shape[-1]
    torch.autograd.backward(loss)
    optimizer.step()
    return logits.detach()


def _batch(members: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(members, 5, 1, 7, 7, generator=generator), torch.randint(3, (members, 5), generator=generator)


def _check_members(genotypes: NDArray[np.int8]) -> None:
    seeds = list(range(3, 3 + len(genotypes)))
    bundle = BundleNetwork(genotypes, MACRO, seeds).double()
    alone = [seeded_network(SPACE, row, MACRO, seed).double() for row, seed in zip(genotypes, seeds, strict=True)]
    for step in range(2):
        images, labels = _batch(len(genotypes), step)
        together = _step(bundle, images.double(), labels)
        for member, network in enumerate(alone):
            expected = _step(network, images[member].double(), labels[member])
            torch.testing.assert_close(together[member], expected)
    bundle.eval()
    images, _ = _batch(1, 9)
    together = bundle(images[0].double())
    for member, network in enumerate(alone):
        torch.testing.assert_close(together[member], network.eval()(images[0].double()))
        state, unused = network.state_dict(), _without_gradient(network)
        for name, tensor in bundle.member_states()[member].items():
            if name not in unused:
                torch.testing.assert_close(tensor, state[name], msg=lambda m, n=name: f"{n}: {m}")


def _without_gradient(network: torch.nn.Module) -> set[str]:
    """Return what lies before a cell that ignores its input: whether it decays cannot matter."""
    names = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    statistics = ("running_mean", "running_var")
    return names | {name.replace("weight", s) for name in names if name.endswith("weight") for s in statistics}


def test_members_compute_what_they_compute_alone() -> None:
    """Outputs, weights and running statistics after two steps, each member on its own images."""
    _check_members(ALL)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, SPACE.size - 1), min_size=1, max_size=4))
def test_random_members_compute_what_they_compute_alone(indices: list[int]) -> None:
    _check_members(SPACE.from_index(indices).astype(np.int8))


def test_a_member_that_is_no_number_disturbs_no_other() -> None:
    bundle = BundleNetwork(ALL, MACRO, range(len(ALL)))
    images, labels = _batch(len(ALL), 0)
    healthy = _step(BundleNetwork(ALL, MACRO, range(len(ALL))), images, labels)
    bundle.member_states()[2]["stem.0.weight"].fill_(torch.nan)
    for _ in range(2):
        logits = _step(bundle, images, labels)
        assert not logits[2].isfinite().any()
        assert logits[torch.arange(len(ALL)) != 2].isfinite().all()
    bundle = BundleNetwork(ALL, MACRO, range(len(ALL)))
    bundle.member_states()[2]["stem.0.weight"].fill_(torch.nan)
    others = torch.arange(len(ALL)) != 2
    assert torch.equal(_step(bundle, images, labels)[others], healthy[others])


def test_weights_that_cannot_matter_do_not_exist() -> None:
    bundle = BundleNetwork(ALL, MACRO, range(len(ALL)))
    names = bundle.member_states()[list(HAND_PICKED).index("dead node")]
    assert not any("layers.0" in name for name in names)
    assert sum("layers.3.op.1" in name for name in names) == 3  # one convolution in each of three cells
    names = bundle.member_states()[list(HAND_PICKED).index("output is a convolution of zero alone")]
    assert {name.split(".")[-1] for name in names if "layers" in name} == {"bias"}


@pytest.mark.parametrize(
    ("name", "works"),
    [("no path", ""), ("pooling of a convolution of zero", "bias pool"), ("chain", "conv1 pool conv3")],
)
def test_live_edges_of_cells_by_hand(name: str, works: str) -> None:
    assert " ".join(edge.work for edge in live_edges(HAND_PICKED[name])) == works


def test_the_seeds_decide_and_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    first, again = (BundleNetwork(ALL[:2], MACRO, [4, 4]) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in first.member_states()[0].items():
        assert torch.equal(tensor, again.member_states()[0][name])
    other = BundleNetwork(ALL[:2], MACRO, [5, 4]).member_states()[0]
    assert not torch.equal(first.member_states()[0]["stem.0.weight"], other["stem.0.weight"])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, SPACE.size - 1), st.integers(0, 2**40), st.integers(1, 20), st.integers(1, 3))
def test_initial_weights_are_those_of_the_network_built(index: int, seed: int, width: int, cells: int) -> None:
    macro = Macro(channels=width, cells_per_stage=cells, classes=width + 1, in_channels=cells, resolution=7)
    row = SPACE.from_index([index])[0]
    state, weights = seeded_network(SPACE, row, macro, seed).state_dict(), initial_weights(row, macro, seed)
    assert list(state) == list(weights)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in state.items())


def test_bad_members_are_named() -> None:
    for rows in (np.zeros((0, 6)), np.zeros(6), np.full((1, 6), 5)):
        with pytest.raises(InvalidArchitecture):
            BundleNetwork(rows.astype(np.int8), MACRO, range(len(rows)))
    with pytest.raises(InvalidSetting, match="got 1 for 10"):
        BundleNetwork(ALL, MACRO, [0])
