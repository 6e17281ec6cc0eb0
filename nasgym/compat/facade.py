"""The methods that both originals have, over one `Engine`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from nasgym.compat import printing, topology
from nasgym.compat.arch_results import ArchResults
from nasgym.compat.arguments import recipe_name
from nasgym.compat.best import remapped
from nasgym.compat.engine import Engine, NotEvaluated
from nasgym.errors import InvalidArchitecture, InvalidSetting

__all__ = ["Facade"]

_DATASETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
_CHARGED = ("cifar10", "cifar100", "ImageNet16-120")


class Facade:
    """See the classes in `nasgym.compat.nats_bench` and `nasgym.compat.nas_201_api`.

    Args:
        engine: The results.
        filename: What the printed form calls the file.
        verbose: Print a line at every call, as the originals do.
    """

    _stamped: ClassVar[bool] = True
    _joint: ClassVar[str] = " & "
    _sized: ClassVar[bool] = False

    def __init__(self, engine: Engine, filename: str | None, verbose: bool) -> None:
        self._engine, self.filename, self.verbose = engine, filename, verbose
        self._used_time: Any = 0

    # Architectures

    @property
    def meta_archs(self) -> list[str]:
        """All architecture strings by index."""
        return self._engine.strings

    @property
    def archstr2index(self) -> dict[str, int]:
        """Architecture string -> index."""
        return {text: index for index, text in enumerate(self._engine.strings)}

    @property
    def arch2infos_dict(self) -> Mapping[int, Mapping[str, ArchResults]]:
        """Index -> recipe -> results; what is changed in them shows in later answers."""
        return _Infos(self._engine)

    @property
    def avaliable_hps(self) -> list[str]:
        """The recipes, by their number of epochs (spelt as in the originals)."""
        return self._engine.recipes()

    def __getitem__(self, index: int) -> str:
        return self._engine.strings[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._engine.strings)

    def __len__(self) -> int:
        return self._engine.size

    def arch(self, index: int) -> str:
        """Return the string of an architecture; raises `InvalidArchitecture`, a ValueError, outside the space."""
        self._say(f"Call the arch function with index={index}")
        if not 0 <= index < len(self):
            raise InvalidArchitecture(f"invalid index : {index} vs. {len(self)}.")
        return self._engine.strings[index]

    def random(self) -> int:
        """Return the index of an architecture, drawn."""
        drawn: int = self._engine.draws.randint(0, len(self) - 1)
        return drawn

    def query_index_by_arch(self, arch: Any) -> int:
        """Return the index of an architecture.

        Args:
            arch: An index (numpy's numbers too), an architecture string, or an object with ``tostr()``.

        Raises:
            InvalidArchitecture: It is not in the search space; a ValueError.
        """
        if self.verbose:
            self._call(f"Call query_index_by_arch with arch={arch}")
        return self._engine.lookup.index(arch)

    # The clock

    @property
    def used_time(self) -> Any:
        """Seconds charged since `reset_time`."""
        return self._used_time

    def reset_time(self) -> None:
        """Set the clock to zero."""
        self._used_time = 0

    def _charge(self, seconds: Any, account_time: bool) -> Any:
        if account_time:
            self._used_time += seconds
        return self._used_time

    @staticmethod
    def _searched(dataset: str) -> str:
        """Return the data set whose validation a search on ``dataset`` sees."""
        if dataset not in _CHARGED:
            raise InvalidSetting(f"Invalid dataset name : {dataset} vs {_CHARGED}.")
        return "cifar10-valid" if dataset == "cifar10" else dataset

    # Results

    def query_info_str_by_arch(self, arch: Any, hp: Any = "12") -> str | None:
        """Return some lines that describe an architecture, or None (with a warning) where it has no results."""
        if self.verbose:
            self._call(f"Call query_info_str_by_arch with arch={arch}and hp={hp}")
        return self._info_str(arch, hp)

    def _info_str(self, arch: Any, hp: Any) -> str | None:
        index, hp = self.query_index_by_arch(arch), recipe_name(hp)
        try:
            results = self._of_recipe(index, hp)
        except NotEvaluated:
            warnings.warn(f"Find this arch-index : {index}, but this arch is not evaluated.", stacklevel=3)
            return None
        return "\n".join(self._lines(results, f"arch-index={index}"))

    def query_meta_info_by_index(self, arch_index: Any, hp: Any = "12") -> Any:
        """Return the results of an architecture, the caller's to change.

        Raises:
            ValueError: It has none, or none under this recipe.
        """
        self._say(f"Call query_meta_info_by_index with arch_index={arch_index}, hp={hp}")
        index = self._engine.lookup.index(arch_index)
        found = self._engine.copied(index, recipe_name(hp))
        self._seen(index)
        return found

    def query_by_index(self, arch_index: Any, dataname: str | None = None, hp: Any = "12") -> Any:
        """Return the results of an architecture, or its trials on one data set by seed.

        Raises:
            ValueError: It has none, or none of this data set or recipe.
        """
        hp = recipe_name(hp)
        if self.verbose:
            self._call(f"Call query_by_index with arch_index={arch_index}, dataname={dataname}, hp={hp}")
        if dataname is None:
            return self.query_meta_info_by_index(arch_index, hp)
        self._say(f"Call query_meta_info_by_index with arch_index={arch_index}, hp={hp}")
        index = self._engine.lookup.index(arch_index)
        info = self._engine.copied(index, hp, dataname)
        self._seen(index)
        if dataname not in info.dataset_seed:
            known = self._engine.results(index, hp).get_dataset_names()
            raise InvalidSetting(f"invalid dataset-name : {dataname} vs. {known}.")
        return info.query(dataname)

    def get_net_param(self, index: Any, dataset: str, seed: int | None, hp: Any = "12") -> Any:
        """Return the trained weights of a seed, or of all by seed: None each, results in the store have no weights."""
        if self.verbose:
            self._call(f"Call the get_net_param function with index={index}, dataset={dataset}, seed={seed}, hp={hp}")
        return self.query_meta_info_by_index(index, hp).get_net_param(dataset, seed)

    def get_net_config(self, index: Any, dataset: str) -> dict[str, Any]:
        """Return the configuration of the network of an architecture on a data set; raises KeyError without it."""
        if self.verbose:
            self._call(f"Call the get_net_config function with index={index}, dataset={dataset}.")
        number = self._engine.lookup.index(index)
        for hp in self._recipes(number):
            results = self._engine.results(number, hp, dataset)
            if dataset in results.dataset_seed:
                self._seen(number)
                found: dict[str, Any] = next(iter(results.query(dataset).values())).get_config(None)
                return found
        raise KeyError(dataset)

    def get_cost_info(self, index: Any, dataset: str, hp: Any = "12") -> dict[str, Any]:
        """Return means over the trials: ``flops``, ``params`` (millions), ``latency`` and ``T-SET@...`` (seconds)."""
        if self.verbose:
            self._call(f"Call the get_cost_info function with index={index}, dataset={dataset}, and hp={hp}.")
            self._say(f"Call query_meta_info_by_index with arch_index={index}, hp={hp}")
        number = self._engine.lookup.index(index)
        try:
            found = self._engine.costs(number, dataset, recipe_name(hp))
        except KeyError:
            self._of_recipe(number, recipe_name(hp))  # a ValueError where it is the recipe that is missing
            raise
        self._seen(number)
        return found

    def get_latency(self, index: Any, dataset: str, hp: Any = "12") -> Any:
        """Return the latency of a batch of 256 images in seconds, the mean over the trials, or None."""
        if self.verbose:
            self._call(f"Call the get_latency function with index={index}, dataset={dataset}, and hp={hp}.")
            self._call(f"Call the get_cost_info function with index={index}, dataset={dataset}, and hp={hp}.")
            self._say(f"Call query_meta_info_by_index with arch_index={index}, hp={hp}")
        number = self._engine.lookup.index(index)
        try:
            found = self._engine.latency(number, dataset, recipe_name(hp))
        except KeyError:
            self._of_recipe(number, recipe_name(hp))  # as in get_cost_info
            raise
        self._seen(number)
        return found

    def _best(
        self, dataset: str, metric_on_set: str, most: tuple[Any, Any], hp: Any, among: set[int] | None
    ) -> tuple[int, Any]:
        if self.verbose:
            self._call(
                f"Call find_best with dataset={dataset}, metric_on_set={metric_on_set}, hp={hp} | "
                f"with #FLOPs < {most[0]} and #Params < {most[1]}"
            )
        dataset, metric_on_set = remapped(dataset, metric_on_set, self.verbose)
        index, accuracy = self._engine.best(dataset, metric_on_set, recipe_name(hp), most, among)
        if self.verbose and accuracy is not None:
            print(f"  the best architecture : [{index}] {self.arch(index)} with accuracy={accuracy:.3f}%")
        elif self.verbose:
            print("No architecture has such results within these bounds.")
        return index, accuracy

    def clear_params(self, index: int, hp: Any = None) -> None:
        """Forget weights of an architecture; results from the store have none.

        Raises:
            ValueError: It has no results under this recipe.
        """
        if self.verbose:
            self._call(f"Call clear_params with index={index} and hp={hp}")
        number = self._engine.lookup.index(index)
        known = self._engine.recipes_of(number)
        if not known:
            warnings.warn(
                f"The {index}-th architecture is not in the benchmark data yet, no need to clear params.", stacklevel=2
            )
            return
        if hp is not None and recipe_name(hp) not in known:
            raise _no_recipe(number, known, hp)
        for name, results in self._engine.held.get(number, {}).items():
            if hp is None or recipe_name(hp) == name:
                results.clear_params()

    def statistics(self, dataset: str, hp: Any) -> dict[int, int]:
        """Return number of trials -> number of architectures that have so many on a data set.

        Raises:
            ValueError: There is no such data set.
            KeyError: There is no such recipe.
        """
        self._say(f"Call the statistics function with dataset={dataset} and hp={hp}.")
        if dataset not in _DATASETS:
            raise InvalidSetting(f"{dataset} not in {list(_DATASETS)}.")
        hp = recipe_name(hp)
        if hp not in self._engine.recipes():
            raise KeyError(hp)
        found: dict[int, int] = {}
        for trials in self._engine.counts(dataset, hp, self._evaluated()):
            found[trials] = found.get(trials, 0) + 1
        return found

    def show(self, index: int = -1) -> None:
        """Print an architecture, or (below 0) all that have results."""
        if 0 <= index < len(self):
            infos = self._engine.fresh(int(index))
            if not infos:
                print(f"The {index}-th architecture has not been evaluated or not saved.")
                return
            self._seen(int(index))
            printing.show_one(infos, self._lines)
        elif index >= 0:
            print(f"This index ({index}) is out of range (0~{len(self)}).")
        else:
            self._show_all()

    def _show_all(self) -> None:
        print(self)
        every = sorted(self._evaluated())
        for place, number in enumerate(every):
            print(f"\n{'-' * 10} The ({place:5d}/{len(every):5d}) {number:06d}-th architecture! {'-' * 10}")
            print(f"arch : {self._engine.strings[number]}")
            printing.show_one(self._engine.fresh(number), self._lines)

    # Strings

    @staticmethod
    def str2lists(arch_str: str) -> list[Any]:
        """Return, node by node, its inputs as (operation, number of the node that it comes from)."""
        return topology.str2lists(arch_str)

    @staticmethod
    def str2matrix(arch_str: str, search_space: Any = topology.OPERATIONS) -> Any:
        """Return ``float64[n, n]``: the number of the operation from node (column) to node (row)."""
        return topology.str2matrix(arch_str, search_space)

    # Parts

    def _lines(self, results: ArchResults, extra_info: Any = None) -> list[str]:
        return printing.information(results, extra_info, joint=self._joint, sized=self._sized)

    def _of_recipe(self, index: int, hp: str, dataset: str | None = None) -> ArchResults:
        """Return results to look at; raises ValueError where there are none under this recipe."""
        try:
            found = self._engine.results(index, hp, dataset)
        except KeyError:
            raise _no_recipe(index, self._engine.recipes_of(index), hp) from None
        self._seen(index)
        return found

    def _recipes(self, index: int) -> list[str]:
        known = self._engine.recipes_of(index)
        if not known:
            self._engine.results(index, "12")  # raises: it has no results
        return known

    def _evaluated(self) -> set[int]:
        """Return the architectures that count as evaluated."""
        return self._engine.indexes()

    def _seen(self, index: int) -> None:
        """Note that the results of an architecture were read."""

    def _call(self, text: str) -> None:
        if self.verbose:
            print(f"{printing.time_string()} {text}" if self._stamped else text)

    def _say(self, text: str) -> None:
        if self.verbose:
            print(text)


class _Infos(Mapping[int, Mapping[str, ArchResults]]):
    """The results of all architectures, read one by one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getitem__(self, index: int) -> Mapping[str, ArchResults]:
        if index not in self:
            raise KeyError(index)
        return self._engine.infos(index)

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and self._engine.has(index)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._engine.indexes()))

    def __len__(self) -> int:
        return len(self._engine.indexes())


def _no_recipe(index: int, known: list[str], hp: Any) -> InvalidSetting:
    return InvalidSetting(f"The {index}-th architecture only has hyper-parameters of {known} instead of {hp}.")
