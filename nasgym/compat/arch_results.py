"""All trials of one architecture under one recipe, in the form of the originals' class of that name."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from nasgym.compat.arguments import is_choice, whole
from nasgym.compat.imported import read_pickle
from nasgym.compat.results_count import ResultsCount, average
from nasgym.errors import InvalidSetting, MissingResult
from nasgym.results import Evaluation, TableKey

__all__ = ["ArchResults", "consistent"]


def consistent(values: list[Any], seeds: list[int]) -> list[Any]:
    """Return parameters or FLOPs by seed, or the one of seed 888 where they differ.

    Some trials of the official files carry those of another architecture; where the trials of one architecture do
    not agree, seed 888 has been found to be right, and `nats_bench` answers with it.
    """
    if len({f"{value:.5f}" for value in values}) <= 1:
        return values
    return [values[seeds.index(888)]]


class ArchResults:
    """The trials of one architecture under one recipe.

    Attributes:
        arch_index: The architecture's index.
        arch_str: Its string.
        all_results: (data set, seed) -> `ResultsCount`.
        dataset_seed: Data set -> seeds, ascending.
        clear_net_done: Whether the weights are gone.
    """

    _trial: ClassVar[type[ResultsCount]] = ResultsCount
    has_comments: ClassVar[bool] = False
    """Whether answers about CIFAR-10 have a comment."""

    @staticmethod
    def mean(numbers: Sequence[Any]) -> Any:
        """Return the mean of numbers by trial."""
        return average(numbers)

    @staticmethod
    def sizes(values: list[Any], seeds: list[int]) -> list[Any]:
        """Return the parameters or FLOPs by seed that count."""
        return consistent(values, seeds)

    def __init__(self, arch_index: int, arch_str: Any) -> None:
        self.arch_index = int(arch_index)
        self.arch_str = copy.deepcopy(arch_str)
        self.all_results: dict[tuple[str, int], ResultsCount] = {}
        self.dataset_seed: dict[str, list[int]] = {}
        self.clear_net_done = False

    @classmethod
    def of_evaluations(
        cls, index: int, text: str, trials: Iterable[tuple[str, TableKey, Evaluation]], cleared: bool
    ) -> Self:
        """Return stored trials: data sets' official names, tables and evaluations, in the order of the file."""
        found = cls(index, text)
        for name, key, evaluation in trials:
            seed = int(evaluation.seed)
            found.all_results[name, seed] = cls._trial.of_evaluation(key, evaluation)
            found.dataset_seed.setdefault(name, []).append(seed)
        for seeds in found.dataset_seed.values():
            seeds.sort()
        found.clear_net_done = cleared
        return found

    def get_compute_costs(self, dataset: str) -> dict[str, Any]:
        """Return ``flops``, ``params`` (millions), ``latency`` (seconds) and ``T-SET@epoch``, ``T-SET@total``."""
        seeds = self.dataset_seed[dataset]
        results = [self.all_results[dataset, seed] for seed in seeds]
        info = {
            "flops": self.mean(self.sizes([result.flop for result in results], seeds)),
            "params": self.mean(self.sizes([result.params for result in results], seeds)),
            "latency": self.mean_latency(dataset),
        }
        times: dict[str, list[Any]] = {}
        for result in results:
            for name, seconds in result.get_times().items():
                times.setdefault(name, []).append(seconds)
        return info | {name: None if found[0] is None else self.mean(found) for name, found in times.items()}

    def mean_latency(self, dataset: str) -> Any:
        """Return the mean of the latencies that are known, in seconds, or None."""
        every = [self.all_results[dataset, seed].get_latency() for seed in self.dataset_seed[dataset]]
        known = [latency for latency in every if latency > 0]
        return self.mean(known) if known else None

    def get_metrics(
        self, dataset: str, setname: str, iepoch: int | None = None, is_random: bool | int = False
    ) -> dict[str, Any]:
        """Return loss, accuracy (percent) and seconds on one set of one data set.

        Args:
            dataset: ``cifar10-valid``, ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
            setname: ``train``, ``x-valid``, ``x-test`` or ``ori-test``.
            iepoch: Counted from 0; None: the last.
            is_random: True: of one trial, drawn; False: the mean of all; a number: of the trial with that seed.

        Returns:
            ``iepoch``, ``loss``, ``accuracy``, ``cur_time``, ``all_time``.

        Raises:
            KeyError: There is no such data set, or the set has no numbers at that epoch.
            ValueError: There is no such epoch or seed.
        """
        seeds = self.dataset_seed[dataset]
        infos = [_info(self.all_results[dataset, seed], setname, iepoch) for seed in seeds]
        if is_choice(is_random):
            if is_random:
                return infos[random.randint(0, len(infos) - 1)]
            columns = {name: [info[name] for info in infos] for name in infos[0]}
            return {name: None if found[0] is None else self.mean(found) for name, found in columns.items()}
        return infos[seeds.index(self.seed_of(dataset, is_random))]

    def seed_of(self, dataset: str, is_random: int) -> int:
        """Return the seed that a number names; raises `MissingResult`, a ValueError, where there is none."""
        seed = whole(is_random, "is_random")
        if seed not in self.dataset_seed[dataset]:
            raise MissingSeed(f"can not find random seed ({seed}) from {self.dataset_seed[dataset]} of {dataset}.")
        return seed

    def get_dataset_names(self) -> list[str]:
        """Return the data sets."""
        return list(self.dataset_seed)

    def get_dataset_seeds(self, dataset: str) -> list[int]:
        """Return the seeds of a data set, ascending."""
        return list(self.dataset_seed[dataset])

    def get_net_param(self, dataset: str, seed: int | None = None) -> Any:
        """Return the trained weights of a seed, or of all by seed; results in the store have none."""
        if seed is None:
            return {seed: self.all_results[dataset, seed].get_net_param() for seed in self.dataset_seed[dataset]}
        if (dataset, seed) not in self.all_results:
            raise MissingSeed(f"key={(dataset, seed)} not in {list(self.all_results)}.")
        return self.all_results[dataset, seed].get_net_param()

    def reset_latency(self, dataset: str, seed: int | None, latency: float) -> None:
        """Set the latency of one trial, or (None) of all of a data set."""
        for trial in self._trials(dataset, seed):
            trial.update_latency([latency])

    def reset_pseudo_train_times(self, dataset: str, seed: int | None, estimated_per_epoch_time: float) -> None:
        """Set the seconds of an epoch of one trial, or (None) of all of a data set."""
        for trial in self._trials(dataset, seed):
            trial.reset_pseudo_train_times(estimated_per_epoch_time)

    def reset_pseudo_eval_times(
        self, dataset: str, seed: int | None, eval_name: str, estimated_per_epoch_time: float
    ) -> None:
        """Set the seconds of a pass over an evaluation set of one trial, or (None) of all of a data set."""
        for trial in self._trials(dataset, seed):
            trial.reset_pseudo_eval_times(eval_name, estimated_per_epoch_time)

    def get_latency(self, dataset: str) -> Any:
        """Return the mean latency in seconds; raises ValueError where one is not known."""
        latencies = [self.all_results[dataset, seed].get_latency() for seed in self.dataset_seed[dataset]]
        for seed, latency in zip(self.dataset_seed[dataset], latencies, strict=True):
            if not isinstance(latency, float) or latency <= 0:
                raise InvalidSetting(f"invalid latency of {dataset} with seed={seed} : {latency}.")
        return average(latencies)

    def get_total_epoch(self, dataset: str | None = None) -> int:
        """Return the number of epochs; raises ValueError where trials differ."""
        if dataset is not None and not isinstance(dataset, str):
            raise InvalidSetting(f"invalid dataset={dataset}: a name, or None for all.")
        names = self.dataset_seed if dataset is None else (dataset,)
        found = [self.all_results[name, seed].get_total_epoch() for name in names for seed in self.dataset_seed[name]]
        if len(set(found)) > 1:
            raise InvalidSetting(f"each trial must have the same number of training epochs: {found}.")
        return found[-1]

    def query(self, dataset: str, seed: int | None = None) -> Any:
        """Return the trial of a seed, or (None) all of a data set by seed."""
        if seed is None:
            return {seed: self.all_results[dataset, seed] for seed in self.dataset_seed[dataset]}
        return self.all_results[dataset, seed]

    def arch_idx_str(self) -> str:
        """Return the index with six digits."""
        return f"{self.arch_index:06d}"

    def update(self, dataset_name: str, seed: int, result: ResultsCount) -> None:
        """Add a trial; raises ValueError where the seed is there."""
        seeds = self.dataset_seed.setdefault(dataset_name, [])
        if seed in seeds:
            raise InvalidSetting(f"{self.arch_index}-th arch already has this seed ({seed}) on {dataset_name}.")
        self.dataset_seed[dataset_name] = sorted([*seeds, seed])
        self.all_results[dataset_name, seed] = result
        self.clear_net_done = False

    def state_dict(self) -> dict[str, Any]:
        """Return all fields; `create_from_state_dict` makes the object again."""
        results = {key: trial.state_dict() for key, trial in self.all_results.items()}
        return {name: results if name == "all_results" else value for name, value in self.__dict__.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over fields."""
        fields = dict(state_dict)
        if "all_results" in fields:
            trials = fields["all_results"].items()
            fields["all_results"] = {key: self._trial.create_from_state_dict(state) for key, state in trials}
        self.__dict__.update(fields)

    @classmethod
    def create_from_state_dict(cls, state_dict_or_file: Mapping[str, Any] | str) -> Self:
        """Return the object that has these fields, or those in a file of them."""
        state: Any = state_dict_or_file
        if isinstance(state, str):
            state = read_pickle(Path(state))
        if not isinstance(state, dict):
            raise InvalidSetting(f"invalid type of state_dict_or_file : {type(state)}: a dictionary or a path.")
        found = cls(-1, -1)
        found.load_state_dict(state)
        return found

    def clear_params(self) -> None:
        """Forget the weights."""
        for trial in self.all_results.values():
            trial.net_state_dict = None
        self.clear_net_done = True

    def debug_test(self) -> None:
        """Print latencies, trials and seconds of the four data sets."""
        for dataset in ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120"):
            print(f"---->>>> {dataset}")
            print(f"The latency on {dataset} is {self.get_latency(dataset)} s")
            for result in self.query(dataset).values():
                print(f"  ==>> result = {result}")
                print(f"  ==>> cost = {result.get_times()}")

    def __repr__(self) -> str:
        """Return the form of the original."""
        return (
            f"{type(self).__name__}(arch-index={self.arch_index}, arch={self.arch_str}, "
            f"{len(self.all_results)} runs, clear={self.clear_net_done})"
        )

    def _trials(self, dataset: str, seed: int | None) -> list[ResultsCount]:
        seeds = self.dataset_seed[dataset] if seed is None else [seed]
        return [self.all_results[dataset, seed] for seed in seeds]


class MissingSeed(MissingResult, ValueError):
    """A seed that an architecture was not trained with."""


def _info(trial: ResultsCount, setname: str, iepoch: int | None) -> dict[str, Any]:
    return trial.get_train(iepoch) if setname == "train" else trial.get_eval(setname, iepoch)
