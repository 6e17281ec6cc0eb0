"""The published hash of a module (`nasgym.spaces.nb101.graphs.hash_graph`), for many pruned cells at once.

In each round of the hash a vertex takes the md5 of its neighbours' hashes. Vertices that see the same are computed
once: what a vertex sees is told by a sum of random 64-bit numbers, one for each hash and direction, drawn with a fixed
seed. Messages are laid out as bytes by numpy; only md5 itself is called once for each.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasgym.spaces.nb101.codes import LABEL_PLACES, Codes, columns_of
from nasgym.spaces.nb101.graphs import INPUT_LABEL, MAX_VERTICES, OUTPUT_LABEL

__all__ = ["DIGEST", "Digests", "hash_cells"]

DIGEST = 16
"""Bytes of a hash: its 32 hexadecimal digits are two for each."""
Digests = NDArray[np.uint8]
"""Hashes as bytes, ``uint8[n, 16]``; their order is that of their hexadecimal digits."""
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint8).reshape(256, 2)
_CHUNK = 1 << 14  # cells that are hashed at once: they stay in the processor's cache


def hash_cells(
    codes: Codes,
    labels: NDArray[np.int32],
    vertices: NDArray[np.integer],
    progress: Callable[[int, int], None] = lambda done, size: None,
) -> Digests:
    """Return the hashes of cells without loose vertices.

    Args:
        codes: Their matrices, ``int32[n]``.
        labels: Their operations in base 3, ``int32[n]``.
        vertices: Vertices of each, input and output included, ``int[n]``.
        progress: Called now and then with the cells done and all of them.
    """
    digests, done = np.empty((len(codes), DIGEST), dtype=np.uint8), 0
    for v in range(2, MAX_VERTICES + 1):
        of_size = np.flatnonzero(vertices == v)
        for at in range(0, len(of_size), _CHUNK):
            rows = of_size[at : at + _CHUNK]
            digests[rows] = _hash_cells_of_one_size(codes[rows], labels[rows], v)
            progress(done := done + len(rows), len(codes))
    return digests


class _Hashes(NamedTuple):
    """The hash of each vertex: ``of[g, v]`` is a row of ``hexes`` and ``order``.

    Comparing the first eight bytes orders hashes: among a cell's few, equal ones there are equal everywhere.
    """

    of: NDArray[np.int64]
    hexes: NDArray[np.uint8]
    order: NDArray[np.uint64]

    @classmethod
    def made(cls, of: NDArray[np.int64], digests: Digests) -> _Hashes:
        order = np.ascontiguousarray(digests[:, :8]).view(">u8").ravel().astype(np.uint64)
        return cls(of, _HEX[digests].reshape(-1, 2 * DIGEST), order)

    def sorted(self, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the digits of each row of hashes, in order, ``uint8[n, k, 32]`` for ``int64[n, k]``."""
        if ids.shape[1] > 1:
            ids = np.take_along_axis(ids, np.argsort(self.order[ids], axis=1), axis=1)
        return self.hexes[ids]


def _hash_cells_of_one_size(codes: Codes, labels: NDArray[np.int32], vertices: int) -> Digests:
    into = np.stack([c[:, None] >> np.arange(vertices) & 1 for c in columns_of(codes)[:vertices]], axis=1) != 0
    hashes = _first_hashes(into, labels)  # into[g, v, u]: an edge from u to v
    for _ in range(vertices):
        hashes = _next_hashes(into, hashes)
    quoted = np.full((len(codes), vertices, 2 * DIGEST + 4), ord("'"), dtype=np.uint8)  # 'digits', 'digits', ...
    quoted[:, :, 1 : 2 * DIGEST + 1] = hashes.sorted(hashes.of)
    quoted[:, :, 2 * DIGEST + 2 :] = np.frombuffer(b", ", dtype=np.uint8)
    listed = quoted.reshape(len(codes), -1)[:, :-2]
    bracket = np.full((len(codes), 1), ord("["), dtype=np.uint8)
    return _md5_of_rows(np.hstack([bracket, listed, bracket + np.uint8(ord("]") - ord("["))]))


def _first_hashes(into: NDArray[np.bool_], labels: NDArray[np.int32]) -> _Hashes:
    n, vertices = into.shape[:2]
    kinds = np.full((n, vertices), INPUT_LABEL, dtype=np.int64)
    kinds[:, 1:-1] = labels[:, None] // LABEL_PLACES[: vertices - 2] % 3
    kinds[:, -1] = OUTPUT_LABEL
    seen = np.stack([into.sum(axis=1), into.sum(axis=2), kinds], axis=2).reshape(-1, 3)  # out, in, label
    keys = seen @ [100, 10, 1]
    _, where, which = np.unique(keys, return_index=True, return_inverse=True)
    digests = [md5(str(tuple(row)).encode(), usedforsecurity=False).digest() for row in seen[where].tolist()]
    return _Hashes.made(which.reshape(n, vertices), np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST))


def _next_hashes(into: NDArray[np.bool_], hashes: _Hashes) -> _Hashes:
    n, vertices = hashes.of.shape
    keys = _views(into, hashes.of)
    _, where, which = np.unique(keys, return_index=True, return_inverse=True)
    cell, vertex = np.divmod(where, vertices)
    sources, targets = into[cell, vertex], into[cell, :, vertex]
    size = sources.sum(axis=1) * vertices + targets.sum(axis=1)
    digests = np.empty((len(where), DIGEST), dtype=np.uint8)
    for one in np.unique(size).tolist():
        rows = np.flatnonzero(size == one)
        around = hashes.of[cell[rows]]
        before = hashes.sorted(around[sources[rows]].reshape(len(rows), -1))
        behind = hashes.sorted(around[targets[rows]].reshape(len(rows), -1))
        own = hashes.hexes[hashes.of[cell[rows], vertex[rows]]]
        bar = np.full((len(rows), 1), ord("|"), dtype=np.uint8)
        flat = [before.reshape(len(rows), -1), bar, behind.reshape(len(rows), -1), bar, own]
        digests[rows] = _md5_of_rows(np.hstack(flat))
    return _Hashes.made(which.reshape(n, vertices), digests)


def _views(into: NDArray[np.bool_], of: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return what each vertex sees as one number, ``uint64[n * vertices]``: its own hash, and those on either side."""
    n, vertices = of.shape
    rng = np.random.default_rng(101)
    own, before, behind = rng.integers(0, 2**64, size=(3, int(of.max(initial=0)) + 1), dtype=np.uint64)
    seen: NDArray[np.uint64] = own[of]
    for v in range(1, vertices):
        for u in range(v):
            edge = into[:, v, u]
            seen[:, v] += before[of[:, u]] * edge
            seen[:, u] += behind[of[:, v]] * edge
    return np.ravel(seen)


def _md5_of_rows(messages: NDArray[np.uint8]) -> Digests:
    """Return the md5 of each row, ``uint8[n, 16]``."""
    whole, length = messages.tobytes(), messages.shape[1]
    digests = [md5(whole[i : i + length], usedforsecurity=False).digest() for i in range(0, len(whole), length)]
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, DIGEST)
