"""What both search spaces of `nats_bench` share; the module of that name of the original."""

from __future__ import annotations

import bz2
import os
import pickle
import random
from pathlib import Path
from typing import Any, ClassVar

from nasgym.compat import arch_results, opening, printing, results_count
from nasgym.compat.arguments import recipe_name
from nasgym.compat.best import remapped
from nasgym.compat.facade import Facade
from nasgym.compat.imported import read_architecture, read_pickle
from nasgym.compat.metrics import comment_of
from nasgym.errors import InvalidSetting
from nasgym.store import Store

__all__ = [
    "PICKLE_EXT",
    "ArchResults",
    "NASBenchMetaAPI",
    "ResultsCount",
    "pickle_load",
    "pickle_save",
    "remap_dataset_set_names",
    "time_string",
]

PICKLE_EXT = "pickle.pbz2"
time_string = printing.time_string


def pickle_load(file_path: str | os.PathLike[str], ext: str = ".pbz2") -> Any:
    """Return what is in an official file; anything but plain results is refused.

    Args:
        file_path: The file, with or without ``ext``.
        ext: See there.

    Raises:
        InvalidArchive: It is no such file; a ValueError.
    """
    path = Path(file_path)
    return read_pickle(path if path.is_file() else Path(f"{path}{ext}"))


def pickle_save(obj: Any, file_path: str | os.PathLike[str], ext: str = ".pbz2", protocol: int = 4) -> None:
    """Write a file as the official ones are: a pickle, compressed."""
    with bz2.open(f"{file_path}{ext}", "wb") as file:
        pickle.dump(obj, file, protocol=protocol)


def remap_dataset_set_names(dataset: str, metric_on_set: str, verbose: bool = False) -> tuple[str, str]:
    """Return the data set and the evaluation set that ``(cifar10, valid)`` and its like stand for."""
    found = remapped(dataset, metric_on_set)
    if verbose:
        print(
            f"Call internal function _remap_dataset_set_names with dataset={dataset} and metric_on_set={metric_on_set}"
        )
        print(f"  return dataset={found[0]} and metric_on_set={found[1]}")
    return found


class ResultsCount(results_count.ResultsCount):
    """One training of one architecture."""


class ArchResults(arch_results.ArchResults):
    """All trainings of one architecture under one recipe."""

    _trial, has_comments = ResultsCount, True


