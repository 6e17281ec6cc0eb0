"""The fields of one official trial as series, and series as fields, with what is out of the ordinary."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchive
from nasgym.results import Series, Unit

__all__ = ["NOTHING", "Reader", "Writer", "check_names", "check_seeds", "mean_seconds"]

NOTHING: Mapping[str, Any] = MappingProxyType({})
_MAX_TEXT = 4096  # characters of a name, a string of a configuration, or the names of all sets
_TYPES = {"float": float, "float64": np.float64, "int": int, "float32": np.float32, "int64": np.int64}
_NUMBERS = frozenset(_TYPES.values())


def check_names(state: object, names: Sequence[str], where: str) -> None:
    """Raise `InvalidArchive` unless ``state`` is a dictionary of exactly these names."""
    if not isinstance(state, dict):
        raise InvalidArchive(f"{where}: the record is a {type(state).__name__}, not a dictionary.")
    missing = [name for name in names if name not in state]
    if missing or len(state) != len(names):
        fault = f"without {', '.join(missing)}" if missing else f"of {len(state)} fields instead of {len(names)}"
        raise InvalidArchive(f"{where}: a record {fault}: the file is of another version, or none of results.")


def check_seeds(results: object, seeds: object, where: str) -> None:
    """Raise `InvalidArchive` unless the trials of an architecture are those that its list of seeds names."""
    if not isinstance(results, dict) or not isinstance(seeds, dict):
        raise InvalidArchive(f"{where}: its trials or their list of seeds are no dictionary.")
    for key in results:
        if type(key) is not tuple or len(key) != 2 or type(key[0]) is not str or type(key[1]) is not int or key[1] < 0:
            raise InvalidArchive(f"{where}: a trial is not named by a data set and a seed.")
    listed = {
        (name, seed)
        for name, found in seeds.items()
        if isinstance(found, list)
        for seed in found
        if type(seed) is int  # nothing nested is hashed: that could take forever
    }
    if listed != set(results):
        raise InvalidArchive(f"{where}: the list of seeds is not that of its {len(results)} trials.")


class Reader:
    """Reads the fields of one trial; what is out of the ordinary is noted in ``odd``.

    Args:
        where: Which trial, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self.odd: dict[str, Any] = {}

    def curve(self, state: Mapping[str, Any], field: str, unit: Unit, usual: object) -> Series | None:
        """Return a field of numbers by epoch, or None where it is empty."""
        found = self._numbers(state, field, usual)
        return None if not found else self._series(list(found), list(found.values()), field, unit)

    def curves_by_set(self, state: Mapping[str, Any], field: str, unit: Unit) -> dict[str, Series]:
        """Return a field of numbers by ``set@epoch``, set by set."""
        grouped: dict[str, tuple[list[int], list[float]]] = {}
        for text, value in self._numbers(state, field, {}).items():
            name, epoch = self._set_and_epoch(text, field)
            epochs, values = grouped.setdefault(name, ([], []))
            epochs.append(epoch)
            values.append(value)
        more = [name for name in grouped if name not in self.names(state["eval_names"])]
        if more:
            self.odd["more_sets"] = sorted({*more, *self.odd.get("more_sets", ())})
        return {name: self._series(*found, field, unit) for name, found in grouped.items()}

    def train_seconds(self, state: Mapping[str, Any]) -> dict[str, Series | None]:
        """Return ``train_seconds``, summed as the files' own code sums, and the measured ones where they differ."""
        found = self.curve(state, "train_times", "seconds", usual=None)
        if found is None:
            return {}
        series: dict[str, Series | None] = {}
        if _is_whole(found):
            series["train_seconds"] = Series(np.cumsum(found.values), found.epochs, "seconds")
        if not _is_constant(found):
            series["train_epoch_seconds"] = found
        return series

    def costs(self, state: Mapping[str, Any]) -> dict[str, Series]:
        """Return parameters, FLOPs and latency."""
        units: dict[str, tuple[str, str]] = {"params": ("params", "float64"), "flop": ("flops", "float")}
        series = {}
        for field, (name, usual) in units.items():
            self._note_type(field, [state[field]], usual)
            series[name] = Series.of(state[field], 0, "millions")
        latency = state["latency"]
        if latency is None or latency == []:
            self.odd["latency"] = latency
            return series
        if not isinstance(latency, list):
            raise InvalidArchive(f"{self._where}: latency is a {type(latency).__name__}, not a list of seconds.")
        self._note_type("latency", latency, "float64")
        if len(latency) == 1:
            return series | {"latency_seconds": Series.of(latency, 0, "seconds")}
        batches = Series.of(latency, np.arange(1, len(latency) + 1), "seconds")
        return series | {
            "latency_seconds": Series.of(sum(latency) / len(latency), 0, "seconds"),
            "latency_batches": batches,
        }

    def names(self, value: object) -> list[str]:
        """Return the evaluation sets of a trial."""
        if not isinstance(value, list) or any(type(name) is not str or not name or "," in name for name in value):
            raise InvalidArchive(f"{self._where}: eval_names is not a list of names.")
        if sum(map(len, value)) > _MAX_TEXT:
            raise InvalidArchive(f"{self._where}: eval_names has more than {_MAX_TEXT} characters.")
        return value

    def plain(self, state: Mapping[str, Any], field: str) -> object:
        """Return an unusual name or configuration, if it is of plain short values."""
        value = state[field]
        items = list(value.items()) if isinstance(value, dict) else [(field, value)]
        for name, item in items:
            if type(name) is not str or type(item) not in (str, int, float, bool, type(None)) or len(items) > 64:
                raise InvalidArchive(f"{self._where}: {field} is not of plain values.")
            if len(str(item)) > _MAX_TEXT:
                raise InvalidArchive(f"{self._where}: {field} has a text of more than {_MAX_TEXT} characters.")
        return value

    def _numbers(self, state: Mapping[str, Any], field: str, usual: object) -> dict[Any, float]:
        found = state[field]
        if found is None or found == {}:
            if found != usual:
                self.odd.setdefault("empty", {})[field] = found
            return {}
        if not isinstance(found, dict):
            raise InvalidArchive(f"{self._where}: {field} is a {type(found).__name__}, not a dictionary of numbers.")
        self._note_type(field, found.values(), "float")
        return found

    def _note_type(self, field: str, values: Collection[object], usual: str) -> None:
        types = set(map(type, values))
        if types == {_TYPES[usual]}:
            return
        if not types <= _NUMBERS:
            strangers = ", ".join(sorted(kind.__name__ for kind in types - _NUMBERS))
            raise InvalidArchive(f"{self._where}: {field} holds {strangers} where numbers should be.")
        if any(isinstance(value, int | np.int64) and abs(int(value)) >= 1 << 53 for value in values):
            raise InvalidArchive(f"{self._where}: {field} holds a whole number that a float cannot hold.")
        if len(types) == 1:
            kind = types.pop()
            self.odd.setdefault("types", {})[field] = next(name for name, known in _TYPES.items() if known is kind)

    def _series(self, epochs: list[int], values: list[float], field: str, unit: Unit) -> Series:
        """Return numbers by epoch, counted from 1 here."""
        if any(type(epoch) is not int or not 0 <= epoch < 1 << 40 for epoch in epochs):
            raise InvalidArchive(f"{self._where}: {field} has an epoch that is none.")
        at, numbers = np.array(epochs, dtype=np.int64) + 1, np.array(values, dtype=np.float64)
        if (at[1:] <= at[:-1]).any():
            order = np.argsort(at, kind="stable")
            at, numbers = at[order], numbers[order]
            if (at[1:] == at[:-1]).any():
                raise InvalidArchive(f"{self._where}: {field} has an epoch twice.")
        return Series(numbers, at, unit)

    def _set_and_epoch(self, text: object, field: str) -> tuple[str, int]:
        found = _parsed(text) if type(text) is str and len(text) <= 64 else None
        if found is None:
            raise InvalidArchive(f"{self._where}: {field} has a key that is not written SET@EPOCH.")
        return found


