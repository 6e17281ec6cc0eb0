"""Predictor-guided evolution: many mutants, of which a predictor lets the most promising be evaluated."""

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

__all__ = ["PredictorEvolution"]


@dataclass(frozen=True, kw_only=True)
class PredictorEvolution(Agent):
    """Evolution in which each parent has many children, and only those that a predictor ranks best are evaluated.

    The parents are the best evaluations so far, and the predictor is fitted anew after each generation. No network is
    evaluated that equals an earlier one.
    """

    name: ClassVar[str] = "predictor_evolution"
    family: ClassVar[str] = "predictor"
    source: ClassVar[str] = (
        "NPENAS: Wei et al., TNNLS 2022 (arXiv 2003.12857), algorithm 1; the predictor is a forest of regression trees "
        "on choices and counts of operations, in place of a graph network"
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"network": {"predictor": "network", "members": 3}}
    )

    initial: int = setting(10, "Random architectures before the first prediction (Wei et al., 2022).", low=2)
    parents: int = setting(10, "Best evaluations so far that have children (Wei et al., 2022).", low=1)
    children: int = setting(10, "Mutants of each parent (Wei et al., 2022: 100 of 10 parents).", low=1)
    batch: int = setting(10, "Children evaluated per generation (Wei et al., 2022).", low=1)
    members: int = setting(30, "Members of the predictor, averaged (a choice; more trees change little).", low=1)
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
        """Return at most ``batch`` children, the best prediction first."""

        def draw() -> Genotypes:
            return task.space.mutate(rng, np.repeat(best, self.children, axis=0))

        children = unseen(task.space, seen, draw, self.batch)
        predicted = predictor.predict(children).mean(axis=0)
        return children[np.argsort(-predicted, kind="stable")[: self.batch]]
