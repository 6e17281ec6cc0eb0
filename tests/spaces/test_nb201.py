"""NAS-Bench-201: order, strings, mutation law, neighbours and costs against published values."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nasgym.errors import InvalidArchitecture
from nasgym.spaces import NB201, Macro
from nasgym.spaces.nb201 import EDGES, OFFICIAL_ORDER_SHA256, OPERATIONS, order_sha256

SPACE = NB201()
ALL = SPACE.from_index(np.arange(SPACE.size))
RESNET = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
NAMED = {
    0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    9: "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    123: "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|",
    11472: RESNET,
    15624: "|nor_conv_1x1~0|+|none~0|nor_conv_1x1~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|",
}
genotypes = st.lists(st.integers(0, 4), min_size=6, max_size=6).map(lambda g: np.array([g], dtype=np.int8))


def test_the_order_is_the_official_one() -> None:
    assert OFFICIAL_ORDER_SHA256 == "83abc799e45cf34e9d2163654668ab998b9a54d01c39e72ca1f71f2cdf356d84"
    assert order_sha256() == OFFICIAL_ORDER_SHA256
    text = "\n".join(SPACE.to_str(ALL)).encode()
    assert hashlib.sha256(text).hexdigest() == OFFICIAL_ORDER_SHA256


@pytest.mark.parametrize("index", NAMED)
def test_named_cells_stand_at_their_index(index: int) -> None:
    assert SPACE.to_str(SPACE.from_index([index])) == [NAMED[index]]
    assert SPACE.index(SPACE.from_str([NAMED[index]])).tolist() == [index]


@pytest.mark.parametrize(("op", "index"), [("none", 1651), ("skip_connect", 1835), ("nor_conv_3x3", 1462)])
def test_uniform_cells_stand_at_their_index(op: str, index: int) -> None:
    assert SPACE.index(np.full((1, 6), OPERATIONS.index(op))).tolist() == [index]


def test_index_and_from_index_are_inverse_over_the_whole_space() -> None:
    assert ALL.shape == (15625, 6) and ALL.dtype == np.int8
    assert len({tuple(g) for g in ALL.tolist()}) == 15625
    assert np.array_equal(SPACE.index(ALL), np.arange(15625))
    shuffled = np.random.default_rng(3).permutation(15625)
    assert np.array_equal(SPACE.index(SPACE.from_index(shuffled)), shuffled)


def test_the_first_edge_of_a_string_is_the_first_decision() -> None:
    string = SPACE.to_str(np.array([[0, 1, 2, 3, 4, 0]]))[0]
    assert string == "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|"
    assert SPACE.decision_labels() == ("0→1", "0→2", "1→2", "0→3", "1→3", "2→3")


@given(genotypes)
def test_strings_round_trip(genotype: Any) -> None:
    strings = SPACE.to_str(genotype)
    assert np.array_equal(SPACE.from_str(strings), genotype)
    assert np.array_equal(SPACE.from_str([f"  {strings[0]}\n"]), genotype)


@given(st.text(alphabet="|+~012 nor_conv_3x3skip", max_size=60))
def test_any_text_is_an_architecture_or_a_named_error(text: str) -> None:
    try:
        parsed = SPACE.from_str([text])
    except InvalidArchitecture as error:
        assert repr(text) in str(error)
    else:
        assert SPACE.to_str(parsed) == [text.strip()]


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("", "'' has 1 nodes joined by '\\+', nb201 has 3: \\|op~0\\|"),
        ("|none~0|", "has 1 nodes joined by '\\+', nb201 has 3"),
        (RESNET + "+|none~0|", "has 4 nodes joined by '\\+', nb201 has 3"),
        (RESNET[1:], "node 1 of .* must stand between bars, .*got 'nor_conv_3x3~0\\|'"),
        (RESNET[:-1], "node 3 of .* must stand between bars"),
        ("|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1 of .* must stand between bars, .*got '\\|'"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2 of .* has 1 inputs, it needs 2"),
        ("|none~0|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1 of .* has 2 inputs, it needs 1"),
        ("|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", "'none~1' in .* must end in '~0': inputs are listed"),
        ("|none|+|none~0|none~1|+|none~0|none~1|none~2|", "'none' in .* must end in '~0'"),
        ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "'none~1' in .* must end in '~0'"),
        (
            "|nor_conv_3x4~0|+|none~0|none~1|+|none~0|none~1|none~2|",
            "unknown operation 'nor_conv_3x4' in .*Did you mean 'nor_conv_3x3'\\? Known: none, skip_connect",
        ),
        ("|@@~0|+|none~0|none~1|+|none~0|none~1|none~2|", "unknown operation '@@' in .*'\\. Known: none"),
        (17, "an nb201 architecture is a string; got int 17"),
    ],
)
def test_a_bad_string_is_refused_with_the_fault(string: Any, message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        SPACE.from_str([RESNET, string])


def test_one_string_without_a_list_is_refused() -> None:
    with pytest.raises(InvalidArchitecture, match="takes a list of architecture strings"):
        SPACE.from_str(RESNET)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 15625], "index 15625 is outside 0..15624"),
        ([-1], "index -1 is outside 0..15624"),
        (7, r"shape \(n,\); got \(\)"),
        ([[1, 2]], r"shape \(n,\); got \(1, 2\)"),
        ([1.5], "indices are integers; got an array of float64"),
        ([3, 1 << 70], f"index {1 << 70} is outside 0..15624"),
    ],
)
def test_a_bad_index_is_refused(indices: Any, message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        SPACE.from_index(indices)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros(6, np.int8), r"shape \(n, 6\); got \(6,\).*genotype\[None\]"),
        (np.zeros((2, 5), np.int8), r"shape \(n, 6\); got \(2, 5\)"),
        (np.zeros((1, 1, 6), np.int8), r"got \(1, 1, 6\)"),
        (np.zeros((2, 6)), "genotypes are integers; got an array of float64"),
    ],
)
@pytest.mark.parametrize("method", ["is_valid", "index", "to_str", "canonical", "neighbours"])
def test_a_bad_batch_is_refused(method: str, batch: Any, message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        getattr(SPACE, method)(batch)


def test_validity_and_the_row_that_is_wrong() -> None:
    rows = np.array([[0, 1, 2, 3, 4, 0], [0, 0, 5, 0, 0, 0], [-1, 0, 0, 0, 0, 0]])
    assert SPACE.is_valid(rows).tolist() == [True, False, False]
    with pytest.raises(InvalidArchitecture, match=r"in 0..4; got \[0, 0, 5, 0, 0, 0\]"):
        SPACE.to_str(rows)


def test_entries_that_do_not_fit_are_not_wrapped_around() -> None:
    assert not SPACE.is_valid(np.array([[256, 0, 0, 0, 0, 0], [-256, 0, 0, 0, 0, 0]])).any()


def test_samples_are_uniform() -> None:
    drawn = SPACE.sample(np.random.default_rng(0), 50_000)
    for edge in range(6):
        assert chisquare(np.bincount(drawn[:, edge], minlength=5)).pvalue > 1e-3
    pairs = np.bincount(drawn[:, 0].astype(int) * 5 + drawn[:, 5], minlength=25)
    assert chisquare(pairs).pvalue > 1e-3  # edges are drawn independently


def test_the_mutation_law_is_the_published_one() -> None:
    n = 60_000
    parents = SPACE.sample(np.random.default_rng(1), n)
    children = SPACE.mutate(np.random.default_rng(2), parents)
    changed = children != parents
    assert (changed.sum(axis=1) == 1).all(), "exactly one edge, and never the same operation"
    edge = changed.argmax(axis=1)
    law = np.array([1 / 3, 1 / 6, 1 / 6, 1 / 9, 1 / 9, 1 / 9])
    assert chisquare(np.bincount(edge, minlength=6), n * law).pvalue > 1e-3
    assert chisquare(np.bincount(edge, minlength=6)).pvalue < 1e-6, "the test tells the law from a uniform edge"
    shift = (children[np.arange(n), edge] - parents[np.arange(n), edge]) % 5
    assert chisquare(np.bincount(shift, minlength=5)[1:]).pvalue > 1e-3, "the four other operations are equally likely"


def test_neighbours_are_the_24_at_distance_one() -> None:
    rows = ALL[:200]
    for row, around in zip(rows, SPACE.neighbours(rows), strict=True):
        assert around.shape == (24, 6) and around.dtype == np.int8
        assert ((around != row).sum(axis=1) == 1).all()
        assert len({tuple(r) for r in around.tolist()}) == 24
    expected = [edge for edge in range(6) for _ in range(4)]
    assert (SPACE.neighbours(rows[:1])[0] != rows[0]).argmax(axis=1).tolist() == expected, "edge by edge"


# Published values: millions of parameters and of multiply-accumulates on CIFAR-10, CIFAR-100, ImageNet16-120.
COSTS = {
    1651: ((0.073306, 7.78305), (0.079156, 7.7889), (0.080456, 1.9534)),
    1835: ((0.073306, 7.78305), (0.079156, 7.7889), (0.080456, 1.9534)),
    284: ((0.101306, 11.71521), (0.107156, 11.72106), (0.108456, 2.93644)),
    0: ((0.129306, 15.64737), (0.135156, 15.65322), (0.136456, 3.91948)),
    11472: ((0.559386, 78.56193), (0.565236, 78.56778), (0.566536, 19.64812)),
    11: ((0.802426, 113.95137), (0.808276, 113.95722), (0.809576, 28.49548)),
    6111: ((1.073466, 153.27297), (1.079316, 153.27882), (1.080616, 38.32588)),
    13714: ((1.073466, 153.27297), (1.079316, 153.27882), (1.080616, 38.32588)),
    9930: ((1.288506, 184.73025), (1.294356, 184.7361), (1.295656, 46.1902)),
    1462: ((1.531546, 220.11969), (1.537396, 220.12554), (1.538696, 55.03756)),
}
MACROS = (Macro(classes=10), Macro(classes=100), Macro(classes=120, resolution=16))


@pytest.mark.parametrize("index", COSTS)
def test_parameters_and_flops_are_the_published_ones(index: int) -> None:
    genotype = SPACE.from_index([index])
    for macro, (parameters, flops) in zip(MACROS, COSTS[index], strict=True):
        assert SPACE.parameters(genotype, macro).tolist() == [round(parameters * 1e6)]
        assert SPACE.flops(genotype, macro).tolist() == [round(flops * 1e6)]


@given(genotypes, st.integers(2, 200))
def test_costs_follow_the_closed_form(genotype: Any, classes: int) -> None:
    n1, n3 = int((genotype == 2).sum()), int((genotype == 3).sum())
    macro = Macro(classes=classes)
    assert SPACE.parameters(genotype, macro)[0] == 72_656 + 65 * classes + 28_000 * n1 + 243_040 * n3
    assert SPACE.flops(genotype, macro)[0] == 7_782_400 + 3_932_160 * n1 + 35_389_440 * n3 + 65 * classes


def test_a_graph_shows_edges_and_what_is_undecided() -> None:
    graph = SPACE.graph(np.array([3, 0, -1, -1, -1, -1]))
    assert graph.nodes == ("in", "1", "2", "out")
    assert graph.edges[:3] == ((0, 1, "nor_conv_3x3"), (0, 2, "none"), (1, 2, "?"))
    assert tuple((s, t) for s, t, _ in graph.edges) == EDGES
    for bad in ([0] * 5, [0, 0, 0, 0, 0, 5], [-2, 0, 0, 0, 0, 0]):
        with pytest.raises(InvalidArchitecture, match=r"6 numbers in -1..4; got \["):
            SPACE.graph(np.array(bad))


def test_every_choice_is_allowed_at_every_step() -> None:
    for step in range(6):
        assert SPACE.action_mask(np.zeros((3, 6), np.int8), step).tolist() == [[True] * 5] * 3


def test_the_space_is_the_product_of_its_choices() -> None:
    assert SPACE.choices.tolist() == [5] * 6
    assert {tuple(g) for g in ALL.tolist()} == set(itertools.product(range(5), repeat=6))
    assert all(SPACE.choice_labels(d) == OPERATIONS for d in range(6))
