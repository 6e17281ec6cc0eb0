"""Architecture strings of the topology space, taken apart as the originals do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture

__all__ = ["OPERATIONS", "TopologyStructure", "str2lists", "str2matrix", "topology_str2structure"]

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations in the order of their numbers in `str2matrix`."""
Node = tuple[tuple[str, int], ...]


def str2lists(arch_str: str) -> list[Any]:
    """Return, node by node, its inputs as (operation, number of the node that it comes from)."""
    return [_inputs(text) for text in arch_str.split("+")]


def _inputs(text: str) -> Node:
    inputs = []
    for item in filter(None, text.split("|")):
        operation, separator, source = item.partition("~")
        if not separator or not source.isdecimal():
            raise InvalidArchitecture(f"invalid input: {item!r}: an input is written OPERATION~NODE.")
        inputs.append((operation, int(source)))
    return tuple(inputs)


def str2matrix(arch_str: str, search_space: Sequence[str] = OPERATIONS) -> NDArray[np.float64]:
    """Return ``float64[n, n]``: in row ``i``, column ``j`` the number of the operation from node ``j`` to node ``i``.

    Args:
        arch_str: The architecture string.
        search_space: The operations in the order of their numbers.

    Raises:
        InvalidArchitecture: An operation is not among them; it is a ValueError.
    """
    nodes = str2lists(arch_str)
    matrix = np.zeros((len(nodes) + 1, len(nodes) + 1))
    for target, inputs in enumerate(nodes, start=1):
        for operation, source in inputs:
            if operation not in search_space:
                raise InvalidArchitecture(f"this op ({operation}) is not in {search_space}.")
            matrix[target, source] = list(search_space).index(operation)
    return matrix


class TopologyStructure:
    """A cell: for every node after the first its inputs, as (operation, source).

    Args:
        genotype: The nodes.

    Raises:
        InvalidArchitecture: A node without inputs, or one that reads a later node.
    """

    def __init__(self, genotype: Sequence[Sequence[tuple[str, int]]]) -> None:
        self.nodes: list[Node] = [tuple((str(op), int(source)) for op, source in node) for node in genotype]
        for number, node in enumerate(self.nodes):
            if not node or any(not 0 <= source <= number for _, source in node):
                raise InvalidArchitecture(f"node {number + 1} has no inputs, or one that is not before it: {node}.")
        self.node_num = len(self.nodes) + 1
        self.node_N = [len(node) for node in self.nodes]

    def tolist(self, remove_str: str | None) -> tuple[list[Node] | None, bool]:
        """Return the nodes with sorted inputs without an operation, and whether every node still has one."""
        nodes = [
            tuple(item for item in sorted(node, key=lambda item: (item[1], item[0])) if item[0] != remove_str)
            for node in self.nodes
        ]
        return (nodes, True) if all(nodes) else (None, False)

    def node(self, index: int) -> Node:
        """Return a node by its number, as the original counts: 1 is the second of the list."""
        if not 0 < index < len(self.nodes):
            raise InvalidArchitecture(f"invalid index={index} < {len(self.nodes)}.")
        return self.nodes[index]

    def tostr(self) -> str:
        """Return the architecture string."""
        return "+".join("|" + "|".join(f"{op}~{source}" for op, source in node) + "|" for node in self.nodes)

    def check_valid(self) -> bool:
        """Tell whether the input reaches the last node."""
        reached = [True]
        for node in self.nodes:
            reached.append(any(op != "none" and reached[source] for op, source in node))
        return reached[-1]

    def to_unique_str(self, consider_zero: bool | None = False) -> str:
        """Return a string that is the same for cells that the original takes for isomorphic.

        Args:
            consider_zero: True: ``none`` and what only reads zeros count as zero; False: only skips are looked
                through; None: every operation counts as it is.
        """
        names = ["0"]
        for node in self.nodes:
            names.append("+".join(sorted(_name(op, names[source], consider_zero) for op, source in node)))
        return names[-1]

    def check_valid_op(self, op_names: Sequence[str]) -> bool:
        """Tell whether all operations are among some."""
        return all(op in op_names for node in self.nodes for op, _ in node)

    @staticmethod
    def str2structure(xstr: str | TopologyStructure) -> TopologyStructure:
        """Return the cell that a string describes."""
        return xstr if isinstance(xstr, TopologyStructure) else TopologyStructure(str2lists(xstr))

    @staticmethod
    def str2fullstructure(xstr: str, default_name: str = "none") -> TopologyStructure:
        """Return the cell that a string describes, with an operation wherever it names no input."""
        nodes = []
        for number, node in enumerate(str2lists(xstr)):
            sources = {source for _, source in node}
            missing = [(default_name, source) for source in range(number) if source not in sources]
            nodes.append(sorted([*node, *missing], key=lambda item: (item[1], item[0])))
        return TopologyStructure(nodes)

    @staticmethod
    def gen_all(search_space: Sequence[str], num: int, return_ori: bool) -> list[Any]:
        """Return all cells of ``num`` nodes, as lists of nodes or (``return_ori`` False) as structures."""
        if num < 2:
            raise InvalidArchitecture(f"a cell has at least two nodes; got {num}.")
        by_node = [
            [tuple(zip(ops, range(node), strict=True)) for ops in product(search_space, repeat=node)]
            for node in range(1, num)
        ]
        cells = [list(nodes) for nodes in product(*by_node)]
        return cells if return_ori else [TopologyStructure(nodes) for nodes in cells]

    def __repr__(self) -> str:
        """Return the form of the original."""
        return f"{type(self).__name__}({self.node_num} nodes with {self.tostr()})"

    def __len__(self) -> int:
        return len(self.nodes) + 1

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]


def _name(op: str, source: str, consider_zero: bool | None) -> str:
    if consider_zero and (op == "none" or source == "#"):
        return "#"
    return source if consider_zero is not None and op == "skip_connect" else f"({source})@{op}"


def topology_str2structure(xstr: str) -> TopologyStructure:
    """Return the cell that a string describes."""
    return TopologyStructure.str2structure(xstr)
