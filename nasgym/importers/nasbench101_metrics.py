"""The metrics of one training in NAS-Bench-101's file: a Protocol Buffers message, read by hand.

    ModelMetrics:   1 repeated EvaluationData, 2 int32 trainable_parameters, 3 double total_time
    EvaluationData: 1 double current_epoch, 2 training_time, 3 train_, 4 validation_, 5 test_accuracy, 6 string
                    checkpoint_path (the published file has none, and the weights were never published: left out)

Messages as the published file has them, every field once and in order, are read many at once; any other valid form one
by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasgym.importers.nasbench101_faults import BadRecord

__all__ = ["Metrics", "read_metrics"]

MOMENTS = 3
_FIELDS = ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
_ENTRY = 45  # bytes of five doubles with their tags
_DOUBLE = struct.Struct("<d")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_PARAMETERS = (1 << 31) - 1


class Metrics(NamedTuple):
    """The numbers of ``n`` trainings.

    Attributes:
        points: ``float64[n, 3, 5]``: of each moment the epoch, the seconds so far, and accuracy on train, valid, test.
        parameters: ``int64[n]``.
        total: Seconds of everything, ``float64[n]``.
    """

    points: NDArray[np.float64]
    parameters: NDArray[np.int64]
    total: NDArray[np.float64]


def read_metrics(messages: Sequence[bytes]) -> Metrics:
    """Read messages; raises `BadRecord` with the place of one that is not of this kind."""
    found = Metrics(np.empty((len(messages), MOMENTS, 5)), np.empty(len(messages), np.int64), np.empty(len(messages)))
    lengths = np.array([len(message) for message in messages])
    plain = np.zeros(len(messages), dtype=np.bool_)
    for digits in (3, 4):  # bytes of the number of parameters, from 2**14 to 2**28 - 1
        which = np.flatnonzero(lengths == MOMENTS * (_ENTRY + 2) + 10 + digits)
        plain[which[_read_plain([messages[at] for at in which.tolist()], digits, found, which)]] = True
    for at in np.flatnonzero(~plain).tolist():
        try:
            found.points[at], found.parameters[at], found.total[at] = _read_one(messages[at])
        except _Malformed as error:
            raise BadRecord(at, str(error)) from error
    return found


def _read_plain(messages: list[bytes], digits: int, out: Metrics, which: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Read messages of one length into ``out`` and return which of them are laid out as published."""
    rows = np.frombuffer(b"".join(messages), dtype=_row(digits))
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    entries, more = rows["entries"], rows["digits"] >> 7
    good = (entries["head"] == (0x0A, _ENTRY)).all(axis=(1, 2)) & (
        entries["points"]["tag"] == [tag << 3 | _FIXED64 for tag in range(1, 6)]
    ).all(axis=(1, 2))
    good &= (rows["tag_2"] == 2 << 3 | _VARINT) & (rows["tag_3"] == 3 << 3 | _FIXED64)
    good &= (more == [1] * (digits - 1) + [0]).all(axis=1)
    out.points[which] = entries["points"]["value"]
    out.parameters[which] = ((rows["digits"] & 0x7F).astype(np.int64) << 7 * np.arange(digits)).sum(axis=1)
    out.total[which] = rows["total"]
    return np.asarray(good)


def _row(digits: int) -> np.dtype[np.void]:
    point = np.dtype([("tag", "u1"), ("value", "<f8")])
    entry = np.dtype([("head", "u1", (2,)), ("points", point, (5,))])
    return np.dtype(
        [
            ("entries", entry, (MOMENTS,)),
            ("tag_2", "u1"),
            ("digits", "u1", (digits,)),
            ("tag_3", "u1"),
            ("total", "<f8"),
        ]
    )


class _Malformed(Exception):
    """What is wrong with a message, one clause."""


def _read_one(message: bytes) -> tuple[list[list[float]], int, float]:
    entries, numbers = [], dict[int, float]()
    for tag, value in _fields(message, {1: _BYTES, 2: _VARINT, 3: _FIXED64}, "ModelMetrics"):
        if isinstance(value, bytes):
            entries.append(dict(_fields(value, dict.fromkeys(range(1, 6), _FIXED64) | {6: _BYTES}, "EvaluationData")))
        else:
            numbers[tag] = value
    if len(entries) != MOMENTS:
        raise _Malformed(f"its metrics have {len(entries)} evaluations; there are three: start, halfway and end")
    points = []
    for entry in entries:
        for tag, name in enumerate(_FIELDS, 1):
            if tag not in entry:
                raise _Malformed(f"its metrics have an evaluation without {name}")
        points.append([float(entry[tag]) for tag in range(1, 6)])
    for tag, name in ((2, "trainable_parameters"), (3, "total_time")):
        if tag not in numbers:
            raise _Malformed(f"its metrics are without {name}")
    if numbers[2] > _MOST_PARAMETERS:  # negative ones are written as huge
        raise _Malformed(f"its metrics say {numbers[2]} trainable_parameters; there are at most {_MOST_PARAMETERS}")
    return points, int(numbers[2]), numbers[3]


def _fields(message: bytes, known: dict[int, int], what: str) -> Iterator[tuple[int, float | bytes]]:
    """Yield the known fields of a message; of those that it does not know only the form is checked."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        tag, wire = key >> 3, key & 7
        if tag in known and known[tag] != wire:
            raise _Malformed(f"field {tag} of its {what} has wire type {wire} instead of {known[tag]}")
        value: float | bytes
        if wire == _VARINT:
            value, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32, _BYTES):
            length = {_FIXED64: 8, _FIXED32: 4}.get(wire, -1)
            if length < 0:
                length, at = _varint(message, at)
            end = at + length
            if end > len(message):
                raise _Malformed(f"field {tag} of its {what} ends behind the message")
            value = _DOUBLE.unpack_from(message, at)[0] if wire == _FIXED64 else message[at:end]
            at = end
        else:
            raise _Malformed(f"byte {at} of its {what} says wire type {wire}, which there is none of")
        if tag in known:
            yield tag, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise _Malformed("a number of its metrics is cut off")
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number & ((1 << 64) - 1), at
    raise _Malformed("a number of its metrics has more than ten bytes")
