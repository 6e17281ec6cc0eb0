"""Search spaces: the mathematics of architectures, with numpy alone."""

from nasgym.spaces.base import CellGraph, Genotypes, Indices, Macro, Space
from nasgym.spaces.edge_labelled import EdgeLabelled
from nasgym.spaces.nats_sss import NatsSSS
from nasgym.spaces.nb101 import NB101
from nasgym.spaces.nb201 import NB201
from nasgym.spaces.registry import get_space, space_names

__all__ = [
    "NB101",
    "NB201",
    "CellGraph",
    "EdgeLabelled",
    "Genotypes",
    "Indices",
    "Macro",
    "NatsSSS",
    "Space",
    "get_space",
    "space_names",
]
