"""The NAS-Bench-201 network: published counts and names, and a forward pass that may skip what is dead."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nasgym.errors import InvalidArchitecture, UnknownName
from nasgym.networks import build_network
from nasgym.networks.nb201 import NB201Network
from nasgym.spaces import NB201, Macro

SPACE = NB201()
indices = st.integers(0, SPACE.size - 1)
macros = st.builds(
    Macro,
    channels=st.integers(1, 6),
    cells_per_stage=st.integers(1, 2),
    classes=st.integers(2, 12),
    in_channels=st.integers(1, 4),
    resolution=st.integers(5, 17),
)


def _network(index: int, macro: Macro, skip_dead: bool = True, seed: int = 0) -> NB201Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NB201Network(SPACE.from_index([index])[0], macro, skip_dead)


def _parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _macs(network: nn.Module, macro: Macro) -> int:
    """Count convolutions and the classifier with torch's own counter (two operations each), and add its bias."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, macro.in_channels, macro.resolution, macro.resolution))
    return counter.get_total_flops() // 2 + macro.classes


# index, then for 10, 100 and 120 classes (32, 32, 16 pixels): parameters and multiply-accumulates, as published
PUBLISHED = {
    1651: ((73306, 7783050), (79156, 7788900), (80456, 1953400)),
    1835: ((73306, 7783050), (79156, 7788900), (80456, 1953400)),
    284: ((101306, 11715210), (107156, 11721060), (108456, 2936440)),
    0: ((129306, 15647370), (135156, 15653220), (136456, 3919480)),
    11472: ((559386, 78561930), (565236, 78567780), (566536, 19648120)),
    11: ((802426, 113951370), (808276, 113957220), (809576, 28495480)),
    6111: ((1073466, 153272970), (1079316, 153278820), (1080616, 38325880)),
    9930: ((1288506, 184730250), (1294356, 184736100), (1295656, 46190200)),
    1462: ((1531546, 220119690), (1537396, 220125540), (1538696, 55037560)),
}


@pytest.mark.parametrize("index", PUBLISHED)
def test_published_counts(index: int) -> None:
    for (classes, side), (parameters, macs) in zip(((10, 32), (100, 32), (120, 16)), PUBLISHED[index], strict=True):
        macro = Macro(classes=classes, resolution=side)
        network = _network(index, macro, skip_dead=False)
        assert _parameters(network) == parameters
        assert _macs(network, macro) == macs


@settings(max_examples=30, deadline=None)
@given(indices, macros)
def test_counts_equal_the_closed_form(index: int, macro: Macro) -> None:
    network, genotype = _network(index, macro, skip_dead=False), SPACE.from_index([index])
    assert _parameters(network) == SPACE.parameters(genotype, macro)[0]
    assert _macs(network, macro) == SPACE.flops(genotype, macro)[0]


def test_published_state_dict_names() -> None:
    state = _network(9930, Macro()).state_dict()
    assert len(state) == 489
    for name in (
        "stem.0.weight",
        "stem.1.running_var",
        "cells.0.layers.0.op.1.weight",
        "cells.16.layers.5.op.2.num_batches_tracked",
        "cells.5.conv_a.op.1.weight",
        "cells.11.conv_b.op.2.bias",
        "cells.11.downsample.1.weight",
        "lastact.0.weight",
        "classifier.bias",
    ):
        assert name in state
    assert not any(name.startswith("cells.6.conv_a") for name in state)  # 5 cells, block, 5 cells, block, 5 cells


def _step(network: NB201Network, images: Tensor, labels: Tensor) -> Tensor:
    logits: Tensor = network.train()(images)
    torch.autograd.backward(nn.functional.cross_entropy(logits, labels))
    return logits


# with edges from nodes without input: |none~0|+|skip~0|conv3x3~1|+..., and a cell without any path
@pytest.mark.parametrize(
    "string",
    [
        "|none~0|+|skip_connect~0|nor_conv_3x3~1|+|nor_conv_1x1~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        "|none~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|nor_conv_3x3~2|",
        "|none~0|+|none~0|avg_pool_3x3~1|+|none~0|skip_connect~1|none~2|",
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|avg_pool_3x3~0|none~1|none~2|",
    ],
)
def test_skipping_equals_not_skipping_at_the_edges(string: str) -> None:
    _check_skipping(int(SPACE.index(SPACE.from_str([string]))[0]))


@settings(max_examples=40, deadline=None)
@given(indices)
def test_skipping_equals_not_skipping(index: int) -> None:
    _check_skipping(index)


def _check_skipping(index: int) -> None:
    """Compare outputs, gradients and batch-norm statistics in train mode, then outputs in evaluation mode."""
    macro = Macro(channels=2, cells_per_stage=1, classes=3, in_channels=1, resolution=6)
    skipping, whole = (_network(index, macro, skip_dead).double() for skip_dead in (True, False))
    generator = torch.Generator().manual_seed(index)
    for a, b in zip(skipping.parameters(), whole.parameters(), strict=True):
        noise = torch.randn(a.shape, generator=generator, dtype=a.dtype)  # biases of batch norm begin at zero
        for parameter in (a, b):
            parameter.data += 0.3 * noise
    images = torch.randn(5, 1, 6, 6, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1])
    torch.testing.assert_close(_step(skipping, images, labels), _step(whole, images, labels))
    for (name, a), b in zip(skipping.named_parameters(), whole.parameters(), strict=True):
        zero = torch.zeros_like(a)
        got, wanted = (zero if p.grad is None else p.grad for p in (a, b))
        torch.testing.assert_close(got, wanted, msg=name)
    live = [m for m in skipping.named_modules() if getattr(m[1], "num_batches_tracked", 0)]
    assert live
    for name, module in live:
        torch.testing.assert_close(module.running_var, whole.get_submodule(name).running_var, msg=name)
    with torch.no_grad():
        torch.testing.assert_close(skipping.eval()(images), whole.eval()(images))


def test_the_cell_is_the_published_sum_of_nodes() -> None:
    """The output of a cell of skips and poolings, written by hand: node 3 sums what its edges bring."""
    network = _network(int(SPACE.index(np.array([[1, 4, 1, 1, 0, 4]]))[0]), Macro(2, 1, 2, 1, 8))
    x = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(0))

    def pool(t: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(t, 3, 1, 1, count_include_pad=False)

    torch.testing.assert_close(network.cells[0](x), x + pool(pool(x) + x))


def test_a_dead_edge_spreads_no_nan() -> None:
    network = _network(1651, Macro(2, 1, 2, 1, 8)).eval()  # every edge is none
    logits = network(torch.full((1, 1, 8, 8), float("nan")))
    assert torch.isfinite(network.cells[0](torch.full((1, 2, 8, 8), float("inf")))).all()
    assert logits.shape == (1, 2)
    assert torch.isfinite(logits).all()


def test_features_are_what_the_classifier_sees() -> None:
    network = _network(0, Macro(2, 1, 3, 1, 8)).eval()
    images = torch.zeros(2, 1, 8, 8)
    assert network.features(images).shape == (2, 8)
    torch.testing.assert_close(network.classifier(network.features(images)), network(images))


def test_bad_architectures_and_spaces_are_named() -> None:
    with pytest.raises(InvalidArchitecture, match="6 operation numbers"):
        build_network("nb201", np.array([0, 1, 2, 3, 4, 5]), Macro())
    with pytest.raises(InvalidArchitecture, match="6 operation numbers"):
        build_network(SPACE, np.array([0, 1]), Macro())
    with pytest.raises(UnknownName, match="nb201"):
        build_network("nb202", np.zeros(6, dtype=np.int8), Macro())
