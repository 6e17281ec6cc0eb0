"""A packed table: one folder, read-only, opened through a memory map in a millisecond.

``table.json`` says what the table was made with; ``seed-S-D.npy`` holds the trainings of seed S, one row for each
trained architecture, by index (D begins the sha256 of the file, so that a description and the files that it names
always belong together): a numpy array of records

    index i4 | train_accuracy, valid_accuracy, test_accuracy u2[E] | train_loss, valid_loss, test_loss f2[E]

little-endian, E epochs. Accuracies are counts of correctly classified images, which loses nothing. Losses are rounded
to half precision: 11 significant bits, a relative error of at most 2^-11 (values above 65,504 become 65,504, and below
6.1e-5 the error is at most 3e-8). The loss of a training that has diverged is NaN from that epoch on, and its accuracy
that of guessing; where that is no count of images, the count is 65,535 and the description (format 2) has the accuracy.
Seconds are not kept: the table's cost model gives them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import StoreDamaged, StoreError, StoreSchemaError
from nasgym.results import SPLITS, Evaluation, Seed, Series
from nasgym.results_file import TableMeta

__all__ = ["DESCRIPTION", "GUESSED", "LARGEST_COUNT", "Description", "PackedTable", "Rows", "row_type", "seed_file"]

FORMAT = 2
_FORMAT_OF_COUNTS = 1
"""The format of a table whose every accuracy is a count: older versions read it, too."""
DESCRIPTION = "table.json"
LARGEST_COUNT = (1 << 16) - 1
"""Of images in a split, and of epochs."""
GUESSED = LARGEST_COUNT
"""Stands for the accuracy of guessing in a table that has one."""
_LARGEST_INDEX = (1 << 31) - 1
_SHA256 = re.compile("[0-9a-f]{64}")
Rows = NDArray[np.void]
"""Records of `row_type`."""


def row_type(epochs: int) -> np.dtype[np.void]:
    """Return the type of one row."""
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = [("index", "<i4")]
    fields += [(f"{split}_accuracy", "<u2", (epochs,)) for split in SPLITS]
    fields += [(f"{split}_loss", "<f2", (epochs,)) for split in SPLITS]
    return np.dtype(fields)


def seed_file(seed: int, digest: str) -> str:
    """Return the name of the file of one seed whose content has the sha256 ``digest``."""
    return f"seed-{seed}-{digest[:16]}.npy"


@dataclass(frozen=True)
class Description:
    """What ``table.json`` says.

    Attributes:
        meta: What the table was made with.
        epochs: Epochs of every training.
        sizes: Images of each split: what the counts are divided by.
        files: Seed -> sha256 of its file.
        made: How the trainings were made: command, versions, hardware, dates.
        guess: The accuracy of guessing, where some training has it and it is no count of images.
    """

    meta: TableMeta
    epochs: int
    sizes: Mapping[str, int]
    files: Mapping[int, str]
    made: Mapping[str, str]
    guess: float | None = None

    def __post_init__(self) -> None:
        """Raise `StoreDamaged` for a value out of its bounds."""
        bounds = [("epochs", self.epochs, 1, LARGEST_COUNT), ("size", self.meta.size, 1, _LARGEST_INDEX + 1)]
        largest = LARGEST_COUNT if self.guess is None else GUESSED - 1
        bounds += [(f"sizes of {split}", images, 1, largest) for split, images in self.sizes.items()]
        bounds += [("seeds", seed, 0, (1 << 64) - 2) for seed in self.files]
        for name, value, low, high in bounds:
            if not low <= value <= high:
                raise StoreDamaged(f"{name} of a packed table are {low:,} to {high:,}; got {value}.")
        if not self.files or not all(map(_SHA256.fullmatch, self.files.values())):
            raise StoreDamaged(f"files of a packed table are seeds with their sha256; got {dict(self.files)}.")
        if self.guess is not None and not 0 <= self.guess <= 1:
            raise StoreDamaged(f"the accuracy of guessing is 0 to 1; got {self.guess}.")

    def encode(self) -> str:
        """Return the text of the file."""
        record = {
            "format": _FORMAT_OF_COUNTS if self.guess is None else FORMAT,
            "table": json.loads(self.meta.encode()),
            "epochs": self.epochs,
            "sizes": dict(self.sizes),
            "files": {str(seed): digest for seed, digest in self.files.items()},
            "made": dict(self.made),
            **({} if self.guess is None else {"guess": self.guess}),
        }
        return json.dumps(record, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Description:
        """Read the file; raises `StoreError` where there is none, `StoreDamaged`, `StoreSchemaError`."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if int(record["format"]) > FORMAT:
                raise StoreSchemaError(
                    f"{path} has format {record['format']}, this nasgym reads up to {FORMAT}: upgrade it."
                )
            return cls(
                TableMeta.decode(json.dumps(record["table"]).encode()),
                int(record["epochs"]),
                {split: int(record["sizes"][split]) for split in SPLITS},
                {int(seed): str(digest) for seed, digest in sorted(record["files"].items(), key=lambda kv: int(kv[0]))},
                {str(name): str(value) for name, value in record["made"].items()},
                None if record.get("guess") is None else float(record["guess"]),
            )
        except StoreSchemaError:
            raise
        except OSError as error:
            raise StoreError(f"there is no packed table at {path.parent} ({error}).") from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise StoreDamaged(f"the description {path} of a packed table cannot be read ({error!r}).") from error
        except StoreDamaged as error:
            raise StoreDamaged(f"the description {path} of a packed table is damaged: {error}") from error


