"""NAS-Bench-101; the module of that name of the original."""

from __future__ import annotations

import os
import random
from collections.abc import Hashable, KeysView
from typing import Any

from nasgym.compat.engine import generator
from nasgym.compat.nasbench.lib.config import build_config
from nasgym.compat.nasbench.lib.model_spec import ModelSpec
from nasgym.compat.nasbench.modules import Modules, OutOfDomainError, UnknownHash, check
from nasgym.compat.nasbench.opening import open_results
from nasgym.compat.nasbench.results import Statistics, has_results, no_results, statistics_of
from nasgym.errors import MissingResult
from nasgym.store import Store

__all__ = ["ModelSpec", "NASBench", "OutOfDomainError", "UnknownHash"]

_TIME, _TRAIN, _VALID, _TEST = range(4)  # in a run, halfway; the same at its end come after them
_FINAL = 4


class NASBench:
    """The results of NAS-Bench-101: 423,624 modules, trained for 4, 12, 36 and 108 epochs, three times each.

    Every valid `query` draws one repeat, by one ``randint(0, num_repeats - 1)`` of Python's global generator, which is
    seeded here: a script gets the repeats that the original gives it.

    Args:
        dataset_file: A ``.tfrecord`` of the original, imported into the store once; the folder of a nasgym store; None:
            the user's store.
        seed: Seeds Python's global generator; None: from the system's entropy.
        store: The store that a file is imported into; None: the user's.
        rng: What draws repeats in place of Python's global generator, which is then left alone: a `random.Random`, or a
            seed for one.

    Attributes:
        config: The settings, see `nasgym.compat.nasbench.lib.config`.
        fixed_statistics: Hash -> adjacency, operations, parameters; read when asked for.
        computed_statistics: Hash -> epochs -> repeats -> seconds and accuracies; read when asked for.
        valid_epochs: Lengths of training that can be asked for.
        history: Nothing; scripts keep notes in it.
        training_time_spent: Seconds that queries have charged.
        total_epochs_spent: Epochs that queries have charged.

    Raises:
        InvalidSetting: There is no such file or folder; a ValueError.
        InvalidArchive: The file is no official one, or it is broken; a ValueError.
        NotEvaluated: The store has no official results; a ValueError.
    """

    def __init__(
        self,
        dataset_file: str | os.PathLike[str] | None = None,
        seed: Any = None,
        *,
        store: Store | os.PathLike[str] | str | None = None,
        rng: random.Random | int | None = None,
    ) -> None:
        self.config = build_config()
        self._rng = generator(rng)
        if self._rng is None:
            random.seed(seed)
        self._results = open_results(dataset_file, store)
        self._modules = Modules(self._results.parameters)
        self.fixed_statistics = Statistics(self._modules, self._results, self._fixed)
        self.computed_statistics = Statistics(self._modules, self._results, self._computed)
        self.valid_epochs = set(self._results.epochs)
        self.history: dict[Any, Any] = {}
        self.training_time_spent = 0.0
        self.total_epochs_spent = 0

    def query(self, model_spec: ModelSpec, epochs: int = 108, stop_halfway: bool = False) -> dict[str, Any]:
        """Return what one training of a module gave, and charge its seconds and epochs.

        Args:
            model_spec: The module.
            epochs: The length of the training, one of ``valid_epochs``.
            stop_halfway: Ask, and pay, for the first half of the training alone.

        Returns:
            ``module_adjacency``, ``module_operations``, ``trainable_parameters`` of the module's canonical form;
            ``training_time`` in seconds, ``train_accuracy``, ``validation_accuracy``, ``test_accuracy`` as fractions.

        Raises:
            OutOfDomainError: The module or the number of epochs is not in the space.
            KeyError: The module has no results here.
        """
        if not isinstance(epochs, Hashable) or epochs not in self.valid_epochs:
            raise OutOfDomainError(f"invalid number of epochs, must be one of {self.valid_epochs}")
        check(model_spec, self.config)
        index = self._modules.index_of_spec(model_spec)
        if self._results.run(index, epochs, 0) is None:
            raise no_results(self._modules.hash(index))
        repeat = (self._rng or random).randint(0, self.config["num_repeats"] - 1)
        run, at = self._results.run(index, epochs, repeat), 0 if stop_halfway else _FINAL
        if run is None:
            raise MissingResult(
                f"the data have no repeat {repeat} of {self._modules.hash(index)} for {epochs} epochs: import a whole "
                f"file, or lower config['num_repeats'] ({self.config['num_repeats']})."
            )
        answer = self._modules.module(index).statistics()
        answer["training_time"] = run[at + _TIME]
        answer["train_accuracy"] = run[at + _TRAIN]
        answer["validation_accuracy"] = run[at + _VALID]
        answer["test_accuracy"] = run[at + _TEST]
        self.training_time_spent += run[at + _TIME]
        self.total_epochs_spent += epochs // 2 if stop_halfway else epochs
        return answer

    def is_valid(self, model_spec: ModelSpec) -> bool:
        """Tell whether a module is in the space; charges nothing."""
        try:
            check(model_spec, self.config)
        except OutOfDomainError:
            return False
        return True

    def get_budget_counters(self) -> tuple[float, int]:
        """Return the seconds and the epochs that queries have charged."""
        return self.training_time_spent, self.total_epochs_spent

    def reset_budget_counters(self) -> None:
        """Begin again at 0 seconds and 0 epochs."""
        self.training_time_spent = 0.0
        self.total_epochs_spent = 0

    def evaluate(self, model_spec: ModelSpec, model_dir: str | os.PathLike[str], *, seed: int = 0) -> dict[str, Any]:
        """Train a module from scratch by nasgym's trainer, and return what `query` would; charges nothing.

        How it is trained is said by ``config``: ``train_epochs`` and what the published recipe consists of. Two
        trainings with one seed on one machine give the same. Nothing is put into the store.

        Args:
            model_spec: The module; one outside the space is an error.
            model_dir: A folder for checkpoints and for ``metadata.json``; it is made.
            seed: Of the training.

        Raises:
            OutOfDomainError: The module is not in the space.
            InvalidSetting: ``config`` has a value that the trainer does not know.
            DatasetUnavailable: CIFAR-10 is not on this machine.
        """
        from nasgym.compat.nasbench.training import evaluate

        check(model_spec, build_config())
        return evaluate(model_spec, self._modules.index_of_spec(model_spec), self.config, model_dir, seed)

    def hash_iterator(self) -> KeysView[str]:
        """Return the hashes of all modules that have results, to be iterated over."""
        return self.fixed_statistics.keys()

    def get_metrics_from_hash(self, module_hash: str) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Return all that is known of a module by its hash, fixed and computed statistics; charges nothing.

        Raises:
            KeyError: The hash is unknown, or the module has no results here.
        """
        index = self._modules.index_of_hash(module_hash)
        computed = self._computed(index)
        if computed is None:
            raise no_results(module_hash)
        return self._modules.module(index).statistics(), computed

    def get_metrics_from_spec(self, model_spec: ModelSpec) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Return all that is known of a module, fixed and computed statistics; charges nothing.

        Raises:
            OutOfDomainError: The module is not in the space.
            KeyError: The module has no results here.
        """
        check(model_spec, self.config)
        return self.get_metrics_from_hash(self._modules.hash(self._modules.index_of_spec(model_spec)))

    def _fixed(self, index: int) -> dict[Any, Any] | None:
        return self._modules.module(index).statistics() if has_results(self._results, index) else None

    def _computed(self, index: int) -> dict[Any, Any] | None:
        return statistics_of(self._results, index) or None