class Writer:
    """Builds the fields of one trial.

    Args:
        series: The evaluation's.
        odd: What was noted as out of the ordinary.
    """

    def __init__(self, series: Mapping[str, Series], odd: Mapping[str, Any]) -> None:
        self._series, self._odd = series, odd

    def field(self, name: str, found: dict[Any, Any], usual: object) -> Any:
        """Return a dictionary, or what the file had in its place where it is empty."""
        return found or self._odd.get("empty", {}).get(name, usual)

    def by_epoch(self, field: str, name: str) -> dict[int, float]:
        """Return a series by epoch, counted from 0 as in the files."""
        found = self._series.get(name)
        return {} if found is None else dict(zip(_epochs(found), self._values(field, found.values), strict=True))

    def by_set(self, field: str, splits: Mapping[str, str], what: str) -> dict[str, float]:
        """Return series by ``set@epoch``."""
        return {
            f"{name}@{epoch}": value
            for name, split in splits.items()
            for epoch, value in self.by_epoch(field, f"{split}_{what}").items()
        }

    def times(self, split: str, measured: dict[int, float], field: str) -> dict[int, Any]:
        """Return seconds by epoch: the measured ones, or the constant that their sums (or means) begin with."""
        summed = self._series.get(f"{split}_seconds")
        if measured or summed is None:
            return measured
        constant = self._values(field, summed.values[:1])[0]
        return dict.fromkeys(_epochs(summed), constant)

    def eval_times(self, splits: Mapping[str, str]) -> dict[str, Any]:
        """Return the seconds of the evaluation sets by ``set@epoch``."""
        return {
            f"{name}@{epoch}": value
            for name, split in splits.items()
            for epoch, value in self.times(
                split, self.by_epoch("eval_times", f"{split}_epoch_seconds"), "eval_times"
            ).items()
        }

    def number(self, field: str, name: str, usual: str) -> Any:
        """Return a single number."""
        return self._values(field, self._series[name].values, usual)[0]

    def latency(self) -> list[Any]:
        """Return the latencies."""
        found = self._series.get("latency_batches", self._series.get("latency_seconds"))
        return [] if found is None else self._values("latency", found.values, "float64")

    def _values(self, field: str, values: NDArray[np.float64], usual: str = "float") -> list[Any]:
        kind = self._odd.get("types", {}).get(field, usual)
        return list(values) if kind == "float64" else [_TYPES[kind](value) for value in values.tolist()]


