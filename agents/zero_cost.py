"""Zero-cost ranking: evaluate first what a proxy that needs no training likes best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.spaces import Genotypes, Macro, Space
from nasgym.task import Task

__all__ = ["ZeroCost"]


@dataclass(frozen=True, kw_only=True)
class ZeroCost(Agent):
    """Draw many architectures, rank them by their parameters or operations, and evaluate them in that order.

    Equal networks are evaluated once per drawing. When all that was drawn is evaluated, as many are drawn again.
    Counting is free on the simulated clock.
    """

    name: ClassVar[str] = "zero_cost"
    family: ClassVar[str] = "zero-cost"
    source: ClassVar[str] = (
        "White et al., A Deeper Look at Zero-Cost Proxies, ICLR Blog Track 2022, and Ning et al., NeurIPS 2021: "
        "parameters and FLOPs are proxies that are hard to beat"
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"parameters": {"proxy": "parameters"}, "flops": {"proxy": "flops"}}
    )

    proxy: str = setting(
        "flops",
        "What is ranked by, most first: 'flops' (multiply-accumulates for one image) or 'parameters'.",
        options=("flops", "parameters"),
    )
    candidates: int = setting(1000, "Architectures that are drawn and ranked (a choice).", low=1)

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        rng = begin(task, seed)
        for ranked in self._rankings(task.space, rng):
            for first in range(0, len(ranked), _BLOCK):
                if task.exhausted:
                    return
                task.evaluate(ranked[first : first + _BLOCK])

    def _rankings(self, space: Space, rng: np.random.Generator) -> Iterator[Genotypes]:
        """Draw without end; yield what differs, ``int8[k, num_decisions]``, the best first and ties as drawn."""
        count: Callable[..., Any] = space.flops if self.proxy == "flops" else space.parameters
        while True:
            drawn = space.sample(rng, self.candidates)
            _, first = np.unique(space.canonical(drawn), return_index=True)
            different = drawn[np.sort(first)]
            yield different[np.argsort(-count(different, Macro()), kind="stable")]


_BLOCK = 64  # evaluated per call, for speed
