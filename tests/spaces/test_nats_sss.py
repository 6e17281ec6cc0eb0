"""The size space of NATS-Bench: order, strings, mutation law, neighbours and costs against published values."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nasgym.errors import InvalidArchitecture
from nasgym.recipes import DATASETS, default_recipe, get_recipe
from nasgym.spaces import NB201, Macro, NatsSSS
from nasgym.spaces.nats_sss import CELL, CHANNELS, LAYERS, OFFICIAL_ORDER_SHA256

SPACE = NatsSSS()
ALL = SPACE.from_index(np.arange(SPACE.size))
genotypes = st.lists(st.integers(0, 7), min_size=5, max_size=5).map(lambda g: np.array([g], dtype=np.int8))


def test_the_order_is_the_official_one() -> None:
    assert OFFICIAL_ORDER_SHA256 == "8b99b4c0aabe959924c6fb36c0ee4a3f79362343e36b7752b90deee9409b492f"
    assert hashlib.sha256("\n".join(SPACE.to_str(ALL)).encode()).hexdigest() == OFFICIAL_ORDER_SHA256
    assert np.array_equal(SPACE.index(ALL), np.arange(32_768)) and ALL.dtype == np.int8
    named = {0: "8:8:8:8:8", 11: "8:8:8:16:32", 284: "8:8:40:32:40", 32_767: "64:64:64:64:64"}
    assert SPACE.to_str(SPACE.from_index(list(named))) == list(named.values())


def test_the_cell_is_the_published_one() -> None:
    assert NB201().index(NB201().from_str([CELL])).tolist() == [9930]


@given(genotypes)
def test_strings_round_trip(genotype: Any) -> None:
    strings = SPACE.to_str(genotype)
    assert strings == [":".join(str(8 * (number + 1)) for number in genotype[0])]
    assert np.array_equal(SPACE.from_str(strings), genotype)
    assert np.array_equal(SPACE.from_str([f"  {strings[0]}\n"]), genotype)


@given(st.text(alphabet=":0123456789 ", max_size=16))
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
        ("", "'' has 1 numbers joined by ':', nats-sss has 5: 8:16"),
        ("8:8:8:8", "has 4 numbers joined by ':', nats-sss has 5"),
        ("8:8:8:8:8:8", "has 6 numbers"),
        ("8:8:8:8:12", "'12' in '8:8:8:8:12' is none of the sizes 8, 16, 24, 32, 40, 48, 56, 64"),
        ("8:8:08:8:8", "'08' in '8:8:08:8:8' is none of the sizes"),
        ("8:8: 8:8:8", "' 8' in '8:8: 8:8:8' is none of the sizes"),
        (17, "a nats-sss architecture is a string; got int 17"),
    ],
)
def test_a_bad_string_is_refused_with_the_fault(string: Any, message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        SPACE.from_str(["8:8:8:8:8", string])


def test_other_bad_arguments_are_refused_with_the_fault() -> None:
    with pytest.raises(InvalidArchitecture, match="takes a list of architecture strings"):
        SPACE.from_str("8:8:8:8:8")
    with pytest.raises(InvalidArchitecture, match="index 32768 is outside 0..32767"):
        SPACE.from_index([0, 32_768])
    with pytest.raises(InvalidArchitecture, match=r"in 0..7; got \[0, 0, 8, 0, 0\]"):
        SPACE.to_str(np.array([[0, 0, 8, 0, 0]]))
    assert SPACE.is_valid(np.array([[0, 1, 2, 7, 4], [0, 0, 8, 0, 0], [-1, 0, 0, 0, 0]])).tolist() == [
        True,
        False,
        False,
    ]
    assert not SPACE.is_valid(np.array([[256, 0, 0, 0, 0], [-256, 0, 0, 0, 0]])).any()


def test_samples_are_uniform() -> None:
    drawn = SPACE.sample(np.random.default_rng(0), 40_000)
    for layer in range(5):
        assert chisquare(np.bincount(drawn[:, layer], minlength=8)).pvalue > 1e-3
    assert chisquare(np.bincount(drawn[:, 0].astype(int) * 8 + drawn[:, 4], minlength=64)).pvalue > 1e-3


def test_a_mutation_gives_one_layer_another_size() -> None:
    n = 40_000
    parents = SPACE.sample(np.random.default_rng(1), n)
    children = SPACE.mutate(np.random.default_rng(2), parents)
    changed = children != parents
    assert (changed.sum(axis=1) == 1).all()
    layer = changed.argmax(axis=1)
    assert chisquare(np.bincount(layer, minlength=5)).pvalue > 1e-3
    shift = (children[np.arange(n), layer] - parents[np.arange(n), layer]) % 8
    assert chisquare(np.bincount(shift, minlength=8)[1:]).pvalue > 1e-3


def test_neighbours_are_the_35_at_distance_one() -> None:
    rows = ALL[:: 32_768 // 100]
    for row, around in zip(rows, SPACE.neighbours(rows), strict=True):
        assert around.shape == (35, 5) and around.dtype == np.int8
        assert ((around != row).sum(axis=1) == 1).all()
        assert len({tuple(r) for r in around.tolist()}) == 35


# Values of the published files, by classes and side of the images: parameters and multiply-accumulates.
DATA = {"cifar10": (10, 32), "cifar100": (100, 32), "imagenet16-120": (120, 16)}
COSTS = {
    "8:8:8:8:8": {"cifar10": (11714, 4481114), "cifar100": (12524, 4481924), "imagenet16-120": (12704, 1121336)},
    "8:8:8:16:32": {"cifar10": (49202, 6840650), "cifar100": (52172, 6843620), "imagenet16-120": (52832, 1714040)},
    "8:8:40:32:40": {
        "cifar10": (144834, 21827994),
        "cifar100": (148524, 21831684),
        "imagenet16-120": (149344, 5461816),
    },
}


@pytest.mark.parametrize("dataset", DATA)
@pytest.mark.parametrize("string", COSTS)
def test_parameters_and_flops_are_the_published_ones(string: str, dataset: str) -> None:
    classes, side = DATA[dataset]
    assert (DATASETS[dataset].classes, DATASETS[dataset].resolution) == (classes, side)
    macro = get_recipe(default_recipe(dataset, "nats-sss")).macro(classes, 3, side)
    genotype = SPACE.from_str([string])
    assert (SPACE.parameters(genotype, macro)[0], SPACE.flops(genotype, macro)[0]) == COSTS[string][dataset]


def test_a_macro_of_other_channels_scales_every_layer() -> None:
    every = np.arange(8)[:, None].repeat(5, axis=1)
    assert SPACE.widths(every, Macro(channels=16))[:, 2].tolist() == list(CHANNELS)
    assert SPACE.widths(every, Macro(channels=8))[:, 0].tolist() == [4, 8, 12, 16, 20, 24, 28, 32]
    assert SPACE.widths(every, Macro(channels=1))[:, 4].tolist() == [1, 1, 2, 2, 3, 3, 4, 4], "rounded up"
    assert SPACE.widths(np.array([[0, 1, 2, 3, 7]]), Macro(channels=32)).tolist() == [[16, 32, 48, 64, 128]]


def test_operations_are_those_that_flops_count() -> None:
    """Per pixel of its layer, the multiply-accumulates are the FLOPs without stem and classifier."""
    counts = dict(zip(SPACE.operation_names(), SPACE.computed_operations(ALL).T, strict=True))
    sides = dict(zip(LAYERS, (16, 8, 8, 4, 4), strict=True))
    layers = sum(side**2 * counts[f"{layer} multiply-accumulates"] for layer, side in sides.items())
    widths = SPACE.widths(ALL, Macro())
    ends = 27 * widths[:, 0] * 16**2 + 10 * widths[:, 4] + 10
    assert np.array_equal(layers + ends, SPACE.flops(ALL, Macro(cells_per_stage=1, resolution=16)))
    norms = sum(counts[f"{layer} norms"] for layer in LAYERS) + widths[:, 0] + widths[:, 4]
    convolutions = sum(counts[f"{layer} multiply-accumulates"] for layer in LAYERS) + 27 * widths[:, 0]
    parameters = convolutions + 2 * norms + 10 * widths[:, 4] + 10
    assert np.array_equal(parameters, SPACE.parameters(ALL, Macro(cells_per_stage=1)))


def test_a_graph_is_a_chain_of_channels() -> None:
    graph = SPACE.graph(np.array([0, 7, -1, -1, -1]))
    assert graph.nodes == ("image", *LAYERS, "classes")
    assert [(s, t) for s, t, _ in graph.edges] == [(i, i + 1) for i in range(6)]
    assert [label for _, _, label in graph.edges] == ["", "8", "64", "?", "?", "?"]
    for bad in ([0] * 4, [0, 0, 0, 0, 8], [-2, 0, 0, 0, 0]):
        with pytest.raises(InvalidArchitecture, match=r"5 numbers in -1..7; got \["):
            SPACE.graph(np.array(bad))


def test_the_default_recipe_of_published_data_is_the_published_one_of_the_space() -> None:
    for dataset in ("cifar10", "cifar100", "imagenet16-120", "imagefolder:/data/birds"):
        assert default_recipe(dataset, "nats-sss") == "nats-sss-12"
        assert default_recipe(dataset, "nb201") == default_recipe(dataset) == "nb201-12"
    assert default_recipe("cluttered-digits", "nats-sss") == default_recipe("cluttered-digits", "nb201")
    assert [get_recipe(f"nats-sss-{epochs}").epochs for epochs in ("01", "12", "90")] == [1, 12, 90]