class PackedTable:
    """A packed table, opened. Its files are mapped, not read: what is not asked for costs nothing.

    Args:
        path: The folder.

    Raises:
        StoreError: There is no such table. In every method: `StoreDamaged` where a file is not as it was written.
        StoreSchemaError: It was written by a newer version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._description = Description.read(self.path / DESCRIPTION)
        self._rows: dict[int, Rows] = {}
        self._indices: dict[int, NDArray[np.int32]] = {}

    @property
    def meta(self) -> TableMeta:
        """What the table was made with."""
        return self._description.meta

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that were trained, ascending."""
        return tuple(self._description.files)

    @property
    def epochs(self) -> int:
        """Epochs of every training."""
        return self._description.epochs

    @property
    def made(self) -> Mapping[str, str]:
        """How the trainings were made: command, versions, hardware, dates."""
        return self._description.made

    def rows(self, seed: int) -> Rows:
        """Return the trainings of one seed as they lie in the file, by index (module docstring); read-only."""
        if seed not in self._rows:
            self._rows[seed] = self._checked(self._file(seed))
        return self._rows[seed]

    def seeds_of(self, index: int) -> list[Seed]:
        """Return the seeds stored for an architecture, ascending."""
        return [seed for seed in self.seeds if self.has(index, seed)]

    def has(self, index: int, seed: Seed) -> bool:
        """Tell whether an architecture was trained with a seed."""
        return self._place(index, seed) is not None

    def get(self, index: int, seed: Seed) -> Evaluation | None:
        """Return one evaluation, or None. It has no seconds: those are the cost model's."""
        place = self._place(index, seed)
        return None if place is None else self._evaluation(self.rows(int(seed))[place], int(seed))

    def scan(self) -> Iterator[Evaluation]:
        """Iterate over all evaluations, by index and seed."""
        by_seed = [[(index, seed) for index in self._indices_of(seed).tolist()] for seed in self.seeds]
        for index, seed in merge(*by_seed):
            found = self.get(index, seed)
            assert found is not None, "its index is in the file"
            yield found

    def stored(self) -> NDArray[np.bool_]:
        """Return ``bool[S, N]``: which architectures each seed was trained on."""
        found = np.zeros((len(self.seeds), self.meta.size), dtype=np.bool_)
        for number, seed in enumerate(self.seeds):
            found[number, self._indices_of(seed)] = True
        return found

    def values(self, metric: str, epoch: int | None = None) -> NDArray[np.float64]:
        """Return one metric after ``epoch`` epochs (None: the last) as ``float64[S, N]``, NaN where unknown.

        Seeds are in the order of `seeds`, architectures by index; accuracies are fractions.
        """
        found = np.full((len(self.seeds), self.meta.size), np.nan)
        if metric not in row_type(1).fields or metric == "index" or not (epoch is None or 1 <= epoch <= self.epochs):  # type: ignore[operator]
            return found
        at = self.epochs - 1 if epoch is None else epoch - 1
        for number, seed in enumerate(self.seeds):
            rows = self.rows(seed)
            found[number, rows["index"]] = self._scaled(metric, rows[metric][:, at])
        if epoch is None and metric.endswith("_loss"):
            self._fill_last_losses(metric, found)
        return found

    def problems(self) -> list[str]:
        """Read everything and return a sentence for each file that is not as it was written."""
        found = []
        for seed, digest in self._description.files.items():
            path = self._file(seed)
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                found.append(f"the file {path} is not as it was written: pack the table, or install nasgym, again.")
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the path, not the maps."""
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the table again."""
        self.__init__(state["path"])  # type: ignore[misc]  # that is what opening is

    def _file(self, seed: int) -> Path:
        return self.path / seed_file(seed, self._description.files[seed])

    def _indices_of(self, seed: int) -> NDArray[np.int32]:
        """Return the architectures of one seed, ascending."""
        if seed not in self._indices:
            self._indices[seed] = np.ascontiguousarray(self.rows(seed)["index"])
        return self._indices[seed]

    def _place(self, index: int, seed: Seed) -> int | None:
        """Return the row of an architecture in the file of a seed; None where it was not trained with it."""
        if seed == "mean" or seed not in self._description.files or not 0 <= index < self.meta.size:
            return None
        indices = self._indices_of(seed)
        place = int(indices.searchsorted(np.int32(index)))
        return place if place < len(indices) and indices[place] == index else None

    def _checked(self, path: Path) -> Rows:
        """Map a file; raise `StoreDamaged` where its shape or its indices are not those of a table."""
        try:
            rows: Rows = np.lib.format.open_memmap(path, mode="r")  # never unpickles
        except Exception as error:  # numpy's parser of headers has no error of its own
            raise StoreDamaged(f"the file {path} of a packed table cannot be read ({error}).") from error
        if rows.ndim != 1 or rows.dtype != row_type(self.epochs):
            raise StoreDamaged(f"the file {path} holds {rows.dtype} of shape {rows.shape}, no trainings.")
        indices = rows["index"].astype(np.int64)
        if len(indices) and (indices[0] < 0 or indices[-1] >= self.meta.size or (np.diff(indices) <= 0).any()):
            raise StoreDamaged(f"the file {path} has indices that do not increase within 0..{self.meta.size - 1}.")
        return rows

    def _scaled(self, metric: str, values: NDArray[Any]) -> NDArray[np.float64]:
        numbers = values.astype(np.float64)
        split, _, kind = metric.partition("_")
        if kind != "accuracy":
            return numbers
        counted, guess = numbers / self._description.sizes[split], self._description.guess
        return counted if guess is None else np.where(values == GUESSED, guess, counted)

    def _fill_last_losses(self, metric: str, found: NDArray[np.float64]) -> None:
        """A training that diverged has for its last loss the last one that it knew."""
        for number, seed in enumerate(self.seeds):
            rows = self.rows(seed)
            for at in np.flatnonzero(np.isnan(rows[metric][:, -1])):
                known = rows[metric][at][~np.isnan(rows[metric][at])]
                if len(known):
                    found[number, rows["index"][at]] = known[-1]

    def _evaluation(self, row: np.void, seed: int) -> Evaluation:
        epochs = np.arange(1, self.epochs + 1)
        series: dict[str, Series] = {}
        for split in SPLITS:
            counts = self._scaled(f"{split}_accuracy", row[f"{split}_accuracy"])
            series[f"{split}_accuracy"] = Series.of(counts, epochs, "fraction")
        for split in SPLITS:
            losses = row[f"{split}_loss"].astype(np.float64)
            known = ~np.isnan(losses)
            if known.any():
                series[f"{split}_loss"] = Series.of(losses[known], epochs[known], "nats")
        diverged = bool(np.isnan(row["train_loss"]).any())
        return Evaluation(int(row["index"]), seed, self.epochs, series, diverged, dict(self.made))
