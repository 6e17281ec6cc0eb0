"""What `get_more_info` says of an architecture, from its trials one by one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from nasgym.compat.arch_results import ArchResults

__all__ = ["comment_of", "commented", "is_required", "more_info", "sets_of"]

_HALVES = (("valid", "x-valid"), ("test", "ori-test"))
_SETS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType({"cifar10-valid": _HALVES, "cifar10": _HALVES})
_THREE = (("valid", "x-valid"), ("test", "x-test"), ("valtest", "ori-test"))
_TRAINED_ON = {"cifar10-valid": "train set", "cifar10": "train+valid sets"}


def sets_of(dataset: str) -> tuple[tuple[str, str], ...]:
    """Return what the answer calls the evaluation sets of a data set, and what the files call them."""
    return _SETS.get(dataset, _THREE)


def is_required(dataset: str, part: str) -> bool:
    """Tell whether it is an error that a set has no numbers; all others are left out of the answer."""
    return dataset == "cifar10-valid" and part == "valid"


def more_info(results: ArchResults, dataset: str, iepoch: int | None, is_random: bool | int) -> dict[str, Any]:
    """Return loss, accuracy (percent) and seconds of the training and of every evaluation set that has them.

    Args:
        results: The trials.
        dataset: The data set, by its official name.
        iepoch: Counted from 0; None: the last.
        is_random: False: the mean of all trials; a number: the trial with that seed.

    Raises:
        KeyError: There is no such data set, or ``cifar10-valid`` has no numbers at that epoch.
        ValueError: There is no such epoch or seed.
    """
    train = results.get_metrics(dataset, "train", iepoch=iepoch, is_random=is_random)
    epochs = train["iepoch"] + 1
    info = _part("train", train, epochs)
    if commented(results, dataset):
        info["comment"] = None
    for part, name in sets_of(dataset):
        try:
            info |= _part(part, results.get_metrics(dataset, name, iepoch=iepoch, is_random=is_random), epochs)
        except (LookupError, ValueError):
            if is_required(dataset, part):
                raise
    return info


def _part(part: str, found: Mapping[str, Any], epochs: float) -> dict[str, Any]:
    total = found["all_time"]
    return {
        f"{part}-loss": found["loss"],
        f"{part}-accuracy": found["accuracy"],
        f"{part}-per-time": None if total is None else total / epochs,
        f"{part}-all-time": total,
    }


def commented(results: ArchResults | type[ArchResults], dataset: str) -> bool:
    """Tell whether an answer has a ``comment``, which `nats_bench` fills in."""
    return results.has_comments and dataset in _TRAINED_ON


def comment_of(dataset: str, hp: Any) -> str:
    """Return what `nats_bench` adds to its answers about CIFAR-10, word for word: scripts print and compare it."""
    trained = _TRAINED_ON[dataset]
    return (
        f"In this dict, train-loss/accuracy/time is the metric on the {trained} of CIFAR-10. The "
        "test-loss/accuracy/time is the performance of the CIFAR-10 test set after "
        f"training on the {trained} by {hp} epochs. The per-time and "
        "total-time indicate the per epoch and total time costs, respectively."
    )
