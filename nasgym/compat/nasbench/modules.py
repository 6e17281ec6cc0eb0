"""The modules of the search space: which one a spec or a hash means, and what does not depend on training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasgym.compat.nasbench.lib.model_spec import ModelSpec
from nasgym.errors import InvalidArchitecture, NasgymError
from nasgym.spaces import NB101, Indices
from nasgym.spaces.nb101.graphs import MAX_EDGES, MAX_VERTICES, OPERATIONS

__all__ = ["Module", "Modules", "OutOfDomainError", "UnknownHash", "check"]

_NUMBERS = {op: number for number, op in enumerate(OPERATIONS)}
_DIGITS = 32  # of a hash
_ALIKE = 24  # digits that agree in a hash that was mistyped; of two unlike ones about 2 do
_NEAR = 3  # hashes that an error names
_KEPT = 1 << 16  # specs and modules that are remembered


class OutOfDomainError(NasgymError):
    """A spec, or a number of epochs, that is not in the search space."""


class UnknownHash(NasgymError, KeyError):
    """A hash of no module, or of one without results."""

    __str__ = Exception.__str__  # a KeyError shows its message in quotes


class Module(NamedTuple):
    """What is fixed of a module, in its canonical form.

    Attributes:
        adjacency: Its edges, ``int8[v, v]``.
        operations: One of each vertex, ``input`` and ``output`` included.
        parameters: Of the whole network.
    """

    adjacency: NDArray[np.int8]
    operations: tuple[str, ...]
    parameters: int

    def statistics(self) -> dict[str, Any]:
        """Return it in the original's form, the caller's to change."""
        return {
            "module_adjacency": self.adjacency.copy(),
            "module_operations": list(self.operations),
            "trainable_parameters": self.parameters,
        }


def check(spec: ModelSpec, config: dict[str, Any]) -> None:
    """Raise `OutOfDomainError` for what the published rules refuse, in their order, with their words."""
    if not spec.valid_spec:
        raise OutOfDomainError("invalid spec, provided graph is disconnected.")
    vertices, edges = len(spec.ops), np.sum(spec.matrix)
    if vertices > config["module_vertices"]:
        raise OutOfDomainError(f"too many vertices, got {vertices} (max vertices = {config['module_vertices']})")
    if edges > config["max_edges"]:
        raise OutOfDomainError(f"too many edges, got {np.trunc(edges):.0f} (max edges = {config['max_edges']})")
    if spec.ops[0] != "input":
        raise OutOfDomainError("first operation should be 'input'")
    if spec.ops[-1] != "output":
        raise OutOfDomainError("last operation should be 'output'")
    for op in spec.ops[1:-1]:
        if op not in config["available_ops"]:
            raise OutOfDomainError(f"unsupported op {op} (available ops = {config['available_ops']})")
    if np.count_nonzero(spec.matrix) != edges:
        raise OutOfDomainError(f"entries of a matrix are 0 and 1; got {spec.matrix.tolist()}")


class Modules:
    """All modules of NAS-Bench-101, as canonical cells of the space ``nb101``.

    Args:
        parameters: Index -> the number of trainable parameters that the data tell.
    """

    def __init__(self, parameters: Callable[[int], int]) -> None:
        self.space, self._parameters = NB101(), parameters
        self._indices: dict[tuple[bytes, tuple[str, ...]], int] = {}
        self._modules: dict[int, Module] = {}

    def index_of_spec(self, spec: ModelSpec) -> int:
        """Return the index of a checked spec, remembered; raises `UnknownHash` where the settings allow too much."""
        key = spec.matrix.tobytes(), tuple(spec.ops)
        found = self._indices.get(key)
        if found is None:
            if len(self._indices) >= _KEPT:
                self._indices.clear()
            found = self._indices[key] = self._index_of_cell(spec)
        return found

    def index_of_hash(self, digits: Any) -> int:
        """Return the index of a hash of 32 hexadecimal digits; raises `UnknownHash` with those like it."""
        digest = _digest(digits)
        found = -1 if digest is None else int(self.space.table.indices_of_hashes(digest[None])[0])
        if found < 0:
            near = [] if digest is None else self._hashes_like(digest)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise UnknownHash(
                f"no module of NAS-Bench-101 has the hash {digits!r}.{hint} A hash has {_DIGITS} hexadecimal digits, "
                "as hash_iterator() gives them and ModelSpec.hash_spec(config['available_ops'])."
            )
        return found

    def hashes(self, indices: Indices) -> Iterator[str]:
        """Iterate over the hashes of modules."""
        text = np.ascontiguousarray(self.space.table.digests[indices]).tobytes().hex()
        return (text[at : at + _DIGITS] for at in range(0, len(text), _DIGITS))

    def hash(self, index: int) -> str:
        """Return the hash of one module."""
        return bytes(self.space.table.digests[index]).hex()

    def module(self, index: int) -> Module:
        """Return what is fixed of a module, remembered."""
        found = self._modules.get(index)
        if found is None:
            if len(self._modules) >= _KEPT:
                self._modules.clear()
            found = self._modules[index] = self._made(index)
        return found

    def _made(self, index: int) -> Module:
        cell = self.space.cells([index])[0]
        return Module(cell.matrix, ("input", *cell.operations, "output"), self._parameters(index))

    def _index_of_cell(self, spec: ModelSpec) -> int:
        matrix, inner = spec.matrix, spec.ops[1:-1]
        if len(matrix) > self.space.vertices or not _NUMBERS.keys() >= set(inner):
            raise _beyond(spec)
        row = np.zeros((1, self.space.num_decisions), dtype=np.int8)
        sources, targets, decisions = _decisions(len(matrix), self.space)
        row[0, decisions] = matrix[sources, targets] != 0
        row[0, self.space.num_edges : self.space.num_edges + len(inner)] = [_NUMBERS[op] for op in inner]
        try:
            return int(self.space.index(row)[0])
        except InvalidArchitecture:
            raise _beyond(spec) from None

    def _hashes_like(self, digest: NDArray[np.uint8]) -> list[str]:
        """Return the hashes that agree with one in most digits, the most alike first."""
        apart = self.space.table.digests ^ digest
        alike = ((apart & 0xF0) == 0).sum(axis=1) + ((apart & 0x0F) == 0).sum(axis=1)
        best = np.argsort(-alike, kind="stable")[:_NEAR]
        return list(self.hashes(best[alike[best] >= _ALIKE]))


def _beyond(spec: ModelSpec) -> UnknownHash:
    return UnknownHash(
        f"the data hold modules of at most {MAX_VERTICES} vertices and {MAX_EDGES} edges with {', '.join(OPERATIONS)}, "
        f"whatever config allows; got {spec.matrix.tolist()}, {spec.ops}."
    )


def _digest(digits: Any) -> NDArray[np.uint8] | None:
    """Return a hash as bytes, or None for what is not 32 hexadecimal digits."""
    if not isinstance(digits, str) or len(digits) != _DIGITS or not set(digits) <= set("0123456789abcdef"):
        return None
    return np.frombuffer(bytes.fromhex(digits), dtype=np.uint8)


@cache
def _decisions(vertices: int, space: NB101) -> tuple[list[int], list[int], list[int]]:
    """Return the edges of a matrix as sources and targets, and where each stands in a genotype: the output is last."""
    place = [*range(vertices - 1), space.vertices - 1]
    pairs = [(x, y) for x in range(vertices) for y in range(x + 1, vertices)]
    decisions = [space.edges.index((place[x], place[y])) for x, y in pairs]
    return [x for x, _ in pairs], [y for _, y in pairs], decisions
