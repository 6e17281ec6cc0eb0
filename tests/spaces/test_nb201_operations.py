"""What a cell really computes, against a plain walk through the cell from its output."""

import itertools
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.spaces import NB201
from nasgym.spaces.nb201 import EDGES, OPERATIONS
from nasgym.spaces.nb201_operations import OPERATION_NAMES

SPACE = NB201()


def walked(genotype: list[int]) -> Counter[str]:
    """Count by asking each node for its terms, starting at the output: what nobody asks for is not computed."""
    ops = {edge: OPERATIONS[op] for edge, op in zip(EDGES, genotype, strict=True)}
    asked: dict[int, list[tuple[int, str]]] = {}

    def is_zero(node: int) -> bool:
        return node != 0 and not terms(node)

    def terms(node: int) -> list[tuple[int, str]]:
        found = []
        for source in range(node):
            op = ops[source, node]
            if op != "none" and not (is_zero(source) and "conv" not in op):
                found.append((source, "bias" if is_zero(source) else op))
        return found

    def depends(node: int) -> bool:
        return node == 0 or any(op != "bias" and depends(source) for source, op in terms(node))

    def ask(node: int) -> None:
        if node and node not in asked:
            asked[node] = terms(node)
            for source, op in asked[node]:
                if op != "bias":
                    ask(source)

    ask(3)
    counts: Counter[str] = Counter(flow=int(depends(3)))
    for found in asked.values():
        if [op for _, op in found] != ["skip_connect"]:
            counts.update(op for _, op in found)
        counts["sum"] += max(0, len(found) - 1)
    counts["relu"] = len({source for found in asked.values() for source, op in found if "conv" in op})
    return counts


def test_every_cell_is_counted_as_walked() -> None:
    every = np.array(list(itertools.product(range(5), repeat=6)), dtype=np.int8)
    counts = SPACE.computed_operations(every)
    assert counts.dtype == np.int64
    for row, found in zip(every.tolist(), counts.tolist(), strict=True):
        expected = walked(row)
        assert dict(zip(OPERATION_NAMES, found, strict=True)) == {name: expected[name] for name in OPERATION_NAMES}, row


@given(st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_no_cell_computes_more_than_its_edges(genotype: list[int]) -> None:
    counts = dict(
        zip(SPACE.operation_names(), SPACE.computed_operations(np.array([genotype]))[0].tolist(), strict=True)
    )
    listed = Counter(OPERATIONS[op] for op in genotype)
    for name in OPERATIONS[1:]:
        assert counts[name] <= listed[name]
    assert (
        counts["bias"] + counts["nor_conv_3x3"] + counts["nor_conv_1x1"]
        <= listed["nor_conv_3x3"] + listed["nor_conv_1x1"]
    )
    assert counts["relu"] <= counts["nor_conv_3x3"] + counts["nor_conv_1x1"]
    assert counts["sum"] <= sum(listed[name] for name in OPERATIONS[1:])


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", {}),
        # a single skip is its source itself
        ("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", {"flow": 1}),
        # node 1 reaches nothing, node 2 is without input
        ("|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|skip_connect~2|", {"avg_pool_3x3": 1, "flow": 1}),
        # a convolution of zero is a bias, and the next one computes
        (
            "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_1x1~2|",
            {"bias": 1, "nor_conv_1x1": 1, "relu": 1},
        ),
        # two values meet at node 2, three at the output; node 0 is rectified once
        (
            "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|",
            {
                "nor_conv_3x3": 1,
                "nor_conv_1x1": 2,
                "avg_pool_3x3": 1,
                "skip_connect": 2,
                "relu": 2,
                "sum": 3,
                "flow": 1,
            },
        ),
    ],
)
def test_cells_by_hand(cell: str, expected: dict[str, int]) -> None:
    found = SPACE.computed_operations(SPACE.from_str([cell]))[0].tolist()
    assert dict(zip(OPERATION_NAMES, found, strict=True)) == {name: expected.get(name, 0) for name in OPERATION_NAMES}


def test_the_whole_space_is_counted_in_milliseconds() -> None:
    every = SPACE.from_index(np.arange(SPACE.size))
    start = time.process_time()
    SPACE.computed_operations(every)
    assert time.process_time() - start < 0.1
