"""BANANAS-style search: an ensemble predicts accuracies, and Thompson sampling over it picks what to evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from nasgym.agents._alone import generators_kept
from nasgym.agents._predictors import FEATURES, KINDS, Predictor, check_features, unseen
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.spaces import Genotypes
from nasgym.task import Task

__all__ = ["BANANAS"]


@dataclass(frozen=True, kw_only=True)
class BANANAS(Agent):
    """Fit an ensemble to all evaluations, mutate the best into candidates, evaluate those of best sampled prediction.

    The prediction of a candidate is sampled from a normal distribution with the mean and the deviation of the members
    (independent Thompson sampling). No network is evaluated that equals an earlier one.
    """

    name: ClassVar[str] = "bananas"
    family: ClassVar[str] = "predictor"
    source: ClassVar[str] = (
        "White, Neiswanger and Savani, AAAI 2021; the members are regression trees of scikit-learn on choices and "
        "counts of operations, in place of ten-layer networks on paths"
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"networks": {"predictor": "network", "members": 5}}
    )

    initial: int = setting(10, "Random architectures before the first prediction (White et al., 2021).", low=2)
    batch: int = setting(10, "Architectures evaluated between two fits (White et al., 2021).", low=1)
    candidates: int = setting(100, "Mutants among which the batch is chosen (White et al., 2021).", low=1)
    parents: int = setting(10, "Best evaluations so far that are mutated (White et al.'s code).", low=1)
    members: int = setting(30, "Members of the ensemble (a choice; White et al. have 5 networks).", low=2)
    predictor: str = setting(
        "forest", "What the members are: regression trees, or perceptrons with one hidden layer.", options=KINDS
    )
    features: str = setting("", FEATURES)

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)
        check_features(self.features)

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        with generators_kept():
            self._search(task, begin(task, seed))

    def _search(self, task: Task, rng: np.random.Generator) -> None:
        predictor = Predictor(task.space, self.predictor, self.members, self.features)
        known = task.space.sample(rng, self.initial)
        accuracies = task.evaluate(known).accuracies
        seen = set(task.space.canonical(known).tolist())
        while not task.exhausted:
            predictor.fit(rng, known, accuracies)
            best = known[np.argsort(-accuracies, kind="stable")[: self.parents]]
            chosen = self._choose(task, rng, predictor, best, seen)
            outcome = task.evaluate(chosen)
            known, accuracies = np.concatenate([known, chosen]), np.concatenate([accuracies, outcome.accuracies])
            seen.update(task.space.canonical(chosen).tolist())

    def _choose(
        self, task: Task, rng: np.random.Generator, predictor: Predictor, best: Genotypes, seen: set[int]
    ) -> Genotypes:
        """Return at most ``batch`` candidates, the best sampled prediction first."""

        def draw() -> Genotypes:
            return task.space.mutate(rng, best[rng.integers(0, len(best), self.candidates)])

        candidates = unseen(task.space, seen, draw, self.candidates)[: self.candidates]
        predicted = predictor.predict(candidates)
        sampled = rng.normal(predicted.mean(axis=0), predicted.std(axis=0))
        return candidates[np.argsort(-sampled, kind="stable")[: self.batch]]
