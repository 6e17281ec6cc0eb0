"""TPE, the tree-structured Parzen estimator, as in Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType
from typing import Any, ClassVar

import numpy as np

from nasgym.agents._alone import generators_kept
from nasgym.agents._vectors import check_installed, needed, repaired
from nasgym.agents._workers import Job, keep_busy
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.task import Result, Task

__all__ = ["TPE"]


@dataclass(frozen=True, kw_only=True)
class TPE(Agent):
    """Model good and other architectures by two densities, and evaluate where their ratio is greatest.

    Illegal choices count as the nearest legal ones.
    """

    name: ClassVar[str] = "tpe"
    family: ClassVar[str] = "model-based"
    source: ClassVar[str] = "Bergstra et al., NeurIPS 2011; Optuna's TPESampler, whose settings these are"

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"nb101": {"startup": 20, "multivariate": False}}  # the defaults of Hyperopt, which that paper ran
    )

    startup: int = setting(10, "Random architectures before the model is used (Optuna; Hyperopt has 20).", low=1)
    candidates: int = setting(
        24, "Draws from the good density, of which the best is evaluated (both libraries).", low=1
    )
    multivariate: bool = setting(
        True, "One joint density over all decisions (Optuna 5), else one for each decision (Hyperopt, and the paper)."
    )

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def check_task(self, task: Task) -> None:
        """Raise where every search would fail, see the base."""
        super().check_task(task)
        check_installed("optuna", "optuna")

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        with generators_kept():
            self._search(task, begin(task, seed))

    def _search(self, task: Task, rng: np.random.Generator) -> None:
        optuna = needed("optuna", "optuna")
        with _quiet(optuna):
            study = optuna.create_study(direction="maximize", sampler=self._sampler(optuna, rng))
            options = {
                label: optuna.distributions.CategoricalDistribution(tuple(range(int(n))))
                for label, n in zip(map(str, range(task.space.num_decisions)), task.space.choices, strict=True)
            }

            def ask() -> TrialJob:
                trial = study.ask(options)
                choices = np.array([trial.params[label] for label in options])
                return TrialJob(repaired(task.space, choices), trial=trial)

            def tell(job: TrialJob, result: Result) -> None:
                study.tell(job.trial, result.accuracy)

            keep_busy(task, ask, tell)

    def _sampler(self, optuna: ModuleType, rng: np.random.Generator) -> Any:
        return optuna.samplers.TPESampler(
            seed=int(rng.integers(2**31)),
            n_startup_trials=self.startup,
            n_ei_candidates=self.candidates,
            multivariate=self.multivariate,
        )


@dataclass(frozen=True, eq=False)
class TrialJob(Job):
    """A job and Optuna's trial of it."""

    trial: Any = field(kw_only=True)


@contextmanager
def _quiet(optuna: ModuleType) -> Iterator[None]:
    """Keep Optuna from logging every trial, and give its level back."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
