"""Classes of equal NAS-Bench-201 cells: published counts, and the canonical form against a numerical experiment."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from nasgym.spaces import NB201
from nasgym.spaces.nb201 import EDGES
from nasgym.spaces.nb201_classes import Rule, class_labels, expression

SPACE = NB201()
ALL = SPACE.from_index(np.arange(SPACE.size))
ALL_NONE = 1651

STAND_INS: tuple[Callable[[float], float], ...] = (
    lambda x: 0.0,
    lambda x: x,
    lambda x: math.tanh(1.7 * x),
    lambda x: math.sinh(0.6 * x),
    lambda x: math.sin(0.9 * x),
)
"""none, skip and three unlike non-linear functions of zero at zero, in the place of trained operations."""


def output(genotype: Sequence[int], x: float) -> float:
    nodes = [x, 0.0, 0.0, 0.0]
    for (source, target), op in zip(EDGES, genotype, strict=True):
        nodes[target] += STAND_INS[op](nodes[source])
    return nodes[3]


def has_path(genotype: Sequence[int]) -> bool:
    reached = {0}
    for (source, target), op in zip(EDGES, genotype, strict=True):
        if op != 0 and source in reached:
            reached.add(target)
    return 3 in reached


@pytest.mark.parametrize(
    ("rule", "count"), [("plain", 15_625), ("skips", 12_751), ("official", 6_466), ("canonical", 5_773)]
)
def test_the_number_of_classes_is_the_published_one(rule: Rule, count: int) -> None:
    assert len(np.unique(class_labels(rule))) == count


@pytest.mark.parametrize("rule", ["plain", "skips", "official", "canonical"])
def test_a_label_is_the_lowest_index_of_its_class(rule: Rule) -> None:
    labels = class_labels(rule)
    assert np.array_equal(labels[labels], labels)
    assert (labels <= np.arange(SPACE.size)).all()
    assert not labels.flags.writeable


def test_341_cells_are_dead_and_form_one_class() -> None:
    canonical = SPACE.canonical(ALL)
    dead = np.array([not has_path(g) for g in ALL.tolist()])
    assert dead.sum() == 341
    assert np.array_equal(canonical == canonical[ALL_NONE], dead)


def test_canonical_is_idempotent() -> None:
    canonical = SPACE.canonical(ALL)
    assert np.array_equal(SPACE.canonical(SPACE.from_index(canonical)), canonical)
    assert np.array_equal(SPACE.canonical(ALL[5:9]), canonical[5:9])


def test_members_of_a_class_compute_the_same_function() -> None:
    canonical = SPACE.canonical(ALL)
    values = np.array([[output(g, x) for x in (0.37, -0.81)] for g in ALL.tolist()])
    np.testing.assert_allclose(values, values[canonical], rtol=1e-12, atol=1e-12)
    distinct = len(np.unique(np.round(values, 9), axis=0))
    assert distinct == 4_930, "joined further only by flattening sums, as the docstring of Rule says"


@pytest.mark.parametrize(
    ("ops", "text"),
    [
        (["none"] * 6, "#"),
        (["skip_connect", "none", "none", "none", "skip_connect", "none"], "0"),
        (["nor_conv_3x3", "none", "skip_connect", "none", "none", "skip_connect"], "(0)@nor_conv_3x3"),
        (["none", "none", "nor_conv_1x1", "skip_connect", "nor_conv_3x3", "none"], "0"),
    ],
)
def test_expressions_by_hand(ops: list[str], text: str) -> None:
    assert expression(ops) == text


def test_swapping_the_two_inner_nodes_keeps_the_class() -> None:
    """Without an edge 1→2 the inner nodes are interchangeable; the published rule does not see that."""
    apart = ALL[ALL[:, 2] == 0]
    swapped = apart[:, [1, 0, 2, 3, 5, 4]]
    assert np.array_equal(SPACE.canonical(apart), SPACE.canonical(swapped))
    official = class_labels("official")
    assert not np.array_equal(official[SPACE.index(apart)], official[SPACE.index(swapped)])
