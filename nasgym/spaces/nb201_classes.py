"""Which NAS-Bench-201 cells are equal: the published isomorphism rules and a true canonical form.

A cell is written as an expression from its output backwards; equal expressions are one class. A skip is looked
through, a sum has no order. The rules differ in what they know about ``none``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rule", "class_labels", "expression", "representatives"]

Rule: TypeAlias = Literal["plain", "skips", "official", "canonical"]
"""``plain``: nothing is known of any operation (15,625 classes). ``skips``: skips are looked through (12,751).
``official``: a ``none`` is zero as well, the rule behind the published 6,466. ``canonical``: zeros vanish from sums,
a sum of nothing is zero, and a sum that is looked through stays one addend (5,773). (Flattening sums as well would
join them into 4,930.) A convolution of zero counts as zero, as in the published rule; what it really adds is the
bias of its batch norm, a constant per channel (telling those apart would give 6,024). But for that, members of a
class run the same floating-point operations in another order of addends."""

_ZERO = "#"
_NUM_NODES = 4


def _term(op: str, source: str, rule: Rule) -> str:
    if rule != "plain" and op == "skip_connect":
        return source
    if rule in ("official", "canonical") and (op == "none" or source == _ZERO):
        return _ZERO
    return f"({source})@{op}"


def _sum(terms: Sequence[str], rule: Rule) -> str:
    if rule != "canonical":
        return "+".join(sorted(terms))
    alive = sorted(t for t in terms if t != _ZERO)
    if len(alive) > 1:
        return f"[{'+'.join(alive)}]"
    return alive[0] if alive else _ZERO


def expression(ops: Sequence[str], rule: Rule = "canonical") -> str:
    """Return the output of a cell as an expression of its input ``0``.

    Args:
        ops: Six operation names in the order of the architecture string.
        rule: What is known of the operations, see `Rule`.
    """
    nodes, edge = ["0"], iter(ops)
    for target in range(1, _NUM_NODES):
        nodes.append(_sum([_term(next(edge), nodes[source], rule) for source in range(target)], rule))
    return nodes[-1]


@cache
def class_labels(rule: Rule) -> NDArray[np.int64]:
    """Return ``int64[15625]``: for each official index the lowest index of its class under ``rule``. Read-only."""
    from nasgym.spaces.nb201 import NB201, OPERATIONS  # the space itself imports this module

    space = NB201()
    first: dict[str, int] = {}
    genotypes = space.from_index(np.arange(space.size)).tolist()
    name: Callable[[int], str] = OPERATIONS.__getitem__
    labels = np.array(
        [first.setdefault(expression([name(op) for op in row], rule), i) for i, row in enumerate(genotypes)]
    )
    labels.flags.writeable = False
    return labels


def representatives() -> NDArray[np.int64]:
    """Return ``int64[15625]``: the class representative of each official index under the canonical rule."""
    return class_labels("canonical")
