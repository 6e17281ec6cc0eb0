"""REINFORCE with one table of logits: the published controller, its gradient in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nasgym.agents._workers import Job, keep_busy
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.spaces import Genotypes, Space
from nasgym.task import Result, Task

__all__ = ["Adam", "Baseline", "Reinforce", "sample"]

Floats = NDArray[np.float64]
_PERCENT = 100.0  # the published reward is the accuracy in percent


@dataclass(frozen=True, kw_only=True)
class Reinforce(Agent):
    """Sample each decision from its own softmax, and raise the log-probability of what beats a moving average.

    One architecture per update, no entropy term. The answer of a run is the best architecture seen. Several simulated
    workers do not wait for each other: each result updates the logits when it is in, by the log-probability that its
    architecture was drawn with.
    """

    name: ClassVar[str] = "reinforce"
    family: ClassVar[str] = "reinforcement learning"
    source: ClassVar[str] = (
        "Williams, Machine Learning 1992; controller as in NAS-Bench-201, ICLR 2020, section 5, and its published code"
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "nb201-2020": {"learning_rate": 0.01, "momentum": 0.9},
            "nats": {"learning_rate": 0.01, "momentum": 0.9},
            "old-scripts": {"learning_rate": 0.5, "momentum": 0.9},
        }
    )

    learning_rate: float = setting(
        0.01, "Step size of Adam (NATS-Bench; it meets the figures of 2020 too, which the 0.5 of that code does not).",
        above=0,
    )  # fmt: skip
    momentum: float = setting(
        0.9, "How much of the moving average of rewards is kept (NAS-Bench-201, 2020).", low=0, high=0.999
    )
    initial_scale: float = setting(
        1e-3, "Standard deviation of the first logits (NAS-Bench-201, 2020).", low=0, high=100
    )

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        rng = begin(task, seed)
        space = task.space
        logits = self.initial_scale * rng.standard_normal((space.num_decisions, int(space.choices.max())))
        optimiser, baseline = Adam(self.learning_rate, logits.shape), Baseline(self.momentum)

        def ask() -> SampledJob:
            genotype, score = sample(space, logits, rng)
            return SampledJob(genotype[0], score=score)

        def tell(job: SampledJob, result: Result) -> None:
            reward = _PERCENT * result.accuracy
            advantage = reward - baseline.update(reward)
            logits[...] -= optimiser.step(-advantage * job.score)  # loss: the sum over decisions of -log p * advantage

        keep_busy(task, ask, tell)


@dataclass(frozen=True, eq=False)
class SampledJob(Job):
    """A job and the gradient of its log-probability by the logits it was drawn from."""

    score: Floats = field(kw_only=True)


def sample(space: Space, logits: Floats, rng: np.random.Generator) -> tuple[Genotypes, Floats]:
    """Draw one architecture, decision by decision, among the choices that the space's mask allows.

    Args:
        space: The search space.
        logits: ``float64[num_decisions, max(choices)]``.
        rng: The generator.

    Returns:
        The genotype ``int8[1, num_decisions]`` and the gradient of its log-probability by the logits.
    """
    genotype = np.zeros((1, space.num_decisions), dtype=np.int8)
    score = np.zeros_like(logits)
    for step, u in enumerate(rng.random(space.num_decisions).tolist()):
        row = np.where(space.action_mask(genotype, step)[0], logits[step], -np.inf)
        weights = np.exp(row - row.max())
        cumulative = weights.cumsum()
        chosen = int(cumulative.searchsorted(u * cumulative[-1], side="right"))
        genotype[0, step] = chosen
        score[step] = weights / -cumulative[-1]
        score[step, chosen] += 1.0
    return genotype, score


class Baseline:
    """An exponential moving average with the bias of its start divided out."""

    def __init__(self, momentum: float) -> None:
        """Start without any value."""
        self.momentum = momentum
        self._numerator = self._denominator = 0.0

    def update(self, value: float) -> float:
        """Take ``value`` in and return the average, to which it belongs already."""
        self._numerator = self.momentum * self._numerator + (1 - self.momentum) * value
        self._denominator = self.momentum * self._denominator + (1 - self.momentum)
        return self._numerator / self._denominator


class Adam:
    """Adam (Kingma and Ba, ICLR 2015, algorithm 1) with its published constants."""

    def __init__(self, learning_rate: float, shape: tuple[int, ...]) -> None:
        """Start with moments of zero for parameters of ``shape``."""
        self.learning_rate = learning_rate
        self._first, self._second, self._steps = np.zeros(shape), np.zeros(shape), 0

    def step(self, gradient: Floats) -> Floats:
        """Return what to subtract from the parameters, in their shape."""
        self._steps += 1
        self._first += (1 - _BETA_1) * (gradient - self._first)
        self._second += (1 - _BETA_2) * (gradient * gradient - self._second)
        first = self._first / (1 - _BETA_1**self._steps)
        second = self._second / (1 - _BETA_2**self._steps)
        return np.asarray(self.learning_rate * first / (np.sqrt(second) + _EPSILON))


_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
