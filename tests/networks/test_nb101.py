"""The NAS-Bench-101 network: its size, its first weights, and what its cells compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.networks import build_network
from nasgym.networks.nb101 import ConvBnRelu, NB101Cell, NB101Network, nb101_network
from nasgym.recipes import RECIPES
from nasgym.spaces import NB101, Macro
from nasgym.spaces.nb101 import OPERATIONS, Cell

C3, C1, POOL = OPERATIONS
SPACE = NB101()
SMALL = Macro(channels=8, cells_per_stage=2, classes=7, in_channels=3, resolution=16)


def cell(rows: list[str], *operations: str) -> Cell:
    return Cell(np.array([[int(c) for c in row] for row in rows], dtype=np.int8), operations)


INCEPTION_RESNET = cell(
    ["0111011", "0000001", "0000001", "0000100", "0000001", "0000001", "0000000"], C1, C3, C3, C3, POOL
)


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize("macro", [SMALL, Macro(9, 1, 10, 1, 12), Macro(128, 3)])
def test_parameters_are_those_of_the_closed_form(macro: Macro) -> None:
    for space in (SPACE, NB101(5)):
        rows = space.sample(np.random.default_rng(0), 12 if macro.channels < 100 else 3)
        with torch.device("meta"):
            sizes = [count(build_network(space, row, macro)) for row in rows]
        assert sizes == space.parameters(rows, macro).tolist()


@pytest.mark.parametrize(
    ("made", "parameters"),
    [
        (INCEPTION_RESNET, 3_568_010),  # ten edges: a network, though none of the space
        (cell(["01", "00"]), 882_570),
        (cell(["0101", "0010", "0001", "0000"], C3, C3), 20_346_506),
    ],
)
def test_published_sizes(made: Cell, parameters: int) -> None:
    with torch.device("meta"):
        assert count(NB101Network(made, RECIPES["nb101-108"].macro(10, 3, 32))) == parameters


def test_the_weights_are_those_of_the_canonical_form() -> None:
    """Two orders of one cell, whose vertices would share the channels differently, are one network."""
    rows = [
        SPACE.from_cell(np.array([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0] * 4]), ops)
        for ops in ([C3, C1], [C1, C3])
    ]
    networks = [nb101_network(row, Macro(9, 1, 10, 1, 12)) for row in rows]
    shapes = [[tuple(p.shape) for p in network.parameters()] for network in networks]
    assert shapes[0] == shapes[1] and (rows[0] != rows[1]).any()


def test_batch_norms_and_first_weights_are_the_published_ones() -> None:
    torch.manual_seed(0)
    layer = ConvBnRelu(64, 32, 3)
    assert (layer.norm.momentum, layer.norm.eps) == (0.003, 1e-5)
    weight, std = layer.conv.weight.detach(), (1 / (64 * 9)) ** 0.5
    assert layer.conv.bias is None
    assert float(weight.std()) == pytest.approx(std, rel=0.02)
    assert float(weight.abs().max()) <= 2 * std / 0.8796  # cut off at two standard deviations
    classifier = NB101Network(cell(["01", "00"]), SMALL).classifier
    assert float(classifier.weight.detach().abs().max()) <= (6 / (32 + 7)) ** 0.5
    assert not classifier.bias.detach().any()


def test_a_cell_sums_cuts_joins_and_adds_the_input() -> None:
    """By hand: 1 and 2 share 5 channels as 3 and 2; 3 feeds 1 and 2... all poolings, so that only projections learn."""
    made = cell(["0111", "0011", "0001", "0000"], POOL, POOL)
    module = NB101Cell(made, 4, 5).eval()
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    pool = torch.nn.MaxPool2d(3, stride=1, padding=1)
    with torch.no_grad():
        one = pool(module.projections["1"](x))
        two = pool(one[:, :2] + module.projections["2"](x))
        expected = torch.cat([one, two], dim=1) + module.projections["3"](x)
        assert one.shape[1] == 3 and two.shape[1] == 2
        assert torch.allclose(module(x), expected)


def test_stages_halve_the_side_and_double_the_channels() -> None:
    network = NB101Network(INCEPTION_RESNET, SMALL)
    images = torch.randn(2, 3, 15, 15, generator=torch.Generator().manual_seed(0))
    shapes = []
    for stage in network.stages:
        stage.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    assert network(images).shape == (2, 7) and network.features(images).shape == (2, 32)
    assert shapes[:3] == [(8, 15, 15), (16, 8, 8), (32, 4, 4)]


def test_every_parameter_learns() -> None:
    for row in SPACE.sample(np.random.default_rng(1), 6):
        network = nb101_network(row, SMALL)
        network(torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))).square().sum().backward()
        assert all(p.grad is not None for p in network.parameters())


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="5 vertices of the cell share 4 channels"):
        wide = np.zeros((7, 7), dtype=int)
        wide[0, 1:4] = wide[1:6, 6] = 1
        wide[0, 4:6] = 1
        NB101Network(Cell(wide.astype(np.int8), (C1,) * 5), Macro(4, 1))
    with pytest.raises(InvalidArchitecture, match="disconnected"):
        nb101_network(np.zeros(26, dtype=np.int8), SMALL)
    with pytest.raises(InvalidArchitecture, match=r"26.*\(6,\)"):
        nb101_network(np.zeros(6, dtype=np.int8), SMALL)
