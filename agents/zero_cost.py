"""Zero-cost ranking: evaluate first what proxies that need no training like best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from nasgym.agents._proxies import CLOCKS, Ranker, check_proxies, different
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.spaces import Genotypes
from nasgym.task import Task

__all__ = ["ZeroCost"]


@dataclass(frozen=True, kw_only=True)
class ZeroCost(Agent):
    """Draw many architectures, rank them by proxies of their accuracy, and evaluate them in that order.

    Equal networks are evaluated once per drawing. When all that was drawn is evaluated, as many are drawn again.
    Counting is free on the simulated clock; a proxy that runs the untrained network is charged.
    """

    name: ClassVar[str] = "zero_cost"
    family: ClassVar[str] = "zero-cost"
    source: ClassVar[str] = (
        "Abdelfattah et al., ICLR 2021 (ranking by proxies); synflow: Tanaka et al., NeurIPS 2020; naswot: Mellor et "
        "al., ICML 2021; parameters and FLOPs are hard to beat: Ning et al., NeurIPS 2021, and White et al., ICLR Blog "
        "Track 2022"
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "parameters": {"proxy": "parameters"},
            "flops": {"proxy": "flops"},
            "synflow": {"proxy": "synflow"},
            "naswot": {"proxy": "naswot"},
            "gradient_norm": {"proxy": "gradient_norm"},
            "vote": {"proxy": "flops+synflow+naswot"},
        }
    )

    proxy: str = setting(
        "flops",
        "What is ranked by, most first: 'flops' (multiply-accumulates for one image), 'parameters', 'synflow', "
        "'naswot' or 'gradient_norm'; several joined by + vote by the mean of their ranks.",
    )
    candidates: int = setting(1000, "Architectures that are drawn and ranked (a choice).", low=1)
    images: int = setting(128, "Images in the one minibatch (Mellor et al., 2021; Abdelfattah et al. have 64).", low=2)
    share: float = setting(
        0.5, "Part of the remaining budget that one ranking may take; the rest of what was drawn is left out.",
        above=0, high=1,
    )  # fmt: skip
    clock: str = setting(
        "measured",
        "What a proxy that runs networks is charged: its 'measured' seconds, or its 'operations' at a fixed rate, so "
        "that equal seeds give equal searches.",
        options=CLOCKS,
    )
    device: str = setting("auto", "Where networks run: 'auto' (where the task trains), 'cpu', 'cuda', 'cuda:1'.")

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)
        check_proxies(self.proxy)

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        rng = begin(task, seed)
        ranker = Ranker(
            task, self.proxy, seed, clock=self.clock, images=self.images, device=self.device, share=self.share
        )
        while not task.exhausted:
            ranked = ranker.ranked(different(task.space, task.space.sample(rng, self.candidates)))
            _evaluate_in_order(task, ranked)


def _evaluate_in_order(task: Task, ranked: Genotypes) -> None:
    for first in range(0, len(ranked), _BLOCK):
        if task.exhausted:
            return
        task.evaluate(ranked[first : first + _BLOCK])


_BLOCK = 64  # evaluated per call, for speed
