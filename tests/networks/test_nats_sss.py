"""The network of the size space: published counts and names, and a cell that is the published sum of nodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nasgym.errors import InvalidArchitecture
from nasgym.networks import build_network
from nasgym.networks.nats_sss import NatsSSSNetwork, SizedCell
from nasgym.networks.nb201 import Cell, NB201Network
from nasgym.spaces import NB201, Macro, NatsSSS
from nasgym.spaces.nats_sss import CELL

SPACE = NatsSSS()
macros = st.builds(
    Macro,
    channels=st.integers(1, 6),
    cells_per_stage=st.integers(1, 2),
    classes=st.integers(2, 12),
    in_channels=st.integers(1, 4),
    resolution=st.integers(5, 17),
)


def _macs(network: nn.Module, macro: Macro) -> int:
    """Count convolutions and the classifier with torch's own counter (two operations each), and add its bias."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, macro.in_channels, macro.resolution, macro.resolution))
    return counter.get_total_flops() // 2 + macro.classes


def _parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("string", "parameters", "macs"),
    [("8:8:8:8:8", 11714, 4481114), ("8:8:8:16:32", 49202, 6840650), ("8:8:40:32:40", 144834, 21827994)],
)
def test_published_counts(string: str, parameters: int, macs: int) -> None:
    macro = Macro(cells_per_stage=1)
    network = build_network(SPACE, SPACE.from_str([string])[0], macro)
    assert (_parameters(network), _macs(network, macro)) == (parameters, macs)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, SPACE.size - 1), macros)
def test_counts_equal_the_closed_form(index: int, macro: Macro) -> None:
    genotype = SPACE.from_index([index])
    network = build_network("nats-sss", genotype[0], macro)
    assert _parameters(network) == SPACE.parameters(genotype, macro)[0]
    assert _macs(network, macro) == SPACE.flops(genotype, macro)[0]


def test_published_state_dict_names() -> None:
    state = NatsSSSNetwork(SPACE.from_str(["8:16:24:24:32"])[0], Macro(cells_per_stage=1)).state_dict()
    for name, shape in {
        "stem.0.weight": (8, 3, 3, 3),
        "stem.1.running_var": (8,),
        "cells.0.layers.0.op.1.weight": (8, 8, 3, 3),
        "cells.1.conv_a.op.1.weight": (16, 8, 3, 3),
        "cells.1.conv_b.op.2.bias": (16,),
        "cells.1.downsample.1.weight": (16, 8, 1, 1),
        "cells.2.layers.1.op.1.weight": (24, 16, 3, 3),
        "cells.2.layers.2.op.1.weight": (24, 24, 3, 3),
        "cells.2.layers.3.conv.weight": (24, 16, 1, 1),
        "cells.2.layers.3.bn.running_mean": (24,),
        "cells.4.layers.5.op.2.num_batches_tracked": (),
        "lastact.0.weight": (32,),
        "classifier.weight": (10, 32),
    }.items():
        assert tuple(state[name].shape) == shape, name
    assert "cells.0.layers.3.conv.weight" not in state, "equal channels: the skip has no weights"
    assert not any(name.startswith("cells.5") for name in state)


def test_with_equal_channels_the_cell_is_the_one_of_nb201() -> None:
    """The same weights in `Cell`, built from the string, give the same outputs in train mode."""
    ops = [op.partition("~")[0] for op in CELL.replace("+", "").strip("|").split("|") if op]
    whole, sized = Cell(ops, 4), SizedCell(4, 4)
    sized.load_state_dict(whole.state_dict())
    x = torch.randn(3, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sized(x), whole(x))


def test_unequal_channels_by_hand() -> None:
    cell = SizedCell(2, 3).eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in cell.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    x = torch.randn(2, 2, 5, 5, generator=generator)
    edges = list(cell.layers)
    one = edges[0](x)
    two = edges[1](x) + edges[2](one)
    scale, bias = edges[3].bn.weight / (1 + edges[3].bn.eps) ** 0.5, edges[3].bn.bias
    skip = nn.functional.conv2d(x, edges[3].conv.weight) * scale.view(-1, 1, 1) + bias.view(-1, 1, 1)
    torch.testing.assert_close(cell(x), skip + edges[4](one) + edges[5](two))


def test_the_whole_network_is_that_of_nb201_where_both_can_say_it() -> None:
    """Widths C, 2C, 2C, 4C, 4C are those of the nb201 skeleton with one cell per stage."""
    nb201, macro = NB201(), Macro(channels=16, cells_per_stage=1)
    theirs = NB201Network(nb201.from_str([CELL])[0], macro).eval()
    ours = NatsSSSNetwork(SPACE.from_str(["16:32:32:64:64"])[0], macro).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(ours(images), theirs(images))


def test_every_weight_learns_and_features_are_what_the_classifier_sees() -> None:
    network = NatsSSSNetwork(np.array([0, 3, 1, 2, 7]), Macro(channels=4, cells_per_stage=1, classes=3, in_channels=1))
    images: Tensor = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    torch.autograd.backward(nn.functional.cross_entropy(network(images), torch.tensor([0, 1, 2, 0])))
    assert all(p.grad is not None for p in network.parameters())
    network.eval()
    assert network.features(images).shape == (4, 16)
    torch.testing.assert_close(network.classifier(network.features(images)), network(images))


def test_bad_sizes_are_named() -> None:
    for bad in ([0, 0, 0, 0], [0, 0, 0, 0, 8]):
        with pytest.raises(InvalidArchitecture, match="5 sizes"):
            build_network("nats-sss", np.array(bad), Macro())
