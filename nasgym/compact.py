"""Records of one form in few bytes, and many of them at once: trainings as NAS-Bench-101 publishes them.

Such a training knows three moments (after 0 epochs, halfway and at the end), the same metrics at each, and two numbers
beside them. Millions of them are stored, so the names are not: the bytes are `record_type`, little-endian, and then the
name of the source where it is none of `SOURCES`. Floats have 4 bytes where all of the record come back with every bit,
else 8. numpy only.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidSetting, StoreDamaged

__all__ = ["FAULTS", "VERSION", "Curves", "Trainings", "decode_many", "encode_many", "form", "unform"]

VERSION = 3
"""The version of records of this form; `nasgym.results` knows the others."""
FAULTS = ("params", "order")
"""Known faults in the order of their bits: see `nasgym.importers.nasbench101`."""
SOURCES = ("nasbench_full.tfrecord", "nasbench_only108.tfrecord")
"""Names of the published files, which records tell by a number; never to be changed."""
TOOL = "nasgym import nasbench101"
SERIES: Mapping[str, str] = {
    "train_accuracy": "fraction",
    "valid_accuracy": "fraction",
    "test_accuracy": "fraction",
    "train_seconds": "seconds",
    "total_seconds": "seconds",
    "params": "millions",
}
"""Name -> unit: three moments of the first four, the end of the fifth, and the last at epoch 0."""
Curves: TypeAlias = Mapping[str, tuple[NDArray[np.float64], NDArray[np.int64], str]]
"""Name -> values, epochs, unit."""

_HEAD = struct.Struct("<2sBI")
_MAGIC = b"NG"
_WIDE, _FIRST_FAULT, _KNOWN_FLAGS = 1, 1, 7
_MOST = {"index": (1 << 32) - 1, "seed": 255, "epochs": 254, "parameters": (1 << 32) - 1}
_MILLION = 1e6
_ERRORS = "surrogatepass"  # as JSON reads: what it can escape comes back


def record_type(wide: bool) -> np.dtype[np.void]:
    """Return the type of a record's body: accuracies of train, valid and test at the three moments, then seconds."""
    real = "<f8" if wide else "<f4"
    return np.dtype(
        [("flags", "u1"), ("source", "u1"), ("seed", "u1"), ("epochs", "u1"), ("index", "<u4"), ("parameters", "<u4"),
         ("curves", real, (4, 3)), ("total", "<f8")]
    )  # fmt: skip


_TYPES = {wide: record_type(wide) for wide in (False, True)}
_ONE = {False: struct.Struct("<BBBBII12fd"), True: struct.Struct("<BBBBII12dd")}


