"""Records of NAS-Bench-101's file as numbers: a batch of JSON texts in, checked arrays out.

A record is ``[hash, epochs, matrix, operations, base64 of the metrics]`` as JSON.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasgym.importers.nasbench101_cells import Cells, CellText, read_cells
from nasgym.importers.nasbench101_faults import BadRecord
from nasgym.importers.nasbench101_metrics import Metrics, read_metrics

__all__ = ["EPOCHS", "Batch", "read_batch"]

EPOCHS = (4, 12, 36, 108)
"""Epochs of the published trainings."""
_BETWEEN = {f", {epochs}, ".encode(): epochs for epochs in EPOCHS}


class Batch(NamedTuple):
    """``n`` trainings as the file has them.

    Attributes:
        cells: The cell of each.
        epochs: ``int64[n]``.
        metrics: Their numbers.
    """

    cells: Cells
    epochs: NDArray[np.int64]
    metrics: Metrics


class _Text(NamedTuple):
    cell: CellText
    epochs: int
    metrics: bytes


def read_batch(records: Sequence[bytes]) -> Batch:
    """Read records; raises `BadRecord` for one that is broken, not always the first of them."""
    texts = [_read_text(at, record) for at, record in enumerate(records)]
    known: dict[CellText, int] = {}
    which = np.array([known.setdefault(text.cell, len(known)) for text in texts], dtype=np.int64)
    try:
        cells = read_cells(list(known))
    except BadRecord as error:
        raise BadRecord(int(np.argmax(which == error.at)), error.what) from error
    epochs = np.array([text.epochs for text in texts], dtype=np.int64)
    metrics = read_metrics([text.metrics for text in texts])
    _check(epochs, metrics)
    each = Cells(cells.indices[which], cells.canonical[which], cells.parameters[which])
    return Batch(each, epochs, metrics)


def _read_text(at: int, record: bytes) -> _Text:
    """Read one record: by its quotation marks where it is written as published, else as any JSON text."""
    parts = record.split(b'"')
    if len(parts) == 9 and parts[2] in _BETWEEN and parts[0::2] == [b"[", parts[2], b", ", b", ", b"]"]:
        name, matrix, operations, coded = parts[1::2]
        if b"\\" not in name + matrix + operations:
            try:
                metrics = binascii.a2b_base64(coded.replace(b"\\n", b""), strict_mode=True)
                return _Text((name, matrix, operations), _BETWEEN[parts[2]], metrics)
            except binascii.Error:
                pass  # it may have other escapes
    return _read_json(at, record)


def _read_json(at: int, record: bytes) -> _Text:
    try:
        row = json.loads(record)
    except (ValueError, RecursionError) as error:
        raise BadRecord(at, f"it is no JSON text ({error})") from error
    kinds = [type(value) for value in row] if isinstance(row, list) else type(row)
    if kinds != [str, int, str, str, str]:
        raise BadRecord(at, f"it is no list of hash, epochs, matrix, operations and metrics: {repr(row)[:100]}")
    name, epochs, matrix, operations, coded = row
    if epochs not in EPOCHS:
        raise BadRecord(at, f"it was trained for {epochs} epochs; published trainings have {EPOCHS}")
    try:
        metrics = binascii.a2b_base64(coded.replace("\n", ""), strict_mode=True)
    except ValueError as error:
        raise BadRecord(at, f"its metrics are no base64 ({error})") from error
    name, matrix, operations = (text.encode("utf-8", "replace") for text in (name, matrix, operations))
    return _Text((name, matrix, operations), epochs, metrics)


def _check(epochs: NDArray[np.int64], metrics: Metrics) -> None:
    """Raise `BadRecord` for numbers that no training has."""
    points = metrics.points
    moments = np.stack([epochs * 0, epochs // 2, epochs], axis=1)
    wrong = (points[:, :, 0] != moments).any(axis=1)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise BadRecord(at, f"its evaluations are at epochs {points[at, :, 0].tolist()}, not {moments[at].tolist()}")
    rules = (
        ("a training time", points[:, :, 1], np.inf, "of 0 or more seconds"),
        ("an accuracy", points[:, :, 2:].reshape(len(points), -1), 1.0, "in 0..1"),
        ("a total time", metrics.total[:, None], np.inf, "of 0 or more seconds"),
    )
    for name, values, most, bound in rules:
        wrong = ~(np.isfinite(values) & (values >= 0) & (values <= most)).all(axis=1)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise BadRecord(at, f"it has {name} that is no number {bound}: {values[at].tolist()}")
