"""What `computed_operations` counts is what the program of the compiled kernels computes."""

import numpy as np
import pytest

from nasgym.networks.bundle_cells import live_edges
from nasgym.spaces import NB201, Macro
from nasgym.training.bundle_nb201 import nb201_program
from nasgym.training.bundle_program import Program
from nasgym.training.bundle_values import Op

SPACE = NB201()
MACRO = Macro(channels=4, cells_per_stage=1, classes=3, in_channels=1, resolution=8)  # three cells
ZERO = [0] * 6
INTO = {Op.CONV: 10, Op.GATHER: 7, Op.COPY: 4, Op.BIAS: 5}  # where an operation says that it adds to a value


def of(ops: np.ndarray, kind: Op) -> int:
    return int((ops[:, 0] == kind).sum())


def counted(program: Program) -> dict[str, int]:
    """Return the operations of all three cells, and of the rest of the network."""
    fold = program.fold[program.fold[:, 0] == Op.FOLD]  # weight, rows (taps times inputs), outputs, ...
    return {
        "nor_conv_3x3": int((fold[:, 2] == 9 * fold[:, 3]).sum()),
        "nor_conv_1x1": int((fold[:, 2] == fold[:, 3]).sum()),
        "avg_pool_3x3": of(program.evaluate, Op.GATHER),
        "skip_connect": of(program.evaluate, Op.COPY),
        "relu": of(program.evaluate, Op.RELU),
        "sum": sum(int((program.evaluate[program.evaluate[:, 0] == op][:, at] != 0).sum()) for op, at in INTO.items()),
        "bias": of(program.evaluate, Op.BIAS),
    }


def cells() -> list[list[int]]:
    known = [ZERO, [0, 0, 0, 1, 0, 0], [0, 0, 3, 0, 0, 2], [0, 0, 0, 0, 0, 3], [3] * 6, [1] * 6, [4] * 6]
    return known + SPACE.sample(np.random.default_rng(5), 250).tolist()


@pytest.mark.parametrize("part", range(4))
def test_counts_are_those_of_the_program(part: int) -> None:
    rest = counted(nb201_program(ZERO, MACRO, 32))
    for row in cells()[part::4]:
        program = nb201_program(row, MACRO, 32)
        found = {name: (n - rest[name]) / 3 for name, n in counted(program).items()}
        expected = dict(zip(SPACE.operation_names(), SPACE.computed_operations(np.array([row]))[0], strict=True))
        flow = expected.pop("flow")
        assert found == expected, row
        convs = expected["nor_conv_3x3"] + expected["nor_conv_1x1"]
        # stem, three convolutions of each of two blocks, classifier; without a flow only the last cell is trained
        assert of(program.train, Op.CONV_GRADIENT) == (8 + 3 * convs if flow else 1 + convs), row


def test_counts_agree_with_the_edges_that_networks_keep() -> None:
    for row in cells():
        counts = dict(zip(SPACE.operation_names(), SPACE.computed_operations(np.array([row]))[0], strict=True))
        work = [edge.work for edge in live_edges(row)]
        for name, kind in (("nor_conv_3x3", "conv3"), ("nor_conv_1x1", "conv1"), ("avg_pool_3x3", "pool")):
            assert counts[name] == work.count(kind), row
        assert counts["bias"] == work.count("bias"), row
        nodes = {edge.target for edge in live_edges(row)}
        assert counts["sum"] == len(work) - len(nodes), row
