"""BOHB: Hyperband whose new architectures come from a model of what was good at the longest trainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nasgym.agents._fidelity import Bracket, BracketJob, check_rungs, climb, rungs
from nasgym.agents._parzen import ParzenPair
from nasgym.agents._vectors import repaired
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.task import Result, Task

__all__ = ["BOHB"]


@dataclass(frozen=True, kw_only=True)
class BOHB(Agent):
    """Brackets of successive halving on architectures drawn where good ones are dense and others are not.

    The two densities are fitted to the results of the highest rung that has enough, ``2 (num_decisions + 1)``; before
    there are, architectures are drawn uniformly. Illegal choices count as the nearest legal ones.
    """

    name: ClassVar[str] = "bohb"
    family: ClassVar[str] = "multi-fidelity"
    source: ClassVar[str] = (
        "Falkner, Klein and Hutter, ICML 2018, with the brackets and the densities of their published code"
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "nb201-2020": {"samples": 4, "random_fraction": 0.0, "bounded": False, "whole": True},
            "nb201-budgets": {
                "eta": 16,
                "min_epochs": 12,
                "samples": 4,
                "random_fraction": 0.0,
                "bounded": False,
            },  # what that script asked for, 12 to 200 epochs, in the two lengths whose results are published
            "nats": {"min_epochs": 1, "samples": 4, "random_fraction": 0.0, "bounded": False},
            "nb101": {"min_epochs": 4, "samples": 64, "random_fraction": 0.33, "bounded": False},
            "falkner-2018": {"samples": 64, "random_fraction": 1 / 3, "min_bandwidth": 1e-3, "bounded": False},
        }
    )

    eta: int = setting(3, "Ratio of epochs, and of architectures, from rung to rung (all publications).", low=2)
    min_epochs: int = setting(1, "Least epochs of the lowest rung (NATS-Bench).", low=1)
    samples: int = setting(4, "Draws from the good density, of which the best is trained (NATS-Bench).", low=1)
    random_fraction: float = setting(
        0.0, "Share of new architectures that are drawn uniformly (NATS-Bench).", low=0.0, high=1.0
    )
    min_bandwidth: float = setting(0.3, "Least bandwidth of a kernel (NATS-Bench).", above=0.0, high=1.0)
    top_percent: int = setting(15, "How many results in a hundred are good (published code).", low=1, high=99)
    bounded: bool = setting(
        True,
        "Keep bandwidths within the range of their kernels; the published code does not, and then draws uniformly "
        "where the bandwidth rule exceeds 1.",
    )
    whole: bool = setting(
        False, "Train to the end at every rung, as the NAS-Bench-201 script of 2020 did, which left the epochs out."
    )

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def check_task(self, task: Task) -> None:
        """Raise where every search would fail, see the base."""
        super().check_task(task)
        epochs = rungs(task, self.eta, self.min_epochs)
        check_rungs(task, [] if self.whole else epochs)

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        run = _Run(self, task, begin(task, seed))
        climb(task, run.brackets(), run.learn)


class _Run:
    """The results of each rung, and the model of the highest that has enough of them."""

    def __init__(self, settings: BOHB, task: Task, rng: np.random.Generator) -> None:
        self._settings, self._task, self._rng = settings, task, rng
        self._epochs = rungs(task, settings.eta, settings.min_epochs)
        self._points: list[list[NDArray[np.int8]]] = [[] for _ in self._epochs]
        self._accuracies: list[list[float]] = [[] for _ in self._epochs]
        self._model: ParzenPair | None = None
        self._modelled = -1

    def brackets(self) -> Iterator[Bracket]:
        top = len(self._epochs) - 1
        for s in cycle(range(top, -1, -1)):
            epochs: list[int | None] = list(self._epochs[top - s :])
            if self._settings.whole:
                epochs = [None] * len(epochs)
            yield Bracket(bracket_sizes(top, s, self._settings.eta), epochs, self._draw)

    def learn(self, job: BracketJob, result: Result) -> None:
        """Take a result in; the model changes unless it is one of a higher rung."""
        rung = len(self._epochs) - len(job.bracket.sizes) + job.rung
        self._points[rung].append(job.genotype)
        self._accuracies[rung].append(result.accuracy)
        if rung < self._modelled:
            return
        model = ParzenPair.fit(
            self._points[rung],
            self._accuracies[rung],
            self._task.space.choices,
            percent=self._settings.top_percent,
            least=self._settings.min_bandwidth,
            bounded=self._settings.bounded,
        )
        if model is not None:
            self._model, self._modelled = model, rung

    def _draw(self) -> NDArray[np.int8]:
        if self._model is None or self._rng.random() < self._settings.random_fraction:
            drawn: NDArray[np.int8] = self._task.space.sample(self._rng, 1)[0]
            return drawn
        return repaired(self._task.space, self._model.propose(self._rng, self._settings.samples))


def bracket_sizes(top: int, bracket: int, eta: int) -> list[int]:
    """Return how many architectures each rung of a bracket trains; fewer than in the Hyperband paper, as in the code.

    Arguments as for `nasgym.agents._fidelity.hyperband_sizes`.
    """
    first = (top + 1) // (bracket + 1) * eta**bracket
    return [max(1, first // eta**i) for i in range(bracket + 1)]
