"""SMAC, Bayesian optimisation with a random forest, as in SMAC3."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from nasgym.agents._alone import generators_kept
from nasgym.agents._vectors import check_installed, needed, repaired
from nasgym.agents._workers import Job, keep_busy
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.task import Result, Task

__all__ = ["SMAC"]

_LEAVES = 2**14  # of a tree, more than a search has evaluations
_NO_LIMIT = 10**6  # trials that the library may ask for: the task's budget ends the search


@dataclass(frozen=True, kw_only=True)
class SMAC(Agent):
    """Fit a random forest to all evaluations, evaluate where the expected improvement is greatest, and the best again.

    What looks best is evaluated anew, up to ``repeats`` times, before it is believed. Illegal choices count as the
    nearest legal ones. When the library has had all of a small space, architectures are drawn uniformly.
    """

    name: ClassVar[str] = "smac"
    family: ClassVar[str] = "model-based"
    source: ClassVar[str] = "Hutter et al., LION 2011; SMAC3 (Lindauer et al., JMLR 2022), hyper-parameter facade"

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"nb101": {"trees": 10, "random_fraction": 0.33, "repeats": 4, "challengers": 5000}}
    )

    initial: int = setting(
        10, "Random architectures before the first forest (a choice, as of the other agents).", low=1
    )
    trees: int = setting(10, "Trees of the forest (NAS-Bench-101, 2019).", low=1)
    random_fraction: float = setting(
        0.33, "Share of architectures drawn uniformly after that (NAS-Bench-101, 2019).", low=0.0, high=1.0
    )
    repeats: int = setting(4, "Evaluations of one architecture at most (NAS-Bench-101, 2019).", low=1)
    challengers: int = setting(
        1000, "Architectures among which the improvement is greatest (for speed; SMAC3 has 5000).", low=1
    )

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def check_task(self, task: Task) -> None:
        """Raise where every search would fail, see the base."""
        super().check_task(task)
        check_installed("smac", "smac")

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        with generators_kept(), _quiet():
            self._search(task, begin(task, seed))

    def _search(self, task: Task, rng: np.random.Generator) -> None:
        needed("smac", "smac")
        from smac.main.exceptions import ConfigurationSpaceExhaustedException
        from smac.runhistory.dataclasses import TrialValue

        with tempfile.TemporaryDirectory() as folder:  # the library writes what it did, which the task has already
            optimiser = self._optimiser(task, int(rng.integers(2**31)), folder)

            def ask() -> TrialJob:
                try:
                    trial = optimiser.ask()
                except (ConfigurationSpaceExhaustedException, StopIteration):  # the second: asked again
                    return TrialJob(task.space.sample(rng, 1)[0], trial=None)
                choices = np.array([trial.config[f"{i}"] for i in range(task.space.num_decisions)])
                return TrialJob(repaired(task.space, choices), trial=trial)

            def tell(job: TrialJob, result: Result) -> None:
                value = TrialValue(cost=1.0 - result.accuracy, time=result.seconds)
                if job.trial is not None:
                    optimiser.tell(job.trial, value, save=False)

            keep_busy(task, ask, tell)

    def _optimiser(self, task: Task, seed: int, folder: str) -> Any:
        from ConfigSpace import Categorical, ConfigurationSpace
        from smac import HyperparameterOptimizationFacade as Facade
        from smac import Scenario

        choices = ConfigurationSpace(seed=seed)
        choices.add([Categorical(f"{i}", list(range(n))) for i, n in enumerate(task.space.choices.tolist())])
        scenario = Scenario(choices, n_trials=_NO_LIMIT, deterministic=False, seed=seed, output_directory=Path(folder))
        return Facade(
            scenario,
            _not_called,
            model=_forest(scenario, self.trees),
            acquisition_maximizer=_ordered(Facade.get_acquisition_maximizer(scenario, challengers=self.challengers)),
            random_design=Facade.get_random_design(scenario, probability=self.random_fraction),
            intensifier=Facade.get_intensifier(scenario, max_config_calls=self.repeats),
            initial_design=Facade.get_initial_design(scenario, n_configs=self.initial, max_ratio=1.0),
            logging_level=False,
            overwrite=True,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep SMAC from a warning at every question when most of a small space is known, and give its level back."""
    logger = logging.getLogger("smac")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _forest(scenario: Any, trees: int) -> Any:
    """Return the forest of the facade, with memory for as many leaves as there may be evaluations.

    The facade's own allows a million leaves, and scikit-learn clears memory for all of them at every fit of a tree:
    half of a search. The trees that grow are the same. They are too small for threads.
    """
    from smac.model.random_forest import RandomForest

    return RandomForest(
        configspace=scenario.configspace,
        instance_features=scenario.instance_features,
        seed=scenario.seed,
        n_trees=trees,
        log_y=True,
        ratio_features=1.0,
        min_samples_split=2,
        min_samples_leaf=1,
        max_leaf_nodes=_LEAVES,
        n_jobs=1,
    )


def _ordered(maximiser: Any) -> Any:
    """Give the maximiser's local search its starts in an order that is the same in every process.

    The library takes them from a set of values that hash by their text, which Python salts anew in each process.
    """
    local = maximiser._local_search
    starts = local._get_init_points_from_previous_configs

    def ordered(*args: Any, **kwargs: Any) -> Any:
        return sorted(starts(*args, **kwargs), key=lambda choices: tuple(choices.get_array()))

    local._get_init_points_from_previous_configs = ordered
    return maximiser


@dataclass(frozen=True, eq=False)
class TrialJob(Job):
    """A job and SMAC's trial of it, if it has one."""

    trial: Any = field(kw_only=True)


def _not_called(config: Any, seed: int = 0) -> float:
    raise AssertionError("SMAC is asked and told; it evaluates nothing by itself")
