"""The best architecture, without reading every trial: columns say where to look, trials decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.compat.arch_results import ArchResults
from nasgym.compat.stored import StoredResults
from nasgym.errors import InvalidSetting
from nasgym.importers.official_names import OFFICIAL_DATASETS, table_of

__all__ = ["best_of", "candidates", "remapped"]

Bounds = tuple[Any, Any]
_SLACK = 1e-3  # millions; sums in another order differ by far less


def remapped(dataset: str, metric_on_set: str, verbose: bool = False) -> tuple[str, str]:
    """Return the data set and the evaluation set that ``(cifar10, valid)`` and its like stand for."""
    found = dataset, metric_on_set
    if dataset == "cifar10" and metric_on_set == "valid":
        found = "cifar10-valid", "x-valid"
    elif dataset == "cifar10" and metric_on_set == "test":
        found = "cifar10", "ori-test"
    elif dataset in ("cifar100", "ImageNet16-120") and metric_on_set in ("valid", "test"):
        found = dataset, f"x-{metric_on_set}"
    if verbose:
        asked = f"dataset={dataset} and metric_on_set={metric_on_set}"
        print(f"Call internal function _remap_dataset_set_names with {asked}")
        print(f"  return dataset={found[0]} and metric_on_set={found[1]}")
    return found


def best_of(results: ArchResults, dataset: str, setname: str, most: Bounds) -> Any:
    """Return the mean accuracy of an architecture in percent, or None where it is larger than allowed.

    Args:
        results: Its trials.
        dataset: The data set.
        setname: The evaluation set, or ``train``.
        most: The bounds of FLOPs and parameters in millions, None for none.
    """
    if most != (None, None):
        costs = results.get_compute_costs(dataset)
        if any(
            bound is not None and costs[name] > bound for name, bound in zip(("flops", "params"), most, strict=True)
        ):
            return None
    return results.get_metrics(dataset, setname)["accuracy"]


def candidates(stored: StoredResults, dataset: str, setname: str, hp: str, most: Bounds) -> Iterator[tuple[int, float]]:
    """Yield architectures and their mean accuracies in percent up to the last digits, the highest first.

    Those that are surely larger than allowed are left out.

    Raises:
        KeyError: There is no such data set or recipe.
        InvalidSetting: The data set has no such set; a ValueError.
    """
    if dataset not in OFFICIAL_DATASETS or hp not in stored.recipes:
        raise KeyError(dataset if dataset not in OFFICIAL_DATASETS else hp)
    sets, setname = OFFICIAL_DATASETS[dataset].splits, "x-valid" if setname == "valid" else setname
    if setname not in (*sets, "train"):
        raise InvalidSetting(f"{dataset} has no set {setname}: train, {', '.join(sets)}.")
    key = table_of(stored.space, dataset, hp)
    metric = f"{sets.get(setname, setname)}_accuracy"
    bounds = {name: bound for name, bound in zip(("flops", "params"), most, strict=True) if bound is not None}
    columns = stored.columns(key, metric, *bounds)
    if columns is None:
        return
    accuracy = 100 * _mean(columns.values[metric])
    for name, bound in bounds.items():
        sizes = columns.values[name]
        if sizes.size:
            lowest = np.nanmin(np.where(np.isnan(sizes), np.inf, sizes), axis=0)
            accuracy[lowest > bound + _SLACK] = np.nan
    order = np.lexsort((np.arange(len(accuracy)), -accuracy))
    for index in order[: np.count_nonzero(~np.isnan(accuracy))].tolist():
        yield index, float(accuracy[index])


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = (~np.isnan(values)).sum(axis=0)
    return np.where(known > 0, np.nansum(values, axis=0) / np.maximum(known, 1), np.nan)
