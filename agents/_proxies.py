"""Ranking architectures by zero-cost proxies, on the simulated clock of a task."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import UnknownName
from nasgym.recipes import get_recipe
from nasgym.spaces import Genotypes, Macro, Space
from nasgym.task import Task

if TYPE_CHECKING:
    from nasgym.training.proxies import ProxyScorer

__all__ = ["CLOCKS", "COUNTED", "OPERATIONS_PER_SECOND", "RUN", "Ranker", "check_proxies", "counted", "different"]

COUNTED = ("flops", "parameters")
"""Proxies that count, for nothing."""
RUN = ("synflow", "naswot", "gradient_norm")
"""Proxies that run the network; those of `nasgym.training.proxies`, named here without importing torch."""
CLOCKS = ("measured", "operations")
"""How a proxy that runs networks is charged: the seconds that it took, or its multiply-accumulates at a fixed rate."""
OPERATIONS_PER_SECOND = 1e10
"""Of ``"operations"``: about one core of a processor (a choice)."""


def check_proxies(spec: str) -> tuple[str, ...]:
    """Return the proxies that ``"flops+synflow"`` names; raises `UnknownName`."""
    names = tuple(spec.split("+"))
    for name in names:
        if name not in (*COUNTED, *RUN):
            raise UnknownName("proxy", name, (*COUNTED, *RUN), "Several are joined by +, as in flops+synflow.")
    return names


def different(space: Space, genotypes: Genotypes) -> Genotypes:
    """Return the rows of a batch that differ as networks, the first of each kind, in their order."""
    _, first = np.unique(space.canonical(genotypes), return_index=True)
    return genotypes[np.sort(first)]


def counted(space: Space, name: str, genotypes: Genotypes) -> NDArray[np.float64]:
    """Return ``float64[n]``: what a proxy out of `COUNTED` counts."""
    count = space.flops if name == "flops" else space.parameters
    return count(genotypes, Macro()).astype(np.float64)


class Ranker:
    """Ranks architectures for one run, by one proxy or by the mean of the ranks that several give.

    Args:
        task: The task that is searched; scores are charged to it, see `CLOCKS`.
        proxies: Names out of `COUNTED` and `RUN`, joined by ``+``.
        seed: Of the untrained networks and of the minibatch.
        clock: One of `CLOCKS`.
        images: Images in the minibatch.
        device: Where networks run; ``"auto"``: where the task says.
        share: The part of what is left of the budget that one ranking may take.
    """

    def __init__(
        self, task: Task, proxies: str, seed: int, *, clock: str, images: int, device: str, share: float
    ) -> None:
        self._task, self._seed, self._clock, self._share = task, seed, clock, share
        self._names = check_proxies(proxies)
        self._run = [name for name in self._names if name in RUN]
        self._images, self._device = images, device if device != "auto" else task.device
        self._made: ProxyScorer | None = None

    def ranked(self, genotypes: Genotypes) -> Genotypes:
        """Return a batch ``int8[n, num_decisions]`` the best first, ties in their order.

        Those for whose scores no seconds are left are left out; at least one is scored.
        """
        columns = [counted(self._task.space, name, genotypes) for name in self._names if name in COUNTED]
        if self._run:
            scored = self._scored(genotypes)
            genotypes = genotypes[: len(scored)]
            columns = [column[: len(scored)] for column in columns] + list(scored.T)
        votes = columns[0] if len(columns) == 1 else np.mean([_ranks(column) for column in columns], axis=0)
        return genotypes[np.argsort(-votes, kind="stable")]

    def _scored(self, genotypes: Genotypes) -> NDArray[np.float64]:
        """Return ``float64[k, proxies]``: the scores of the first ``k`` architectures, charged to the task."""
        scorer, allowed = self._scorer(), self._share * self._task.remaining
        rows: list[list[float]] = []
        spent = 0.0
        for genotype in genotypes:
            if rows and spent >= allowed:
                break
            began = time.perf_counter()
            rows.append([scorer(name, genotype) for name in self._run])
            seconds = time.perf_counter() - began
            if self._clock == "operations":
                seconds = self._seconds(scorer, genotype)
            self._task.spend(seconds)
            spent += seconds
        return np.array(rows)

    def _scorer(self) -> ProxyScorer:
        """Return what scores, with its data loaded; that is not charged, as it is not for trainings."""
        if self._made is None:
            from nasgym.training.proxies import ProxyScorer  # torch: only where networks run

            key = self._task.benchmark.key
            self._made = ProxyScorer(
                self._task.space,
                key.dataset,
                get_recipe(key.recipe),
                seed=self._seed,
                images=self._images,
                device=self._device,
            )
            self._made.prepare(self._run)
        return self._made

    def _seconds(self, scorer: ProxyScorer, genotype: NDArray[np.int8]) -> float:
        operations = sum(int(scorer.operations(name, genotype[None])[0]) for name in self._run)
        return operations / OPERATIONS_PER_SECOND


def _ranks(values: NDArray[np.float64] | Sequence[float]) -> NDArray[np.float64]:
    """Return ``float64[n]``: the rank of each value among all, from 0; equal ones share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    return (below + (counts - 1) / 2)[inverse]
