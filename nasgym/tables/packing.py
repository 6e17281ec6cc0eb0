"""Writing a packed table: what a store holds of one table, in a few megabytes."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidSetting, StoreError, StoreFull
from nasgym.results import SPLITS, Evaluation
from nasgym.results_file import TableMeta
from nasgym.tables.packed import (
    DESCRIPTION,
    GUESSED,
    LARGEST_COUNT,
    Description,
    PackedTable,
    Rows,
    row_type,
    seed_file,
)

__all__ = ["pack_table"]

_LARGEST_HALF = float(np.finfo(np.float16).max)
_SEED_FILE = re.compile(r"seed-\d+-[0-9a-f]{16}\.npy")
_PER_TRAINING = ("date", "bundle", "seconds")  # provenance that differs from training to training


def pack_table(
    meta: TableMeta,
    evaluations: Iterable[Evaluation],
    folder: Path | str,
    *,
    sizes: Mapping[str, int],
    made: Mapping[str, str],
) -> PackedTable:
    """Write a packed table and return it.

    A table that is there already is replaced at one moment, when all files of the new one are on the disk; the files
    of seeds that have not changed stay. After an error, or a power cut, it is whole as it was.

    Args:
        meta: What the table was made with.
        evaluations: Whole trainings with numbered seeds, accuracies and losses of all splits at every epoch.
        folder: Where it goes; made where it does not exist.
        sizes: Images in the train, valid and test split; an accuracy is a count of them, or that of guessing from the
            epoch on in which a training has diverged.
        made: How the trainings were made, such as the command. Versions, hardware and dates are added from the
            provenance of the evaluations.

    Raises:
        InvalidSetting: There are no evaluations, one of them is not a whole training, or an accuracy is no count.
        StoreFull: The disk is full.
        StoreError: The folder cannot be written to.
    """
    rows = sorted(evaluations, key=lambda e: (str(e.seed), e.index))
    if not rows:
        raise InvalidSetting(f"the table {meta.key} has no evaluations to pack: fill it first (`nasgym fill`).")
    for split in SPLITS:
        if not 0 < sizes[split] <= LARGEST_COUNT:
            raise InvalidSetting(f"a packed table counts up to 65,535 images a split; {split} has {sizes[split]}.")
    epochs, guess = rows[0].epochs, _guess(rows, sizes)
    if guess is not None and GUESSED in sizes.values():
        raise InvalidSetting(f"trainings that diverged have the accuracy {guess}, no count of {GUESSED:,} images.")
    seeds = sorted({_numbered(e) for e in rows})
    arrays = {seed: _bytes(_packed([e for e in rows if e.seed == seed], epochs, sizes, guess)) for seed in seeds}
    files = {seed: hashlib.sha256(data).hexdigest() for seed, data in arrays.items()}
    described = Description(meta, epochs, dict(sizes), files, {**_provenance(rows), **made}, guess)
    named = {seed_file(seed, digest): arrays[seed] for seed, digest in files.items()}
    target = Path(folder)
    try:
        _write_all(target, named, described)
    except OSError as error:
        known = StoreFull if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT) else StoreError
        raise known(
            f"the packed table {target} cannot be written ({error}): check the path and the room on the disk. "
            "One that was there is as it was."
        ) from error
    return PackedTable(target)


def _numbered(evaluation: Evaluation) -> int:
    if evaluation.seed == "mean":
        raise InvalidSetting(f"architecture {evaluation.index} has a mean over seeds: only trainings can be packed.")
    return evaluation.seed


def _guess(evaluations: Sequence[Evaluation], sizes: Mapping[str, int]) -> float | None:
    """Return the accuracy of guessing that diverged trainings end with, if it is no count of images in every split."""
    for evaluation in evaluations:
        for split in SPLITS if evaluation.diverged else ():
            series = evaluation.series.get(f"{split}_accuracy")
            if series is not None and not _is_count(last := series.scaled[-1:], sizes[split]).all():
                return float(last[0])
    return None


def _packed(evaluations: Sequence[Evaluation], epochs: int, sizes: Mapping[str, int], guess: float | None) -> Rows:
    rows: Rows = np.zeros(len(evaluations), dtype=row_type(epochs))
    for row, evaluation in zip(rows, evaluations, strict=True):
        row["index"] = evaluation.index
        for split in SPLITS:
            losses = row[f"{split}_loss"] = _losses(evaluation, f"{split}_loss", epochs)
            guessed = None if guess is None else np.where(np.isnan(losses), guess, np.nan)
            row[f"{split}_accuracy"] = _counts(evaluation, f"{split}_accuracy", epochs, sizes[split], guessed)
    return rows


def _counts(
    evaluation: Evaluation, metric: str, epochs: int, images: int, guessed: NDArray[np.float64] | None
) -> NDArray[np.int64]:
    """Return accuracies as counts of images, or as guessed; raise `InvalidSetting` where that would lose anything.

    Args:
        evaluation: The training.
        metric: Which accuracy.
        epochs: Epochs of every training.
        images: Images of the split.
        guessed: The accuracy of guessing at the epochs in which the training had diverged, else NaN, ``float64[E]``.
    """
    series = evaluation.series.get(metric)
    if series is None or series.epochs.tolist() != list(range(1, epochs + 1)):
        raise InvalidSetting(f"{_name(evaluation)} has no {metric} at each of the epochs 1..{epochs}.")
    counts = np.rint(series.scaled * images).astype(np.int64)
    wrong = ~_is_count(series.scaled, images)
    if guessed is not None:
        counts = np.where(wrong & (series.scaled == guessed), GUESSED, counts)
        wrong &= series.scaled != guessed
    if wrong.any():
        at = int(wrong.argmax())
        raise InvalidSetting(
            f"{_name(evaluation)} has at epoch {at + 1} the {metric} {series.scaled[at]}, which is no count of "
            f"{images} images{', nor that of guessing' if evaluation.diverged else ''}."
        )
    return counts


def _is_count(accuracies: NDArray[np.float64], images: int) -> NDArray[np.bool_]:
    return np.asarray(np.rint(accuracies * images) / images == accuracies)


def _losses(evaluation: Evaluation, metric: str, epochs: int) -> NDArray[np.float64]:
    """Return losses by epoch, NaN where the training had diverged."""
    losses = np.full(epochs, np.nan)
    series = evaluation.series.get(metric)
    if series is not None:
        losses[series.epochs - 1] = np.minimum(series.values, _LARGEST_HALF)
    if np.isnan(losses).any() != evaluation.diverged:
        raise InvalidSetting(f"{_name(evaluation)} lacks a {metric} at some epoch, and has not diverged.")
    return losses


def _name(evaluation: Evaluation) -> str:
    return f"architecture {evaluation.index}, seed {evaluation.seed}"


def _provenance(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Return what the trainings say of themselves: the values that occur, the dates from first to last."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(name for e in evaluations for name in e.provenance if name not in _PER_TRAINING):
        found[name] = ", ".join(sorted({e.provenance[name] for e in evaluations if name in e.provenance}))
    dates = sorted(e.provenance["date"] for e in evaluations if "date" in e.provenance)
    return {**found, "trainings": str(len(evaluations)), **({"dates": f"{dates[0]} to {dates[-1]}"} if dates else {})}


def _bytes(rows: Rows) -> bytes:
    file = io.BytesIO()
    np.save(file, rows, allow_pickle=False)
    return file.getvalue()


def _write_all(target: Path, named: Mapping[str, bytes], described: Description) -> None:
    """Write the files that are not there yet, then the description that names them, then drop what none names."""
    target.mkdir(parents=True, exist_ok=True)
    for name, data in named.items():
        path = target / name
        if not (path.is_file() and path.read_bytes() == data):
            _write(path, data)
    _write(target / DESCRIPTION, described.encode().encode())
    for path in target.iterdir():
        if _SEED_FILE.fullmatch(path.name) and path.name not in named:
            path.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    """Write a file beside its place and put it there whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
