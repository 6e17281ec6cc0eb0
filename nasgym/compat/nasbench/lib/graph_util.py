"""Labelled graphs: hashes, orders of vertices, isomorphism; the module of that name of the original."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasgym.errors import InvalidArchitecture
from nasgym.spaces.nb101.graphs import hash_graph

__all__ = ["gen_is_edge_fn", "hash_module", "is_full_dag", "is_isomorphic", "num_edges", "permute_graph"]


def gen_is_edge_fn(bits: int) -> Callable[..., Any]:
    """Return the function that tells which edges a matrix has, of its bits, for `numpy.fromfunction`.

    The edge from ``x`` to ``y`` is bit ``x + y (y - 1) / 2``, whatever the number of vertices.
    """

    def is_edge(x: int, y: int) -> int:
        bit = int(x) + int(y) * (int(y) - 1) // 2
        return bits >> bit & 1 if x < y else 0

    return np.vectorize(is_edge, otypes=[np.int64])


def is_full_dag(matrix: ArrayLike) -> bool:
    """Tell whether every vertex but the last has an edge out and every vertex but the first an edge in."""
    edges = np.asarray(matrix) != 0
    return bool(edges[:-1].any(axis=1).all() and edges[:, 1:].any(axis=0).all())


def num_edges(matrix: ArrayLike) -> Any:
    """Return the number of edges."""
    return np.sum(np.asarray(matrix))


def hash_module(matrix: ArrayLike, labeling: Sequence[int]) -> str:
    """Return the hash of a labelled graph, 32 hexadecimal digits; it does not depend on the order of the vertices.

    Args:
        matrix: The edges, of any size and number type.
        labeling: A number for each vertex: -1 for the input, -2 for the output, else that of the operation.

    Raises:
        InvalidArchitecture: The matrix is not square, or has more or fewer rows than there are labels; a ValueError.
    """
    array = np.asarray(matrix)
    if array.shape != (len(labeling), len(labeling)):
        raise InvalidArchitecture(f"{len(labeling)} labels need a matrix of as many rows; got the shape {array.shape}.")
    return hash_graph(array, labeling)


def permute_graph(graph: ArrayLike, label: Sequence[Any], permutation: Sequence[int]) -> tuple[NDArray[Any], list[Any]]:
    """Return the graph in which vertex ``permutation[v]`` is vertex ``v`` of the old one, and its labels."""
    old = np.argsort(permutation)
    return (np.asarray(graph) == 1)[old][:, old], [label[v] for v in old.tolist()]


def is_isomorphic(graph1: tuple[ArrayLike, Sequence[Any]], graph2: tuple[ArrayLike, Sequence[Any]]) -> bool:
    """Tell whether an order of the vertices makes two graphs, each a matrix and labels, equal.

    Vertices are placed one by one, and only where label and edges agree, instead of all orders being tried.
    """
    (edges1, label1), (edges2, label2) = ((np.asarray(matrix) == 1, list(label)) for matrix, label in (graph1, graph2))
    if edges1.shape != edges2.shape or len(label1) != len(label2):
        return False
    v_all = len(label1)

    def extended(place: list[int]) -> bool:
        v = len(place)
        if v == v_all:
            return True
        return any(fits(v, [*place, w]) and extended([*place, w]) for w in range(v_all) if w not in place)

    def fits(v: int, place: list[int]) -> bool:
        same = label1[v] == label2[place[v]]
        out = (edges1[v, : v + 1] == edges2[place[v], place]).all()
        return bool(same and out and (edges1[: v + 1, v] == edges2[place, place[v]]).all())

    return extended([])
