"""The NAS-Bench-101 search space."""

from nasgym.spaces.nb101.cells import Cell
from nasgym.spaces.nb101.graphs import OPERATIONS
from nasgym.spaces.nb101.space import NB101, NB101_SPACES

__all__ = ["NB101", "NB101_SPACES", "OPERATIONS", "Cell"]