class NASBenchMetaAPI(Facade):
    """The results of one search space of NATS-Bench.

    Args:
        file_path_or_dict: None: the nasgym store; a path: that file or folder, imported into the store first; or a
            dictionary as the original loads it.
        fast_mode: Kept, and what ``fast_mode`` says; reading is lazy in any case. With it ``evaluated_indexes`` are
            those that were asked for, as in the original.
        verbose: Print a line at every call.
        store: The store; None: the user's.
        rng: What draws seeds and architectures: a `random.Random`, a seed for one, or None for Python's global
            generator, as in the original.

    Raises:
        ValueError: The results are not there.
    """

    _space: ClassVar[str]
    _search_space_name: ClassVar[str]
    _full_train_epochs: ClassVar[int]
    _all_base_names: ClassVar[list[str]]

    def __init__(
        self,
        file_path_or_dict: opening.Source = None,
        fast_mode: bool = False,
        verbose: bool = True,
        *,
        store: Store | os.PathLike[str] | str | None = None,
        rng: random.Random | int | None = None,
    ) -> None:
        kind = self._search_space_name
        path = os.fspath(file_path_or_dict) if isinstance(file_path_or_dict, str | os.PathLike) else None
        self._fast_mode, self._asked = fast_mode, set[int]()
        self._archive_dir = path if fast_mode else None
        if verbose:
            shown = "the nasgym store" if file_path_or_dict is None else path or "a dictionary"
            print(f"{time_string()} Try to create the NATS-Bench ({kind}) api from {shown} with fast_mode={fast_mode}")
        names = [f"{self._all_base_names[-1]}{end}" for end in ("-simple", f".{PICKLE_EXT}")]
        engine = opening.engine_of(file_path_or_dict, self._space, ArchResults, names=names, store=store, rng=rng)
        super().__init__(engine, None if path is None else os.path.basename(path), verbose)
        if verbose:
            have = len(self.evaluated_indexes)
            print(f"{time_string()} Create NATS-Bench ({kind}) done with {have}/{len(self)} architectures avaliable.")

    @property
    def search_space_name(self) -> str:
        """``"topology"`` or ``"size"``."""
        return self._search_space_name

    @property
    def is_topology(self) -> bool:
        """Whether this is the topology search space."""
        return self._search_space_name == "topology"

    @property
    def is_size(self) -> bool:
        """Whether this is the size search space."""
        return self._search_space_name == "size"

    @property
    def full_train_epochs(self) -> int:
        """Epochs of the longest recipe."""
        return self._full_train_epochs

    @property
    def full_epochs_in_paper(self) -> int:
        """Epochs of the longest recipe."""
        return self._full_train_epochs

    @property
    def fast_mode(self) -> bool:
        """What the caller asked for."""
        return self._fast_mode

    @property
    def archive_dir(self) -> str | None:
        """The folder that was given in fast mode."""
        return self._archive_dir

    def reset_archive_dir(self, archive_dir: str | None) -> None:
        """Set the folder that `reload` reads from."""
        self._archive_dir = archive_dir

    def reset_fast_mode(self, fast_mode: bool) -> None:
        """Set what ``fast_mode`` says."""
        self._fast_mode = fast_mode

    @property
    def evaluated_indexes(self) -> set[int]:
        """The architectures that have results; in fast mode those among them that were asked for."""
        return set(self._asked) if self._fast_mode else self._engine.indexes()

    def _evaluated(self) -> set[int]:
        return self.evaluated_indexes

    def _seen(self, index: int) -> None:
        if self._fast_mode:
            self._asked.add(index)

    def query_by_arch(self, arch: Any, hp: Any) -> str | None:
        """Return some lines that describe an architecture."""
        return self.query_info_str_by_arch(arch, hp)

    def get_more_info(
        self, index: Any, dataset: str, iepoch: int | None = None, hp: Any = "12", is_random: bool | int = True
    ) -> dict[str, Any]:
        """Return what one training, or the mean of all, gave.

        Args:
            index: The architecture: an index, a string, or an object with ``tostr()``.
            dataset: ``cifar10-valid``, ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
            iepoch: Counted from 0; None: the last.
            hp: The recipe, by its epochs.
            is_random: True: of one training, drawn; False: the mean of all; a number: of the one with that seed.

        Returns:
            ``{train,valid,test,valtest}-{loss,accuracy,per-time,all-time}`` as far as they are known, in percent and
            seconds, and for CIFAR-10 a ``comment``.

        Raises:
            KeyError: There are no results of that data set or recipe.
            ValueError: No such architecture, epoch or seed, or no results of the architecture.
        """
        if self.verbose:
            self._call(
                f"Call the get_more_info function with index={index}, dataset={dataset}, iepoch={iepoch}, hp={hp}, "
                f"and is_random={is_random}."
            )
        number = self.query_index_by_arch(index)
        info = self._engine.more_info(number, dataset, iepoch, recipe_name(hp), is_random)
        if "comment" in info:
            info["comment"] = comment_of(dataset, hp)
        if self._fast_mode:
            self._asked.add(number)
        return info

    def simulate_train_eval(
        self, arch: Any, dataset: str, iepoch: int | None = None, hp: Any = "12", account_time: bool = True
    ) -> tuple[Any, Any, Any, Any]:
        """Return what a search sees of an architecture, and charge its seconds.

        Args:
            arch: The architecture: an index, a string, or an object with ``tostr()``.
            dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
            iepoch: Train up to and with this epoch, counted from 0; None: the last.
            hp: The recipe, by its epochs.
            account_time: Whether the seconds are added to ``used_time``.

        Returns:
            Validation accuracy in percent of a training that is drawn, latency in seconds, the seconds of training and
            one validation, and ``used_time``.

        Raises:
            KeyError: There are no results of that data set or recipe.
            ValueError: No such architecture, data set or epoch, or no results of the architecture.
        """
        index, trained = self.query_index_by_arch(arch), self._searched(dataset)
        info = self._simulated(index, trained, iepoch, hp)
        if "valid-accuracy" in info:
            accuracy, seconds = info["valid-accuracy"], info["train-all-time"] + info["valid-per-time"]
        else:  # validated after the last epoch alone: that pass is charged, and the whole test set answers
            last = self._simulated(index, dataset, None, hp)
            accuracy, seconds = info["valtest-accuracy"], info["train-all-time"] + last["valid-per-time"]
        return accuracy, self.get_latency(index, dataset, hp=hp), seconds, self._charge(seconds, account_time)

    def _simulated(self, index: int, dataset: str, iepoch: int | None, hp: Any) -> dict[str, Any]:
        if self.verbose:
            return self.get_more_info(index, dataset, iepoch=iepoch, hp=hp, is_random=True)
        return self._engine.more_info(index, dataset, iepoch, recipe_name(hp), True)

    def find_best(
        self,
        dataset: str,
        metric_on_set: str,
        flop_max: float | None = None,
        param_max: float | None = None,
        hp: Any = "12",
        enforce_all: bool | None = None,
    ) -> tuple[int, Any]:
        """Return the architecture of the highest mean accuracy, and that accuracy in percent; of equals the first.

        Args:
            dataset: A data set.
            metric_on_set: ``train``, ``valid``, ``test``, or an evaluation set of the files.
            flop_max: At most so many million FLOPs.
            param_max: At most so many million parameters.
            hp: The recipe, by its epochs.
            enforce_all: Look at all architectures that have results; None: yes. False, in fast mode: only at those
                that were asked for.

        Returns:
            (-1, None) where there is none within the bounds.
        """
        among = self.evaluated_indexes if self._fast_mode and enforce_all is False else None
        return self._best(dataset, metric_on_set, (flop_max, param_max), hp, among)

    def reload(self, archive_root: str | os.PathLike[str] | None = None, index: int | None = None) -> None:
        """Take the results of an architecture, or (None) of all, from a folder of files; the store stays as it is.

        Args:
            archive_root: The folder; None: ``$TORCH_HOME/NATS-...-full``, else ``archive_dir``.
            index: The architecture.

        Raises:
            ValueError: There is no such folder or file, or the file is of something else.
        """
        if self.verbose:
            self._call(f"Call clear_params with archive_root={archive_root} and index={index}")
        root = self._archive_root() if archive_root is None else Path(archive_root)
        if root is None or not root.is_dir():
            raise InvalidSetting(f"Invalid archive_root : {root}: a folder of NNNNNN.{PICKLE_EXT}.")
        for number in range(len(self)) if index is None else [self._engine.lookup.index(index)]:
            states = read_architecture(root, number, self._space)
            self._engine.hold(number, {hp: ArchResults.create_from_state_dict(s) for hp, s in states.items()})
            self._seen(number)

    def _archive_root(self) -> Path | None:
        home = opening.official_home()
        root = None if home is None else home / f"{self._all_base_names[-1]}-full"
        if root is not None and root.is_dir():
            return root
        return None if self._archive_dir is None else Path(self._archive_dir)

    def __repr__(self) -> str:
        """Return the form of the original."""
        return (
            f"{type(self).__name__}({len(self.evaluated_indexes)}/{len(self)} architectures, "
            f"fast_mode={self.fast_mode}, file={self.filename})"
        )
