"""Search spaces whose decisions are operations on the edges of a cell: those that have a super-network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from nasgym.errors import UnsuitableTask
from nasgym.spaces.base import Space
from nasgym.spaces.nb201 import OPERATIONS

__all__ = ["EdgeLabelled", "check_edge_labelled"]


@runtime_checkable
class EdgeLabelled(Protocol):
    """A search space whose every decision is the operation on one edge of a cell, whatever the others are.

    The names of the operations are `Space.choice_labels`. Such a space has a super-network: all operations on every
    edge. A space in which decisions draw the edges themselves, or choose sizes, is none.
    """

    @property
    def cell_edges(self) -> Sequence[tuple[int, int]]:
        """Source and target node of each decision's edge; node 0 is the input, the last node the output."""


def check_edge_labelled(space: Space) -> tuple[tuple[int, int], ...]:
    """Return the edges of the cell, one per decision.

    Raises:
        UnsuitableTask: The decisions are not operations on edges, or an operation has no module.
    """
    if not isinstance(space, EdgeLabelled):
        raise UnsuitableTask(
            f"the search space {space.name!r} has no super-network of all operations on every edge: {_why(space)}. "
            "Weight sharing serves spaces that declare cell_edges, such as nb201; take an agent that evaluates "
            "architectures one by one."
        )
    names = {name for decision in range(space.num_decisions) for name in space.choice_labels(decision)}
    if unknown := sorted(names - set(OPERATIONS)):
        raise UnsuitableTask(
            f"the search space {space.name!r} has operations that a super-network does not know: "
            f"{', '.join(unknown)}. Known: {', '.join(OPERATIONS)}."
        )
    return tuple((int(source), int(target)) for source, target in space.cell_edges)


def _why(space: Space) -> str:
    if space.name.startswith("nb101"):
        return "its cells are not edge-labelled, operations stand on the nodes and the edges themselves are decisions"
    return f"its decisions ({', '.join(space.decision_labels()[:2])}, ...) are not operations on the edges of a cell"
