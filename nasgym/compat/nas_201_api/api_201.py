"""NAS-Bench-201; the module of that name of the original."""

from __future__ import annotations

import os
import random
from typing import Any

from nasgym.compat import opening, printing
from nasgym.compat.arch_results import ArchResults as AnyArchResults
from nasgym.compat.arguments import recipe_name
from nasgym.compat.facade import Facade
from nasgym.compat.nas_201_api.api_utils import ArchResults
from nasgym.errors import InvalidSetting
from nasgym.store import Store

__all__ = ["ALL_ARCHIVE_DIRS", "ALL_BENCHMARK_FILES", "NASBench201API", "print_information"]

ALL_ARCHIVE_DIRS = ["NAS-Bench-201-v1_1-archive"]
ALL_BENCHMARK_FILES = ["NAS-Bench-201-v1_0-e61699.pth", "NAS-Bench-201-v1_1-096897.pth"]


def print_information(information: AnyArchResults, extra_info: Any = None, show: bool = False) -> list[str]:
    """Return, and print where ``show``, the lines that describe an architecture."""
    return printing.information(information, extra_info, show, joint=", ")


class NASBench201API(Facade):
    """The results of NAS-Bench-201: 15,625 cells, trained for 12 and for 200 epochs.

    The first versions of the original (up to 1.3) had ``use_12epochs_result`` where ``hp`` is now: the methods take it
    by that name and, as True or False, in that place.

    Args:
        file_path_or_dict: None: the nasgym store; a path: that file, imported into the store first; or a dictionary
            as the original loads it.
        verbose: Print a line at every call, as the original does.
        store: The store; None: the user's.
        rng: What draws seeds and architectures: a `random.Random`, a seed for one, or None for Python's global
            generator, as in the original.

    Raises:
        ValueError: The results are not there.
    """

    _stamped, _joint = False, ", "

    def __init__(
        self,
        file_path_or_dict: opening.Source = None,
        verbose: bool = True,
        *,
        store: Store | os.PathLike[str] | str | None = None,
        rng: random.Random | int | None = None,
    ) -> None:
        path = os.fspath(file_path_or_dict) if isinstance(file_path_or_dict, str | os.PathLike) else None
        if verbose and path is not None:
            print(f"try to create the NAS-Bench-201 api from {path}")
        engine = opening.engine_of(
            file_path_or_dict,
            "nb201",
            ArchResults,
            names=reversed(ALL_BENCHMARK_FILES),
            recipes={"12": "less", "200": "full"},
            store=store,
            rng=rng,
        )
        super().__init__(engine, None if path is None else os.path.basename(path), verbose)

    @property
    def evaluated_indexes(self) -> list[int]:
        """The architectures that have results, ascending."""
        return sorted(self._engine.indexes())

    def query_info_str_by_arch(self, arch: Any, hp: Any = "12", use_12epochs_result: bool | None = None) -> str | None:
        """Return some lines that describe an architecture, or None (with a warning) where it has no results."""
        hp = recipe_name(hp, use_12epochs_result)
        self._say(f"Call query_info_str_by_arch with arch={arch} and hp={hp}")
        return self._info_str(arch, hp)

    def query_by_arch(self, arch: Any, hp: Any = "12", use_12epochs_result: bool | None = None) -> str | None:
        """Return some lines that describe an architecture."""
        return self.query_info_str_by_arch(arch, hp, use_12epochs_result)

    def query_meta_info_by_index(self, arch_index: Any, hp: Any = "12", use_12epochs_result: bool | None = None) -> Any:
        """Return the results of an architecture; see `Facade.query_meta_info_by_index`."""
        return super().query_meta_info_by_index(arch_index, recipe_name(hp, use_12epochs_result))

    def query_by_index(
        self, arch_index: Any, dataname: str | None = None, hp: Any = "12", use_12epochs_result: bool | None = None
    ) -> Any:
        """Return the results of an architecture, or its trials on one data set; see `Facade.query_by_index`."""
        return super().query_by_index(arch_index, dataname, recipe_name(hp, use_12epochs_result))

    def get_net_param(
        self, index: Any, dataset: str, seed: int | None, hp: Any = "12", use_12epochs_result: bool | None = None
    ) -> Any:
        """Return the trained weights: None each; see `Facade.get_net_param`."""
        return super().get_net_param(index, dataset, seed, recipe_name(hp, use_12epochs_result))

    def get_cost_info(
        self, index: Any, dataset: str, hp: Any = "12", use_12epochs_result: bool | None = None
    ) -> dict[str, Any]:
        """Return means over the trials; see `Facade.get_cost_info`."""
        return super().get_cost_info(index, dataset, recipe_name(hp, use_12epochs_result))

    def get_latency(self, index: Any, dataset: str, hp: Any = "12", use_12epochs_result: bool | None = None) -> Any:
        """Return the latency of a batch of 256 images in seconds; see `Facade.get_latency`."""
        return super().get_latency(index, dataset, recipe_name(hp, use_12epochs_result))

    def get_more_info(
        self,
        index: Any,
        dataset: str,
        iepoch: int | None = None,
        hp: Any = "12",
        is_random: bool | int = True,
        use_12epochs_result: bool | None = None,
    ) -> dict[str, Any]:
        """Return what one training, or the mean of all, gave.

        Args:
            index: The architecture: an index, a string, or an object with ``tostr()``.
            dataset: ``cifar10-valid``, ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
            iepoch: Counted from 0; None: the last.
            hp: The recipe, by its epochs.
            is_random: True: of one training, drawn; False: the mean of all; a number: of the one with that seed.
            use_12epochs_result: The recipe as the first versions named it.

        Returns:
            ``{train,valid,test,valtest}-{loss,accuracy,per-time,all-time}`` as far as they are known, in percent and
            seconds.

        Raises:
            KeyError: There are no results of that data set or recipe.
            ValueError: No such architecture, epoch or seed, or no results of the architecture.
        """
        hp = recipe_name(hp, use_12epochs_result)
        if self.verbose:
            self._call(
                f"Call the get_more_info function with index={index}, dataset={dataset}, iepoch={iepoch}, hp={hp}, "
                f"and is_random={is_random}."
            )
        return self._engine.more_info(self.query_index_by_arch(index), dataset, iepoch, hp, is_random)

    def simulate_train_eval(
        self, arch: Any, dataset: str, hp: Any = "12", account_time: bool = True
    ) -> tuple[Any, Any, Any, Any]:
        """Return what a search sees of an architecture, and charge its seconds.

        Args:
            arch: The architecture: an index, a string, or an object with ``tostr()``.
            dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
            hp: The recipe, by its epochs.
            account_time: Whether the seconds are added to ``used_time``.

        Returns:
            Validation accuracy in percent of a training that is drawn, latency in seconds (of the 12-epoch recipe, as
            in the original), the seconds of training and one validation, and ``used_time``.

        Raises:
            KeyError: There are no results of that data set or recipe.
            ValueError: No such architecture or data set, or no results of the architecture.
        """
        index, trained = self.query_index_by_arch(arch), self._searched(dataset)
        info = self.get_more_info(index, trained, iepoch=None, hp=hp, is_random=True)
        seconds = info["train-all-time"] + info["valid-per-time"]
        return info["valid-accuracy"], self.get_latency(index, dataset), seconds, self._charge(seconds, account_time)

    def find_best(
        self,
        dataset: str,
        metric_on_set: str,
        FLOP_max: float | None = None,  # noqa: N803 - as in the original
        Param_max: float | None = None,  # noqa: N803
        hp: Any = "12",
        use_12epochs_result: bool | None = None,
    ) -> tuple[int, Any]:
        """Return the architecture of the highest mean accuracy, and that accuracy in percent; of equals the first.

        Args:
            dataset: A data set.
            metric_on_set: ``train``, ``valid``, ``test``, or an evaluation set of the files.
            FLOP_max: At most so many million FLOPs.
            Param_max: At most so many million parameters.
            hp: The recipe, by its epochs.
            use_12epochs_result: The recipe as the first versions named it.

        Returns:
            (-1, None) where there is none within the bounds.
        """
        hp = recipe_name(hp, use_12epochs_result)
        return self._best(dataset, metric_on_set, (FLOP_max, Param_max), hp, None)

    def reload(self, archive_root: str | None = None, index: int | None = None) -> None:
        """Refuse: the archive with weights that the original reads is no longer distributed.

        Raises:
            InvalidSetting: Always; a ValueError.
        """
        raise InvalidSetting(
            "the archive of NAS-Bench-201 with weights is no longer distributed; `nasgym import nas-bench-201 PATH` "
            "imports the results, and reload of NATStopology reads a folder of NATS-Bench."
        )

    def __repr__(self) -> str:
        """Return the form of the original."""
        have = len(self._engine.indexes())
        return f"{type(self).__name__}({have}/{len(self)} architectures, file={self.filename})"
