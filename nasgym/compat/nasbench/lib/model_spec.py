"""Modules as matrix and operations, pruned; the module of that name of the original."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib import import_module
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasgym.compat.nasbench.lib.graph_util import hash_module
from nasgym.errors import InvalidArchitecture, InvalidSetting

__all__ = ["ModelSpec", "is_upper_triangular"]


class ModelSpec:
    """A module, with everything pruned that lies on no path from its input to its output.

    Args:
        matrix: The edges: lists or an array of numbers, of any size, strictly upper triangular.
        ops: The operation of each vertex: a list, a tuple or an array. Those of the first and the last vertex are
            not looked at here.
        data_format: ``channels_last`` or ``channels_first``; kept.

    Attributes:
        original_matrix: The matrix as given, a copy.
        original_ops: The operations as given, a copy.
        matrix: What is left of it after pruning, or None where no path leads to the output.
        ops: The operations that are left, a list, or None.
        valid_spec: Whether a path leads to the output.

    Raises:
        InvalidArchitecture: The matrix is not square, not upper triangular or not of numbers, or there are more or
            fewer operations than vertices; a ValueError.
    """

    def __init__(self, matrix: ArrayLike, ops: Sequence[str], data_format: str = "channels_last") -> None:
        self.original_matrix: NDArray[Any] = _square(matrix)
        _check_ops(ops)
        if len(self.original_matrix) != len(ops):
            raise InvalidArchitecture(
                f"length of ops must match matrix dimensions: {len(self.original_matrix)} vertices, {len(ops)} ops."
            )
        rows = self.original_matrix.tolist()
        if any(any(row[: at + 1]) for at, row in enumerate(rows)):
            raise InvalidArchitecture(f"matrix must be upper triangular, edges lead to later vertices; got {rows}.")
        self.original_ops = copy.copy(ops)
        self.data_format = data_format
        self.matrix: Any = None
        self.ops: Any = None
        kept = _kept(rows)
        self.valid_spec = len(kept) >= 2
        if self.valid_spec:
            whole = len(kept) == len(rows)
            self.matrix = self.original_matrix.copy() if whole else self.original_matrix[kept][:, kept]
            self.ops = list(ops) if whole else [ops[v] for v in kept]

    def hash_spec(self, canonical_ops: Sequence[str]) -> str:
        """Return the hash of the pruned module, 32 hexadecimal digits.

        Args:
            canonical_ops: All operations in their published order, ``config["available_ops"]``.

        Raises:
            InvalidArchitecture: An operation is not among them, or no path leads to the output; a ValueError.
        """
        if not self.valid_spec:
            raise InvalidArchitecture("a graph that is disconnected has no hash: no path leads to the output.")
        numbers = {op: number for number, op in enumerate(canonical_ops)}
        unknown = [op for op in self.ops[1:-1] if op not in numbers]
        if unknown:
            raise InvalidArchitecture(f"{unknown[0]!r} is none of the operations {', '.join(canonical_ops)}.")
        return hash_module(self.matrix, [-1, *(numbers[op] for op in self.ops[1:-1]), -2])

    def visualize(self) -> Any:
        """Return the pruned module as a ``graphviz.Digraph``, which notebooks show.

        Raises:
            InvalidArchitecture: No path leads to the output, so nothing is left of it.
            InvalidSetting: The package graphviz is not installed.
        """
        if not self.valid_spec:
            raise InvalidArchitecture("a graph that is disconnected has no picture: pruning leaves nothing of it.")
        try:
            graph = import_module("graphviz").Digraph()
        except ImportError as error:
            raise InvalidSetting(
                "visualize() draws with the package graphviz, which is not installed: `pip install graphviz`, or "
                "render the cell in the environment nasgym/NB101-v0, which draws with matplotlib."
            ) from error
        for vertex, op in enumerate(["input", *self.ops[1:-1], "output"]):
            graph.node(str(vertex), op)
        for source, target in np.argwhere(self.matrix).tolist():
            graph.edge(str(source), str(target))
        return graph


def is_upper_triangular(matrix: NDArray[Any]) -> bool:
    """Tell whether a matrix is 0 on its diagonal and below."""
    return not np.tril(matrix).any()


def _square(matrix: ArrayLike) -> NDArray[Any]:
    try:
        array = np.array(matrix)
    except ValueError as error:
        raise InvalidArchitecture(f"matrix must be square: rows of one length; got {matrix!r}.") from error
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise InvalidArchitecture(f"matrix must be square; got the shape {array.shape}.")
    if array.dtype.kind == "O" and all(isinstance(entry, (Real, np.bool_)) for entry in array.flat):
        array = np.array(array.tolist())
    if array.dtype.kind not in "biuf":
        raise InvalidArchitecture(f"matrix must be of numbers; got {array.tolist()}.")
    return array


def _check_ops(ops: Any) -> None:
    """Raise `InvalidArchitecture` unless ``ops`` is a row of operations; which there are is checked elsewhere."""
    try:
        hash(tuple(ops))
    except TypeError as error:
        raise InvalidArchitecture(f"ops must be a row of one operation for each vertex; got {ops!r}.") from error


def _kept(rows: list[list[Any]]) -> list[int]:
    """Return the vertices on a path from the first to the last: edges lead to later ones, so one pass tells each."""
    size = len(rows)
    reached, leading = [v == 0 for v in range(size)], [v == size - 1 for v in range(size)]
    for v, row in enumerate(rows):
        if reached[v]:
            for w in range(v + 1, size):
                if row[w]:
                    reached[w] = True
    for v in range(size - 2, -1, -1):
        leading[v] = any(row_w and leading[w] for w, row_w in enumerate(rows[v]))
    return [v for v in range(size) if reached[v] and leading[v]]
