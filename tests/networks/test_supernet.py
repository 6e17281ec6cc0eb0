"""The super-network holds every architecture, and its three ways to compute agree where they must."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.errors import UnsuitableTask
from nasgym.networks.nb201 import Cell, NB201Network
from nasgym.networks.supernet import SuperNetwork, mixture_flops, seeded_supernet
from nasgym.spaces import NB201, EdgeLabelled, Macro, get_space
from nasgym.spaces.edge_labelled import check_edge_labelled

SPACE = NB201()
MACRO = Macro(channels=4, cells_per_stage=2, classes=5, in_channels=3, resolution=8)
ALL = SPACE.from_index(np.arange(SPACE.size))
genotypes = st.integers(0, SPACE.size - 1).map(lambda index: ALL[index])


def images(n=6, dtype=torch.float32):
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=dtype)


def alone(supernet, genotype):
    """Return the network of one architecture with the weights of the super-network."""
    network = NB201Network(genotype, MACRO)
    shared = supernet.state_dict()
    own = {}
    for name in network.state_dict():
        head, _, tail = name.partition(".layers.")
        edge = tail.partition(".")[0]
        inside = f"{head}.layers.{edge}.{genotype[int(edge)]}.{tail.partition('.')[2]}" if tail else name
        own[name] = shared[inside].clone()
    network.load_state_dict(own)
    return network


@given(genotypes, st.booleans())
@settings(max_examples=25, deadline=None)
def test_forced_to_one_genotype_it_is_that_network_bit_for_bit(genotype, training):
    supernet = seeded_supernet(SPACE, MACRO, 3, affine=True, tracked=True).train(training)
    network = alone(supernet, genotype).train(training)
    assert torch.equal(supernet(images(), chosen=genotype), network(images()))


@given(genotypes)
@settings(max_examples=15, deadline=None)
def test_one_hot_weights_are_that_choice_in_a_mixture_and_behind_a_gate(genotype):
    supernet = seeded_supernet(SPACE, MACRO, 3).double()
    hot = torch.nn.functional.one_hot(torch.tensor(genotype, dtype=torch.int64), 5).double()
    expected = supernet(images(dtype=torch.float64), chosen=genotype)
    assert torch.allclose(supernet(images(dtype=torch.float64), hot), expected, atol=1e-10)
    assert torch.allclose(supernet(images(dtype=torch.float64), hot, genotype), expected, atol=1e-10)


def test_a_mixture_is_the_weighted_sum_of_operations_on_every_edge():
    supernet = seeded_supernet(SPACE, MACRO, 3).double()
    cell, x = supernet.cells[0], torch.randn(2, 4, 8, 8, dtype=torch.float64)
    weights = torch.rand(6, 5, dtype=torch.float64)
    nodes = [x]
    for edges in ([(0, 0)], [(0, 1), (1, 2)], [(0, 3), (1, 4), (2, 5)]):
        nodes.append(sum(weights[e, k] * cell.layers[e][k](nodes[s]) for s, e in edges for k in range(5)))
    assert torch.allclose(cell(x, weights), nodes[-1])


def test_behind_a_gate_only_the_chosen_operations_are_computed_and_the_others_count_as_one():
    supernet = seeded_supernet(SPACE, MACRO, 3).double()
    cell, x = supernet.cells[0], torch.randn(2, 4, 8, 8, dtype=torch.float64)
    weights, chosen = torch.rand(6, 5, dtype=torch.float64), [3, 1, 0, 2, 4, 3]
    nodes = [x]
    for edges in ([(0, 0)], [(0, 1), (1, 2)], [(0, 3), (1, 4), (2, 5)]):
        total = torch.zeros_like(x)
        for s, e in edges:
            k = chosen[e]
            total = total + weights[e, k] * cell.layers[e][k](nodes[s]) + (weights[e].sum() - weights[e, k])
        nodes.append(total)
    called = []
    for e, options in enumerate(cell.layers):
        for k, layer in enumerate(options):
            layer.register_forward_hook(lambda *_, e=e, k=k: called.append((e, k)))
    assert torch.allclose(cell(x, weights, chosen), nodes[-1])
    assert all(chosen[e] == k for e, k in called)


def test_weights_that_took_no_part_have_no_gradient():
    supernet = seeded_supernet(SPACE, MACRO, 3)
    supernet(images(), chosen=[3, 0, 0, 0, 3, 0]).sum().backward()
    for e, options in enumerate(supernet.cells[0].layers):
        for k, layer in enumerate(options):
            for weight in layer.parameters():
                assert (weight.grad is not None) == ((e, k) in ((0, 3), (4, 3)))


def test_the_switches_of_batch_norms_reach_the_cells_alone():
    norms = {
        name: module
        for name, module in SuperNetwork(SPACE, MACRO, affine=False, tracked=False).named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    }
    inside = {name: norm for name, norm in norms.items() if ".layers." in name}
    assert len(inside) == 6 * 6 * 2  # cells x edges x convolutions
    assert not any(norm.affine or norm.track_running_stats for norm in inside.values())
    assert all(norm.affine and norm.track_running_stats for name, norm in norms.items() if name not in inside)


def test_the_seed_gives_the_weights_and_the_global_generator_stays():
    before = torch.get_rng_state()
    one, same, other = (seeded_supernet(SPACE, MACRO, seed).stem[0].weight for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_operations_of_a_mixture_are_those_of_all_operations_on_all_edges():
    def conv(side, width):
        return side**2 * width**2

    cells = sum(2 * 6 * (conv(side, width) + 9 * conv(side, width)) for side, width in ((8, 4), (4, 8), (2, 16)))
    skeleton = SPACE.flops(np.zeros((1, 6), dtype=np.int8), MACRO)[0]
    assert mixture_flops(SPACE, MACRO) == skeleton + cells


class Triangle:
    """Three edges, the last of which has two options only."""

    name, num_decisions, cell_edges = "triangle", 3, ((0, 1), (0, 2), (1, 2))
    choices = np.array([5, 5, 2])
    operations = (NB201().choice_labels(0), NB201().choice_labels(0), ("none", "nor_conv_1x1"))

    def decision_labels(self):
        return ("0→1", "0→2", "1→2")

    def choice_labels(self, decision):
        return self.operations[decision]


def test_a_space_of_ones_own_needs_nothing_but_edges_and_known_operations():
    supernet = seeded_supernet(Triangle(), MACRO, 0)
    assert supernet.allowed.tolist() == [[True] * 5, [True] * 5, [True, True, False, False, False]]
    assert supernet(images(), chosen=[3, 1, 1]).shape == (6, 5)
    assert torch.isfinite(supernet(images(), torch.rand(3, 5))).all()


def test_an_operation_without_a_module_is_named():
    class Strange(Triangle):
        operations = (("none", "swish"),) * 3

    with pytest.raises(UnsuitableTask, match="swish"):
        check_edge_labelled(Strange())


@pytest.mark.parametrize(("name", "why"), [("nb101", "not edge-labelled"), ("nats-sss", "not operations on the edges")])
def test_a_space_that_is_not_edge_labelled_says_why(name, why):
    assert not isinstance(get_space(name), EdgeLabelled)
    with pytest.raises(UnsuitableTask, match=f"{name}.*{why}.*nb201"):
        SuperNetwork(get_space(name), MACRO)


def test_it_needs_to_know_what_to_compute():
    with pytest.raises(TypeError, match="weights of its operations, or a chosen one"):
        seeded_supernet(SPACE, MACRO, 0)(images())


def test_a_convolution_of_nothing_adds_nothing_without_a_bias():
    supernet = seeded_supernet(SPACE, MACRO, 3)
    cell, x = supernet.cells[0], torch.randn(2, 4, 8, 8)
    assert torch.equal(cell(x, chosen=[0, 0, 0, 1, 3, 0]), x)  # node 1 is nothing, then a convolution of it
    assert isinstance(Cell(["none"] * 6, 4)(x), torch.Tensor)
