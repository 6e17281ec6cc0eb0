"""One trial, in the form of the originals' class of that name."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

from nasgym.errors import InvalidSetting, MissingResult
from nasgym.importers.official import TRIAL_FIELDS, state_of
from nasgym.results import Evaluation, TableKey

__all__ = ["MissingEvaluation", "ResultsCount", "added", "average"]

Numbers = Sequence[Any]


def added(numbers: Iterable[Any]) -> Any:
    """Return the sum from left to right: what `sum` gave when the published numbers were made, in every Python."""
    total: Any = 0
    for number in numbers:
        total = total + number
    return total


def average(numbers: Numbers) -> Any:
    """Return the mean as `nats_bench` computes it."""
    return added(numbers) / len(numbers)


class MissingEvaluation(MissingResult, KeyError, ValueError):
    """A set that has no numbers at an epoch; `nas_201_api` says so with a KeyError, `nats_bench` also with others."""

    __str__ = Exception.__str__


class ResultsCount:
    """One training of one architecture.

    Its numbers are attributes, as in the original: ``train_acc1es``, ``train_acc5es``, ``train_losses`` and
    ``train_times`` by epoch (counted from 0), ``eval_acc1es``, ``eval_losses`` and ``eval_times`` by ``set@epoch``,
    ``params`` and ``flop`` (millions), ``latency`` (seconds, a list), ``seed`` (text), ``epochs``, ``eval_names``,
    ``arch_config`` and ``net_state_dict``. A trial that comes from the store reads them when one is first asked for.
    """

    @staticmethod
    def _mean(numbers: Numbers) -> Any:
        """Return the mean of seconds."""
        return average(numbers)

    @staticmethod
    def _sum(numbers: Numbers) -> Any:
        """Return the sum of seconds."""
        return added(numbers)

    def __init__(
        self,
        name: Any,
        state_dict: Any,
        train_accs: Any,
        train_losses: Any,
        params: Any,
        flop: Any,
        arch_config: Any,
        seed: Any,
        epochs: Any,
        latency: Any,
    ) -> None:
        self.name = name
        self.net_state_dict = state_dict
        self.train_acc1es = copy.deepcopy(train_accs)
        self.train_acc5es: Any = None
        self.train_losses = copy.deepcopy(train_losses)
        self.train_times: Any = None
        self.arch_config = copy.deepcopy(arch_config)
        self.params = params
        self.flop = flop
        self.seed = seed
        self.epochs = epochs
        self.latency = latency
        self.reset_eval()

    @classmethod
    def of_evaluation(cls, key: TableKey, evaluation: Evaluation) -> Self:
        """Return a stored trial; its numbers are unpacked when one of them is asked for."""
        trial = cls.__new__(cls)
        trial.__dict__["_stored"] = (key, evaluation)
        return trial

    def __getattr__(self, name: str) -> Any:
        """Unpack a stored trial."""
        if name not in TRIAL_FIELDS or "_stored" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._unpack()
        return self.__dict__[name]

    def _unpack(self) -> None:
        stored = self.__dict__.pop("_stored", None)
        if stored is not None:
            self.__dict__.update({**state_of(*stored), **self.__dict__})  # what was set meanwhile stays

    def update_train_info(self, train_acc1es: Any, train_acc5es: Any, train_losses: Any, train_times: Any) -> None:
        """Set the numbers of the training."""
        self._unpack()
        self.train_acc1es, self.train_acc5es = train_acc1es, train_acc5es
        self.train_losses, self.train_times = train_losses, train_times

    def reset_pseudo_train_times(self, estimated_per_epoch_time: float) -> None:
        """Say that every epoch of the training took so many seconds."""
        self.train_times = OrderedDict.fromkeys(range(self.epochs), estimated_per_epoch_time)

    def reset_pseudo_eval_times(self, eval_name: str, estimated_per_epoch_time: float) -> None:
        """Say that a pass over an evaluation set took so many seconds; raises ValueError for another set."""
        if eval_name not in self.eval_names:
            raise InvalidSetting(f"invalid eval name : {eval_name}: the trial has {', '.join(self.eval_names)}.")
        for epoch in range(self.epochs):
            self.eval_times[f"{eval_name}@{epoch}"] = estimated_per_epoch_time

    def reset_eval(self) -> None:
        """Forget all evaluations."""
        self._unpack()
        self.eval_names: list[str] = []
        self.eval_acc1es: dict[str, Any] = {}
        self.eval_times: dict[str, Any] = {}
        self.eval_losses: dict[str, Any] = {}

    def update_latency(self, latency: Any) -> None:
        """Set the latencies."""
        self._unpack()
        self.latency = copy.deepcopy(latency)

    def get_latency(self) -> Any:
        """Return the mean latency in seconds, -1.0 where there is none."""
        return -1.0 if self.latency is None else added(self.latency) / len(self.latency)

    def update_eval(self, accs: Mapping[str, Any], losses: Mapping[str, Any], times: Mapping[str, Any]) -> None:
        """Add evaluation sets with numbers at every epoch, by ``set@epoch``."""
        for name in dict.fromkeys(key.split("@")[0] for key in accs):
            self._add_set(name)
            for key in (f"{name}@{epoch}" for epoch in range(self.epochs)):
                self.eval_acc1es[key], self.eval_losses[key] = accs[key], losses[key]
                self.eval_times[key] = times[key]

    def update_OLD_eval(self, name: str, accs: Mapping[int, Any], losses: Mapping[int, Any]) -> None:  # noqa: N802
        """Add an evaluation set with numbers at some epochs, by epoch."""
        self._add_set(name)
        for epoch in filter(accs.__contains__, range(self.epochs)):
            self.eval_acc1es[f"{name}@{epoch}"], self.eval_losses[f"{name}@{epoch}"] = accs[epoch], losses[epoch]

    def _add_set(self, name: str) -> None:
        if name in self.eval_names:
            raise InvalidSetting(f"{name} has already been added into eval-names.")
        self.eval_names.append(name)

    def get_total_epoch(self) -> int:
        """Return the number of epochs."""
        return int(self.epochs)

    def get_times(self) -> dict[str, Any]:
        """Return the mean and the sum of the seconds of the training and of each evaluation set, None if unknown."""
        times = list(self.train_times.values()) if isinstance(self.train_times, dict) else None
        info = self._times_of("train", times)
        for name in self.eval_names:
            try:
                times = [self.eval_times[f"{name}@{epoch}"] for epoch in range(self.epochs)]
                info |= self._times_of(name, times)
            except (KeyError, TypeError):
                info |= self._times_of(name, None)
        return info

    def _times_of(self, name: str, times: list[Any] | None) -> dict[str, Any]:
        if times is None:
            return {f"T-{name}@epoch": None, f"T-{name}@total": None}
        return {f"T-{name}@epoch": self._mean(times), f"T-{name}@total": self._sum(times)}

    def get_eval_set(self) -> list[str]:
        """Return the names of the evaluation sets."""
        return self.eval_names

    def judge_valid(self, iepoch: int) -> None:
        """Raise ValueError for an epoch that the training did not have."""
        if not 0 <= iepoch < self.epochs:
            raise InvalidSetting(f"invalid iepoch={iepoch} < {self.epochs}: it counts from 0, None is the last.")

    def get_train(self, iepoch: int | None = None) -> dict[str, Any]:
        """Return loss, accuracy (percent) and seconds of the training after an epoch.

        Args:
            iepoch: Counted from 0; None: the last.

        Returns:
            ``iepoch``, ``loss``, ``accuracy``, ``cur_time`` (that epoch) and ``all_time`` (up to and with it).
        """
        epoch = self._epoch(iepoch)
        now = total = None
        if self.train_times is not None:
            now, total = self.train_times[epoch], added([self.train_times[e] for e in range(epoch + 1)])
        return _metrics(epoch, self.train_losses[epoch], self.train_acc1es[epoch], now, total)

    def get_eval(self, name: str, iepoch: int | None = None) -> dict[str, Any]:
        """Return the same of an evaluation set (``"valid"`` is ``"x-valid"``), as it was after an epoch.

        Raises:
            MissingEvaluation: The set has no numbers at that epoch; a KeyError and a ValueError.
            InvalidSetting: The training had no such epoch; a ValueError.
        """
        epoch, name = self._epoch(iepoch), "x-valid" if name == "valid" else name
        key = f"{name}@{epoch}"
        now = total = None
        if isinstance(self.eval_times, dict) and self.eval_times:
            if key not in self.eval_times:
                raise MissingEvaluation(f"no seconds of {key}: the trial has {', '.join(self.eval_names)}.")
            now, total = self.eval_times[key], added([self.eval_times[f"{name}@{e}"] for e in range(epoch + 1)])
        if key not in self.eval_losses or key not in self.eval_acc1es:
            raise MissingEvaluation(
                f"no loss and accuracy of {key}: the trial has others of {', '.join(self.eval_names)}."
            )
        return _metrics(epoch, self.eval_losses[key], self.eval_acc1es[key], now, total)

    def _epoch(self, iepoch: int | None) -> int:
        epoch = self.epochs - 1 if iepoch is None else iepoch
        self.judge_valid(epoch)
        return epoch

    def get_net_param(self, clone: bool = False) -> Any:
        """Return the trained weights; results in the store have none."""
        return copy.deepcopy(self.net_state_dict) if clone else self.net_state_dict

    def get_config(self, str2structure: Callable[[str], Any] | None) -> dict[str, Any]:
        """Return the configuration of the network; ``str2structure`` is applied to its cell's string."""
        config = self.arch_config
        if config.get("name") == "infer.shape.tiny":
            cell = config["genotype"] if str2structure is None else str2structure(config["genotype"])
            shape = {"name": "infer.shape.tiny", "channels": config["channels"], "genotype": cell}
            return shape | {"num_classes": config["class_num"]}
        found = {"name": "infer.tiny", "C": config["channel"], "N": config["num_cells"]}
        if str2structure is None:
            found["arch_str"] = config["arch_str"]
        else:
            found["genotype"] = str2structure(config["arch_str"])
        return found | {"num_classes": config["class_num"]}

    def state_dict(self) -> dict[str, Any]:
        """Return all fields; `create_from_state_dict` makes the trial again."""
        self._unpack()
        return dict(self.__dict__)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over fields."""
        self._unpack()
        self.__dict__.update(state_dict)

    @classmethod
    def create_from_state_dict(cls, state_dict: Mapping[str, Any]) -> Self:
        """Return the trial that has these fields."""
        trial = cls(None, None, None, None, None, None, None, None, None, None)
        trial.load_state_dict(state_dict)
        return trial

    def __repr__(self) -> str:
        """Return the form of the original."""
        sets = ", ".join(self.eval_names)
        return (
            f"{type(self).__name__}({self.name}, arch={self.arch_config['arch_str']}, FLOP={self.flop:.2f}M, "
            f"Param={self.params:.3f}MB, seed={self.seed}, {len(self.eval_names)} eval-sets: [{sets}])"
        )


def _metrics(epoch: int, loss: Any, accuracy: Any, now: Any, total: Any) -> dict[str, Any]:
    return {"iepoch": epoch, "loss": loss, "accuracy": accuracy, "cur_time": now, "all_time": total}