def mean_seconds(split: str, measured: Series) -> dict[str, Series]:
    """Return ``{split}_seconds``, as one pass over the split is charged, and the measured ones where they differ."""
    series = {}
    if _is_whole(measured):
        means = np.cumsum(measured.values) / np.arange(1, len(measured.values) + 1)
        series[f"{split}_seconds"] = Series(means, measured.epochs, "seconds")
    if not _is_constant(measured):
        series[f"{split}_epoch_seconds"] = measured
    return series


def _is_whole(series: Series) -> bool:
    """Tell whether no epoch is missing from the first on."""
    return bool(series.epochs[0] == 1 and series.epochs[-1] == len(series.epochs))


def _is_constant(series: Series) -> bool:
    """Tell whether a constant from the first epoch on can be told from its sums."""
    bits = series.values.view(np.uint64)
    return _is_whole(series) and bool((bits == bits[0]).all())


def _epochs(series: Series) -> Iterable[int]:
    found: list[int] = (series.epochs - 1).tolist()
    return found


@lru_cache(maxsize=8192)
def _parsed(text: str) -> tuple[str, int] | None:
    """Return the set and the epoch of ``set@epoch``, or None."""
    name, separator, epoch = text.partition("@")
    if not name or not separator or not epoch.isdecimal() or not epoch.isascii() or f"{int(epoch)}" != epoch:
        return None
    return (name, int(epoch)) if "," not in name else None