@dataclass(frozen=True)
class Trainings:
    """Many trainings, ``n`` of them.

    Attributes:
        index: Architectures, ``int64[n]``.
        seed: Seeds, 0 to 255, ``int64[n]``.
        epochs: Epochs of each, even, ``int64[n]``.
        parameters: Trainable parameters, ``int64[n]``.
        curves: ``float64[n, 4, 3]``: accuracy on train, valid and test (fractions) and training seconds, each after 0
            epochs, halfway and at the end.
        total: Seconds of training and evaluation together, ``float64[n]``.
        faults: Bits of `FAULTS`, ``int64[n]``.
    """

    index: NDArray[np.int64]
    seed: NDArray[np.int64]
    epochs: NDArray[np.int64]
    parameters: NDArray[np.int64]
    curves: NDArray[np.float64]
    total: NDArray[np.float64]
    faults: NDArray[np.int64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.index)

    def value(self, metric: str, epoch: int | None) -> NDArray[np.float64]:
        """Return a metric of `SERIES` after ``epoch`` epochs (None: the last), NaN where unknown, ``float64[n]``."""
        name = list(SERIES).index(metric)
        if name == 4:
            return np.where((self.epochs == epoch) | (epoch is None), self.total, np.nan)
        if name == 5:
            return self.parameters / _MILLION if epoch in (None, 0) else np.full(len(self), np.nan)
        if epoch is None:
            return self.curves[:, name, 2]
        moments = [self.epochs * 0, self.epochs // 2, self.epochs]
        return np.select([moment == epoch for moment in moments], list(self.curves[:, name].T), np.nan)


def encode_many(trainings: Trainings, source: str) -> list[bytes]:
    """Return the records of trainings from one source; raises `InvalidSetting` where a number is out of its bounds."""
    for name, most in _MOST.items():
        numbers = getattr(trainings, name)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() <= most:
            raise InvalidSetting(f"{name} of such trainings is 0 to {most}; got {numbers.min()} to {numbers.max()}.")
    with np.errstate(all="ignore"):  # of numbers that do not fit
        narrow = trainings.curves.astype(np.float32)
    fits = _bits_equal(narrow.astype(np.float64), trainings.curves)
    records: list[bytes] = [b""] * len(trainings)
    for wide in (False, True):
        which = np.flatnonzero(fits != wide)
        for at, record in zip(which.tolist(), _encoded(trainings, which, wide, source), strict=True):
            records[at] = record
    return records


def decode_many(records: Sequence[bytes]) -> Trainings | None:
    """Return the trainings of records without their sources, or None where some have another form or are damaged."""
    if not records or any(record[:3] != b"NG\3" for record in records):
        return None
    size = len(records[0])
    if size < _HEAD.size + _TYPES[False].itemsize or any(len(record) != size for record in records):
        return None
    whole = b"".join(records)
    wide = bool(whole[_HEAD.size] & _WIDE)
    body = _TYPES[wide]
    if size < _HEAD.size + body.itemsize:
        return None
    row = np.dtype({"names": ["sum", "body"], "formats": ["<u4", body], "offsets": [3, _HEAD.size], "itemsize": size})
    rows = np.frombuffer(whole, row)
    sums = [zlib.crc32(memoryview(record)[_HEAD.size :], VERSION) for record in records]
    found = rows["body"]
    if not np.array_equal(rows["sum"], sums) or ((found["flags"] & _WIDE) != wide).any():
        return None
    return Trainings(
        index=found["index"].astype(np.int64),
        seed=found["seed"].astype(np.int64),
        epochs=found["epochs"].astype(np.int64),
        parameters=found["parameters"].astype(np.int64),
        curves=found["curves"].astype(np.float64),
        total=found["total"].astype(np.float64),
        faults=found["flags"].astype(np.int64) >> _FIRST_FAULT,
    )


def form(
    index: int, seed: object, epochs: int, diverged: bool, provenance: Mapping[str, str], curves: Curves
) -> bytes | None:
    """Return the record of one training, or None where it has not this form in every bit."""
    faults = _bits_of(provenance)
    if faults is None or type(seed) is not int or diverged or tuple(curves) != tuple(SERIES):
        return None
    whole = {"index": index, "seed": seed, "epochs": epochs}
    if epochs < 2 or epochs % 2 or any(not 0 <= number <= _MOST[name] for name, number in whole.items()):
        return None
    millions = curves["params"][0]
    if len(millions) != 1 or not 0 <= millions[0] <= _MOST["parameters"] / _MILLION:
        return None
    parameters = round(float(millions[0]) * _MILLION)
    for name, (values, when, unit) in curves.items():
        if unit != SERIES[name] or when.tolist() != _moments(name, epochs) or len(values) != len(when):
            return None
    if np.float64(parameters / _MILLION).tobytes() != millions.tobytes():
        return None
    one = Trainings(
        index=np.array([index]),
        seed=np.array([seed]),
        epochs=np.array([epochs]),
        parameters=np.array([parameters]),
        curves=np.stack([curves[name][0] for name in list(SERIES)[:4]])[None],
        total=curves["total_seconds"][0],
        faults=np.array([faults]),
    )
    return encode_many(one, provenance["source"])[0]


def unform(body: bytes) -> tuple[int, int, int, bool, dict[str, str], Curves]:
    """Return what `form` took, of the body of a record; raises `StoreDamaged`."""
    if not body or body[0] & ~_KNOWN_FLAGS:
        raise StoreDamaged("the body of a record is empty or has unknown flags.")
    one = _ONE[bool(body[0] & _WIDE)]
    if len(body) < one.size:
        raise StoreDamaged(f"the body of a record has {len(body)} bytes, at least {one.size} are needed.")
    flags, source, seed, epochs, index, parameters, *numbers = one.unpack_from(body)
    if source > len(SOURCES) or epochs < 2 or epochs % 2 or (source and len(body) > one.size):
        raise StoreDamaged(f"a record names the source {source} and {epochs} epochs.")
    values = np.array(numbers, dtype=np.float64)
    arrays = [values[0:3], values[3:6], values[6:9], values[9:12], values[12:], np.array([parameters / _MILLION])]
    curves = {
        name: (array, np.array(_moments(name, epochs), dtype=np.int64), unit)
        for (name, unit), array in zip(SERIES.items(), arrays, strict=True)
    }
    try:
        provenance = {
            "tool": TOOL,
            "source": SOURCES[source - 1] if source else body[one.size :].decode(errors=_ERRORS),
        }
    except UnicodeDecodeError as error:
        raise StoreDamaged(f"the source of a record is no text ({error}).") from error
    faults = [name for bit, name in enumerate(FAULTS) if flags >> _FIRST_FAULT + bit & 1]
    return index, seed, epochs, False, provenance | ({"faults": ",".join(faults)} if faults else {}), curves


def _moments(name: str, epochs: int) -> list[int]:
    """Return the epochs at which a metric is known."""
    return {"total_seconds": [epochs], "params": [0]}.get(name, [0, epochs // 2, epochs])


def _bits_of(provenance: Mapping[str, str]) -> int | None:
    """Return the faults that a provenance names as bits, or None for a provenance of another form."""
    faults = provenance.get("faults")
    names = {"tool", "source"} | ({"faults"} if faults is not None else set())
    if provenance.keys() != names or provenance["tool"] != TOOL:
        return None
    if not all(isinstance(value, str) for value in provenance.values()):  # a file of results may hold anything
        return None
    named = faults.split(",") if faults is not None else []
    bits = sum(1 << bit for bit, name in enumerate(FAULTS) if name in named)
    in_order = [name for name in FAULTS if name in named]
    return bits if named == in_order else None


def _encoded(trainings: Trainings, which: NDArray[np.intp], wide: bool, source: str) -> list[bytes]:
    """Return the records of some trainings, all of one width."""
    rows = np.zeros(len(which), _TYPES[wide])
    for name in ("seed", "epochs", "index", "parameters", "total", "curves"):
        rows[name] = getattr(trainings, name)[which]
    rows["flags"] = trainings.faults[which] << _FIRST_FAULT | wide
    rows["source"] = SOURCES.index(source) + 1 if source in SOURCES else 0
    tail, size, whole = b"" if source in SOURCES else source.encode(errors=_ERRORS), rows.itemsize, rows.tobytes()
    bodies = [whole[at : at + size] + tail for at in range(0, len(whole), size)]
    return [_HEAD.pack(_MAGIC, VERSION, zlib.crc32(body, VERSION)) + body for body in bodies]


def _bits_equal(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell for each training whether all numbers have the same bits."""
    same = one.view(np.int64) == np.ascontiguousarray(two).view(np.int64)
    return np.asarray(same.reshape(len(same), -1).all(axis=1))
