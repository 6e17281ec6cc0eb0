"""What one training gave: the `Evaluation`, its metric names, and its bytes.

The bytes of a record are ``magic "NG" | version u8 | crc32 u32 | deflated body``, little-endian. The checksum is of
the body, begun with the version; the body is ``length u32 | JSON header | arrays`` (`nasgym.packing`). Nothing in a
record can run code, and what went in comes out bit for bit. Version 3 is that of trainings of one published form,
whose body is `nasgym.compact.record_type` and not deflated.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasgym import compact
from nasgym.errors import InvalidSetting, StoreDamaged, StoreSchemaError, UnknownName
from nasgym.packing import pack, unpack

__all__ = ["METRICS", "SPLITS", "Evaluation", "Seed", "Series", "TableKey", "Unit", "decode", "encode", "mean"]

SPLITS = ("train", "valid", "test")
"""``train`` is trained on, ``valid`` is what an agent sees, ``test`` is looked up by a study after the run."""
METRICS: Mapping[str, str] = MappingProxyType(
    {f"{split}_accuracy": "fraction" for split in SPLITS}
    | {f"{split}_loss": "nats" for split in SPLITS}
    | {f"{split}_seconds": "seconds" for split in SPLITS}
)
"""Metric name -> unit in the API. ``train_seconds`` is what the training took up to and with that epoch;
``valid_seconds`` and ``test_seconds`` are one pass over the split."""

Unit: TypeAlias = Literal["fraction", "percent", "nats", "seconds", "millions"]
Seed: TypeAlias = int | Literal["mean"]
"""The seed of a training; ``"mean"`` is an aggregate over seeds."""

RECORD_VERSION = 2
"""Version 1 (read, not written) has a header with names and plain floats, deflated with a zlib head."""
_MAGIC = b"NG"
_HEAD = struct.Struct("<2sBI")
_LENGTH = struct.Struct("<I")
_MAX_BODY = 64 << 20  # bytes; a record that claims to inflate to more is damaged
_FIELDS = ("index", "seed", "epochs", "diverged", "provenance", "series")
_WORDS = (  # what headers are full of, the most frequent last; a part of version 2, never to be changed
    b'"params","millions","<f8",1,0],["flops","latency_batches","_epoch_seconds","train_epoch_seconds","x-test'
    b'"hardware":"software":"date":"nasgym fill","nasgym train","nasgym import csv","file":"sha256":"version":"torch"'
    b'"official":"{\\"types\\":{\\"params\\":\\"float\\"}}","faults":"params,seconds","tool":"nasgym import '
    b'nas-bench-201"nasgym import nats-sss","source":"NATS-sss-v1_0-50262"NAS-Bench-201-v1_1-096897.pth",'
    b'"sets":"ori-test,x-valid'
    b',false,{"tool":"nasgym import nats-tss","source":"NATS-tss-v1_0-3ffb9","sets":"x-valid,x-test,ori-test"'
    b',"place":"1"},[["train_accuracy","percent",[375,2,17],200,1],["train_accuracy5","percent",[3125,18,36],12,1],'
    b'["train_loss","nats",[3125,24,37],12,1],["train_seconds","seconds","s",200,1],["test_accuracy","percent",["p"'
    b',["valid_accuracy","percent",[375,20,34],12,1],["valtest_accuracy","percent",[625,2,17],12,1],["valid_loss",'
    b'"nats",[625,22,34],12,1],["test_loss","nats",[375,22,33],12,1],["valtest_loss","nats",[37925,22,40],1,200],'
    b'["valid_seconds","seconds","m",200,1],["test_seconds","seconds","m",12,1],["valtest_seconds","seconds","m",90,1],'
    b'["params","millions","<f8",1,0],["flops","millions","<f8",1,0],["latency_seconds","seconds","<f8",1,0]]]'
)
_UNITS = ("fraction", "percent", "nats", "seconds", "millions")
_DIVISOR = {"percent": 100.0}


@dataclass(frozen=True, order=True)
class TableKey:
    """The name of a table, all results of one search space, data set and recipe; `str` and `parse` are inverses.

    Attributes:
        space: A search space, such as ``"nb201"``.
        dataset: A data set, such as ``"cifar10"`` or ``"imagefolder:/data/flowers"``.
        recipe: A training recipe, such as ``"nb201-12"``.
    """

    space: str
    dataset: str
    recipe: str

    def __post_init__(self) -> None:
        """Raise `InvalidSetting` for a part that is empty, or a slash where only a data set may have one."""
        if not (self.space and self.dataset and self.recipe) or "/" in self.space or "/" in self.recipe:
            raise InvalidSetting(
                f"a table is named SPACE/DATASET/RECIPE, such as nb201/cifar10/nb201-12; "
                f"got {self.space!r}, {self.dataset!r}, {self.recipe!r}."
            )

    def __str__(self) -> str:
        """Return ``space/dataset/recipe``."""
        return f"{self.space}/{self.dataset}/{self.recipe}"

    @classmethod
    def parse(cls, text: str) -> TableKey:
        """Return the key whose `str` is ``text``; the data set may hold slashes."""
        space, _, rest = text.partition("/")
        dataset, _, recipe = rest.rpartition("/")
        return cls(space, dataset, recipe)


@dataclass(frozen=True, eq=False)
class Series:
    """One metric by epoch, in the unit of its source.

    Attributes:
        values: ``float64[k]``.
        epochs: ``int64[k]``, increasing: how many epochs were completed at each value (the first epoch is 1).
        unit: The unit of ``values``; `at` and `scaled` convert percent into fractions on reading.
    """

    values: NDArray[np.float64]
    epochs: NDArray[np.int64]
    unit: Unit

    @classmethod
    def of(cls, values: ArrayLike, epochs: ArrayLike, unit: Unit) -> Series:
        """Build a series from anything array-like; raises `InvalidSetting` when the two do not match."""
        v = np.array(values, dtype=np.float64, ndmin=1)
        e = np.array(epochs, dtype=np.int64, ndmin=1)
        if v.shape != e.shape or v.ndim != 1 or not v.size:
            raise InvalidSetting(f"a series needs as many values as epochs and at least one; got {v.size}, {e.size}.")
        if e[0] < 0 or (len(e) > 1 and (e[1:] <= e[:-1]).any()):
            raise InvalidSetting(f"the epochs of a series must increase from 0 upwards; got {e.tolist()[:6]}.")
        return cls(v, e, unit)

    @property
    def scaled(self) -> NDArray[np.float64]:
        """The values in the unit of the API (fractions, not percent), ``float64[k]``."""
        return self.values / _DIVISOR[self.unit] if self.unit in _DIVISOR else self.values

    def at(self, epoch: int | None) -> float | None:
        """Return the value after ``epoch`` completed epochs (None: the last), or None where it is not known."""
        if epoch is None:
            return float(self.values[-1]) / _DIVISOR.get(self.unit, 1.0)
        found = np.flatnonzero(self.epochs == epoch)
        return float(self.values[found[0]]) / _DIVISOR.get(self.unit, 1.0) if found.size else None

    def __eq__(self, other: object) -> bool:
        """Two series are equal when unit, epochs and the bits of the values are."""
        if not isinstance(other, Series):
            return NotImplemented
        return (
            self.unit == other.unit
            and np.array_equal(self.epochs, other.epochs)
            and self.values.tobytes() == other.values.tobytes()
        )

    __hash__ = None  # type: ignore[assignment]  # arrays inside: not hashable


@dataclass(frozen=True)
class Evaluation:
    """What one training of one architecture gave.

    Attributes:
        index: The architecture's index in its search space.
        seed: The seed of the training, or ``"mean"`` for an aggregate over seeds.
        epochs: How many epochs were trained.
        series: Metric name -> `Series`. Names outside `METRICS` are kept and never interpreted.
        diverged: The training met NaN or infinity; its accuracies are those of guessing.
        provenance: Where the numbers come from (tool, versions, hardware, date, source file).
    """

    index: int
    seed: Seed
    epochs: int
    series: Mapping[str, Series]
    diverged: bool = False
    provenance: Mapping[str, str] = field(default_factory=dict)

    def value(self, metric: str, epoch: int | None = None) -> float | None:
        """Return a metric in the unit of the API after ``epoch`` epochs (None: the last), or None if unknown.

        Raises:
            UnknownName: No metric has that name, neither in `METRICS` nor in this evaluation.
        """
        found = self.series.get(metric)
        if found is not None:
            return found.at(epoch)
        if metric not in METRICS:
            raise UnknownName("metric", metric, {**METRICS, **self.series})
        return None

    @property
    def train_accuracy(self) -> float | None:
        """Final accuracy on the training split, a fraction."""
        return self.value("train_accuracy")

    @property
    def valid_accuracy(self) -> float | None:
        """Final accuracy on the validation split, a fraction: what an agent sees."""
        return self.value("valid_accuracy")

    @property
    def test_accuracy(self) -> float | None:
        """Final accuracy on the test split, a fraction."""
        return self.value("test_accuracy")

    @property
    def train_seconds(self) -> float | None:
        """Seconds that the whole training took."""
        return self.value("train_seconds")

    @property
    def valid_seconds(self) -> float | None:
        """Seconds of one pass over the validation split."""
        return self.value("valid_seconds")

    def stopped_at(self, epoch: int | None) -> Evaluation:
        """Return the same training cut after ``epoch`` epochs (None: unchanged)."""
        if epoch is None or epoch >= self.epochs:
            return self
        cut = {name: s for name, full in self.series.items() if (s := _until(full, epoch)) is not None}
        return replace(self, epochs=epoch, series=cut)


def mean(evaluations: Iterable[Evaluation]) -> Evaluation:
    """Return the aggregate over several trainings of one architecture: per metric and epoch, of those that know it."""
    rows = list(evaluations)
    if not rows:
        raise InvalidSetting("the mean of no evaluations is not defined.")
    names = dict.fromkeys(name for row in rows for name in row.series)
    series = {name: _mean_series([row.series[name] for row in rows if name in row.series]) for name in names}
    return replace(rows[0], seed="mean", series=series, diverged=any(row.diverged for row in rows))


def encode(evaluation: Evaluation) -> bytes:
    """Return the bytes of an evaluation; `decode` gives the same evaluation back, bit for bit."""
    if evaluation.provenance.get("tool") == compact.TOOL and (short := _compact(evaluation)) is not None:
        return short
    curves: list[list[Any]] = []
    arrays: list[bytes] = []
    for name, series in evaluation.series.items():
        first = int(series.epochs[0]) if _is_run(series.epochs) else None
        coding, data = pack(series.values)
        curves.append([name, series.unit, coding, len(series.values), first])
        arrays.append(data)
        if first is None:
            arrays.append(series.epochs.astype("<i8").tobytes())
    header = [
        int(evaluation.index),  # numpy's integers are welcome
        "mean" if evaluation.seed == "mean" else int(evaluation.seed),
        int(evaluation.epochs),
        bool(evaluation.diverged),
        dict(evaluation.provenance),
        curves,
    ]
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")  # as JSON reads
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    body = deflate.compress(b"".join([_LENGTH.pack(len(text)), text, *arrays])) + deflate.flush()
    return _HEAD.pack(_MAGIC, RECORD_VERSION, _checksum(RECORD_VERSION, body)) + body


def decode(data: bytes) -> Evaluation:
    """Return the evaluation in ``data``.

    Raises:
        StoreSchemaError: The record was written by a newer version.
        StoreDamaged: The bytes are not a record, or not as they were written.
    """
    version, body = _verified_body(data)
    if version == compact.VERSION:
        return _of_compact(body)
    try:
        (length,) = _LENGTH.unpack_from(body)
        header = json.loads(body[_LENGTH.size : _LENGTH.size + length])
        if version == 1:
            header = [header[name] for name in _FIELDS]
        index, seed, epochs, diverged, provenance, curves = header
        series, at = {}, _LENGTH.size + length
        for name, unit, coding, count, first in curves:
            if type(first) not in (int, type(None)):
                raise StoreDamaged(f"a record names a series from epoch {first!r}.")
            values, at = unpack(coding, count, body, at)
            if first is None:
                when = np.frombuffer(body, "<i8", count, at).astype(np.int64)
                at += count * 8
            else:
                when = np.arange(first, first + count, dtype=np.int64)
            series[name] = Series(values, when, unit)
        return _checked(Evaluation(index, seed, epochs, series, diverged, provenance))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, struct.error) as error:
        raise StoreDamaged(f"a record cannot be read ({error}). Run `nasgym store verify`.") from error


def _compact(evaluation: Evaluation) -> bytes | None:
    """Return the record of an evaluation of the published form, or None for one of another form."""
    curves = {name: (series.values, series.epochs, str(series.unit)) for name, series in evaluation.series.items()}
    index, seed = int(evaluation.index), evaluation.seed if evaluation.seed == "mean" else int(evaluation.seed)
    return compact.form(index, seed, int(evaluation.epochs), evaluation.diverged, evaluation.provenance, curves)


def _of_compact(body: bytes) -> Evaluation:
    """Return the evaluation in the body of a record of version 3."""
    index, seed, epochs, diverged, provenance, curves = compact.unform(body)
    series = {name: Series(values, when, cast(Unit, unit)) for name, (values, when, unit) in curves.items()}
    return Evaluation(index, seed, epochs, series, diverged, provenance)


def _checked(evaluation: Evaluation) -> Evaluation:
    """Return a decoded evaluation whose fields have the types that they should have."""
    whole = (evaluation.index, evaluation.epochs)
    if any(type(number) is not int or number < 0 for number in whole) or type(evaluation.diverged) is not bool:
        raise StoreDamaged("the header of a record has a field of the wrong type.")
    if evaluation.seed != "mean" and type(evaluation.seed) is not int:
        raise StoreDamaged(f"a record has the seed {evaluation.seed!r}.")
    if not isinstance(evaluation.provenance, dict):
        raise StoreDamaged("the provenance of a record is not a table of names and values.")
    for name, series in evaluation.series.items():
        if not isinstance(name, str) or series.unit not in _UNITS:
            raise StoreDamaged(f"the series {name!r} of a record has the unit {series.unit!r}.")
    return evaluation


def _verified_body(data: bytes) -> tuple[int, bytes]:
    if len(data) < _HEAD.size:
        raise StoreDamaged(f"a record has {len(data)} bytes, at least {_HEAD.size} are needed.")
    magic, version, checksum = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise StoreDamaged(f"a record starts with {magic!r} instead of {_MAGIC!r}.")
    if version > compact.VERSION:
        raise StoreSchemaError(
            f"a record has version {version}, this nasgym reads up to {compact.VERSION}: upgrade it."
        )
    if _checksum(version, memoryview(data)[_HEAD.size :]) != checksum:
        raise StoreDamaged("the checksum of a record does not match its bytes. Run `nasgym store verify`.")
    if version == compact.VERSION:
        return version, data[_HEAD.size :]
    inflate = zlib.decompressobj() if version == 1 else zlib.decompressobj(-zlib.MAX_WBITS, _WORDS)
    try:
        body = inflate.decompress(data[_HEAD.size :], _MAX_BODY)
    except zlib.error as error:
        raise StoreDamaged(f"a record cannot be inflated ({error}).") from error
    if inflate.unconsumed_tail:
        raise StoreDamaged(f"a record inflates to more than {_MAX_BODY} bytes.")
    if not inflate.eof:
        raise StoreDamaged("a record is cut off.")
    return version, body


def _checksum(version: int, body: bytes | memoryview) -> int:
    """Return the crc32 of the version and the body, so that a changed version is noticed as well."""
    return zlib.crc32(body, version)


def _is_run(epochs: NDArray[np.int64]) -> bool:
    return int(epochs[-1] - epochs[0]) == len(epochs) - 1  # they increase


def _until(series: Series, epoch: int) -> Series | None:
    keep = series.epochs <= epoch
    return Series(series.values[keep], series.epochs[keep], series.unit) if keep.any() else None


def _mean_series(series: list[Series]) -> Series:
    unit: Unit = series[0].unit if len({s.unit for s in series}) == 1 else "fraction"
    epochs = np.unique(np.concatenate([s.epochs for s in series]))
    total, known = np.zeros(len(epochs)), np.zeros(len(epochs))
    for s in series:
        at = np.searchsorted(epochs, s.epochs)
        total[at] += s.values if s.unit == unit else s.scaled
        known[at] += 1
    return Series(total / known, epochs, unit)
