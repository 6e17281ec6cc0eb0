"""The trials of one architecture on one data set under one recipe as arrays: what quick answers are made of.

A `Cell` answers where nothing is out of the ordinary, as in nearly all of the files: every trial has the same epochs
and the same evaluation sets, and seconds that are one constant. Where anything differs there is no cell, and the
answer comes from `nasgym.compat.metrics.more_info`, trial by trial. Both give the same numbers.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.compat.metrics import is_required, sets_of
from nasgym.importers.official_names import OFFICIAL_DATASETS
from nasgym.results import Evaluation, Series

__all__ = ["Cell", "CellCache", "cell_of"]

Floats = NDArray[np.float64]
_HARMLESS = frozenset({"weights", "clear_net_done", "name", "seed", "arch_config"})  # notes that change no number


@dataclass(frozen=True, slots=True)
class Part:
    """One set of a cell, training or evaluation.

    Attributes:
        keys: What the answer calls loss, accuracy, seconds per epoch and all seconds.
        first: The first epoch with numbers, counted from 0; all later ones have them.
        loss: By trial, ``float64[epochs - first]``.
        accuracy: The same in percent.
        seconds: By trial, ``float64[epochs]``: summed from the first epoch on.
        required: Whether an epoch without numbers is an error.
    """

    keys: tuple[str, str, str, str]
    first: int
    loss: tuple[Floats, ...]
    accuracy: tuple[Floats, ...]
    seconds: tuple[Floats, ...]
    required: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """See the module.

    Attributes:
        seeds: Ascending.
        epochs: Of every trial.
        parts: The training, then the evaluation sets, in the order of the answer.
        latencies: By trial, seconds, in the type of the files.
        commented: Whether an answer has a comment, to be filled in.
        final: Answers for the last epoch, by the trial's place (-1: all), as far as they were asked for.
    """

    seeds: list[int]
    epochs: int
    parts: tuple[Part, ...]
    latencies: tuple[np.float64, ...]
    commented: bool
    final: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Numbers held."""
        return sum(len(a) for part in self.parts for rows in (part.loss, part.accuracy, part.seconds) for a in rows)

    def of_trial(self, place: int, iepoch: int | None) -> dict[str, Any] | None:
        """Return what `more_info` says of one trial, or None where the answer is an error or takes a closer look."""
        if iepoch is None:
            return self._final(place, lambda: self._answer(place, self.epochs - 1))
        return self._answer(place, iepoch)

    def _final(self, place: int, answer: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        known = self.final.get(place)
        if known is None:
            known = answer()
            if known is None:
                return None
            self.final[place] = known
        return known.copy()

    def _answer(self, place: int, epoch: int) -> dict[str, Any] | None:
        if type(epoch) is not int or not 0 <= epoch < self.epochs:
            return None
        count, info = epoch + 1, dict[str, Any]()
        for part in self.parts:
            at = epoch - part.first
            if at < 0:
                if part.required:
                    return None
                continue
            loss, accuracy, per_epoch, total = part.keys
            seconds = part.seconds[place].item(epoch)
            info[loss] = part.loss[place].item(at)
            info[accuracy] = part.accuracy[place].item(at)
            info[per_epoch] = seconds / count
            info[total] = seconds
            if self.commented and part is self.parts[0]:
                info["comment"] = None
        return info

    def of_all(self, mean: Callable[[Sequence[Any]], Any], iepoch: int | None) -> dict[str, Any] | None:
        """Return what `more_info` says of the mean of all trials, or None as `of_trial`."""
        if iepoch is None:
            return self._final(-1, lambda: self._mean(mean, self.epochs - 1))
        return self._mean(mean, iepoch)

    def _mean(self, mean: Callable[[Sequence[Any]], Any], epoch: int) -> dict[str, Any] | None:
        infos = [self._answer(place, epoch) for place in range(len(self.seeds))]
        if any(info is None for info in infos):
            return None
        found = [info for info in infos if info is not None]
        means: dict[str, Any] = {
            name: None if name == "comment" else mean([info[name] for info in found]) for name in found[0]
        }
        for _, _, per_epoch, total in (part.keys for part in self.parts):
            if total in means:
                means[per_epoch] = means[total] / (epoch + 1)
        return means

    def latency(self, mean: Callable[[Sequence[Any]], Any]) -> Any:
        """Return the mean of the latencies in seconds, or None where there is none."""
        known = [latency for latency in self.latencies if latency > 0]
        return mean(known) if known else None


class CellCache:
    """The cells that were asked for last.

    Args:
        numbers: How many floats they may hold together; 16 million are 128 MB.
    """

    def __init__(self, numbers: int = 1 << 24) -> None:
        self._cells: OrderedDict[tuple[int, str, str], Cell | None] = OrderedDict()
        self._numbers, self._held = numbers, 0
        self.get = self._cells.get

    def __contains__(self, key: object) -> bool:
        return key in self._cells

    def put(self, key: tuple[int, str, str], cell: Cell | None) -> None:
        """Add a cell, or that there is none; those that came first make room."""
        self._cells[key] = cell
        self._held += _weight(cell)
        while self._held > self._numbers and len(self._cells) > 1:
            self._held -= _weight(self._cells.popitem(last=False)[1])


def _weight(cell: Cell | None) -> int:
    return 32 if cell is None else 32 + cell.size


def cell_of(dataset: str, trials: Sequence[Evaluation], commented: bool) -> Cell | None:
    """Return the cell of trials, or None where anything is out of the ordinary.

    Args:
        dataset: Their data set, by its official name.
        trials: Seeds ascending.
        commented: Whether an answer has a comment.
    """
    if not trials or len({trial.epochs for trial in trials}) > 1 or not all(map(_is_usual, trials)):
        return None
    epochs, splits = trials[0].epochs, OFFICIAL_DATASETS[dataset].splits
    parts = [_part("train", "train", trials, epochs, False)]
    for part, name in sets_of(dataset):
        have = sum(name in trial.provenance["sets"].split(",") for trial in trials)
        if have == 0 and not is_required(dataset, part):
            continue
        split = splits.get(name, name)
        parts.append(_part(part, split, trials, epochs, is_required(dataset, part)))
    if any(part is None for part in parts):
        return None
    latencies = tuple(np.float64(trial.series["latency_seconds"].values[0]) for trial in trials)
    return Cell([int(t.seed) for t in trials], epochs, tuple(p for p in parts if p is not None), latencies, commented)


def _is_usual(trial: Evaluation) -> bool:
    notes = trial.provenance.get("official")
    return (notes is None or set(json.loads(notes)) <= _HARMLESS) and "latency_seconds" in trial.series


def _part(name: str, split: str, trials: Sequence[Evaluation], epochs: int, required: bool) -> Part | None:
    """Return one set of all trials, or None where they differ or lack something."""
    rows = [_row(split, trial.series, epochs) for trial in trials]
    found = [row for row in rows if row is not None]
    if len(found) < len(rows) or len({first for first, *_ in found}) > 1 or (split == "train" and found[0][0]):
        return None
    keys = (f"{name}-loss", f"{name}-accuracy", f"{name}-per-time", f"{name}-all-time")
    first, loss, accuracy, seconds = zip(*found, strict=True)
    return Part(keys, first[0], loss, accuracy, seconds, required)


def _row(split: str, series: Mapping[str, Series], epochs: int) -> tuple[int, Floats, Floats, Floats] | None:
    """Return the first epoch with numbers, losses, accuracies and summed seconds of one set of one trial."""
    loss, accuracy, seconds = (series.get(f"{split}_{what}") for what in ("loss", "accuracy", "seconds"))
    if loss is None or accuracy is None or seconds is None or f"{split}_epoch_seconds" in series:
        return None
    first = int(loss.epochs[0]) - 1
    if not (_is_run(loss, first, epochs) and _is_run(accuracy, first, epochs) and _is_run(seconds, 0, epochs)):
        return None
    summed = seconds.values if split == "train" else np.cumsum(np.full(epochs, seconds.values[0]))
    return first, loss.values, accuracy.values, summed


def _is_run(series: Series, first: int, epochs: int) -> bool:
    """Tell whether a series has every epoch from ``first`` (counted from 0) to the last."""
    return int(series.epochs[0]) == first + 1 and int(series.epochs[-1]) == epochs == first + len(series.epochs)
