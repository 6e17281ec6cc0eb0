"""The search spaces that the compiled kernels know: how the program and the first weights of each are made."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nasgym.networks.initial import initial_weights
from nasgym.networks.initial_nb101 import nb101_initial_weights
from nasgym.recipes import Recipe
from nasgym.spaces import NB101, Macro, Space
from nasgym.spaces.nb101 import NB101_SPACES
from nasgym.training.bundle_native import NativeNetwork, lanes_of
from nasgym.training.bundle_nb101 import nb101_program
from nasgym.training.bundle_nb201 import nb201_program
from nasgym.training.bundle_program import Program

__all__ = ["COMPILED", "native_network"]

_Prepare: TypeAlias = Callable[[Space, NDArray[np.integer], Macro, int, int], tuple[Program, Mapping[str, Tensor]]]
"""From a space, a genotype, a skeleton, a seed and the number of lanes to the program and the first weights."""


def _nb201(
    space: Space, genotype: NDArray[np.integer], macro: Macro, seed: int, lanes: int
) -> tuple[Program, Mapping[str, Tensor]]:
    return nb201_program(genotype.tolist(), macro, lanes), initial_weights(genotype, macro, seed)


def _nb101(
    space: Space, genotype: NDArray[np.integer], macro: Macro, seed: int, lanes: int
) -> tuple[Program, Mapping[str, Tensor]]:
    assert isinstance(space, NB101), "its name says so"
    (cell,) = space.canonical_cells(genotype[None])
    return nb101_program(cell, macro, lanes), nb101_initial_weights(cell, macro, seed)


COMPILED: Mapping[str, _Prepare] = MappingProxyType({**{space.name: _nb101 for space in NB101_SPACES}, "nb201": _nb201})
"""By the name of the space."""


def native_network(
    kernels: ctypes.CDLL, space: Space, genotype: NDArray[np.integer], seed: int, macro: Macro, recipe: Recipe
) -> NativeNetwork:
    """Return a network for the kernels, with weights drawn from a seed; the space is one of `COMPILED`."""
    program, weights = COMPILED[space.name](space, genotype, macro, seed, lanes_of(recipe))
    network = NativeNetwork(kernels, program, macro, recipe)
    network.load(weights)
    return network
