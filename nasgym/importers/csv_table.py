"""Plain tables (CSV) into the store: checked row by row, and imported whole or not at all."""

from __future__ import annotations

import csv
import gzip
import hashlib
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from nasgym.errors import InvalidSetting, InvalidTable
from nasgym.importers.csv_rows import IGNORE, MOST, AccuracyUnit, Names, Parser, Table, collect, find_columns
from nasgym.recipes import check_dataset, get_recipe
from nasgym.results import METRICS, Evaluation, Seed, Series, TableKey, Unit
from nasgym.results_file import TableMeta
from nasgym.spaces import Space
from nasgym.store import Store

__all__ = ["IGNORE", "ImportReport", "ImportedTable", "import_csv"]


@dataclass(frozen=True)
class ImportedTable:
    """What one table received.

    Attributes:
        rows: Rows of the file.
        written: Rows that the store did not have yet.
        seeds: The seeds in the file, numbers ascending, then ``"mean"``.
    """

    rows: int
    written: int
    seeds: tuple[Seed, ...]


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        path: The file.
        rows: Its rows.
        tables: What each table received.
    """

    path: Path
    rows: int
    tables: Mapping[TableKey, ImportedTable]


def import_csv(
    store: Store,
    path: Path | str,
    *,
    space: Space,
    unit: AccuracyUnit,
    recipes: Mapping[str, str] | None = None,
    datasets: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    dataset: str | None = None,
    recipe: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import a plain table, ``.csv`` or ``.csv.gz``, in one commit.

    The file has a header and the columns architecture (a string or an index), dataset, recipe, seed (an integer from
    0, or ``mean`` for an aggregate over seeds) and at least one of `nasgym.results.METRICS`. An empty cell is an
    unknown value. Results count as those at the end of their recipe.

    Args:
        store: Where the results go.
        path: The file.
        space: The search space of its architectures.
        unit: The unit of its accuracies; it is kept, and converted on reading.
        recipes: The file's names of recipes -> nasgym's; its own names need none.
        datasets: The file's names of data sets -> nasgym's; its own names need none.
        columns: The file's names of columns -> those above, or `IGNORE`.
        dataset: The data set of all rows, where the file has no such column.
        recipe: The recipe of all rows (nasgym's name), where the file has no such column.
        progress: Called now and then with the number of rows read.

    Raises:
        InvalidTable: The file cannot be read, columns are missing, or rows are bad, with their line numbers.
        ResultConflict: The store holds another result for an architecture and seed.
        TableMismatch: A table of the store was made with another recipe or space.
        UnknownName: An option names an unknown recipe or data set.
    """
    path = Path(path)
    if unit not in MOST:
        raise InvalidSetting(f"the unit of accuracies is 'percent' or 'fraction'; got {unit!r}.")
    names = Names.of(space, recipes or {}, datasets or {})
    constants = _constants(dataset, recipe)
    tables: dict[TableKey, Table] = {}
    with _lines(path) as lines:
        reader = csv.reader(lines, strict=True)
        header = find_columns(path, next(reader, []), columns or {}, constants)
        rows = collect(path, reader, Parser(header, constants, names, unit, tables), progress)
    if not rows:
        raise InvalidTable(f"{path} has a header but no rows.")
    return _put(store, path, rows, space, tables, [_series_of(m, unit) for m in header.metrics])


def _constants(dataset: str | None, recipe: str | None) -> dict[str, str]:
    constants = {}
    if dataset is not None:
        constants["dataset"] = check_dataset(dataset)
    if recipe is not None:
        constants["recipe"] = get_recipe(recipe).name
    return constants


def _series_of(metric: str, unit: AccuracyUnit) -> tuple[str, Unit]:
    known: Unit = unit if METRICS[metric] == "fraction" else "seconds" if METRICS[metric] == "seconds" else "nats"
    return metric, known


def _put(
    store: Store,
    path: Path,
    rows: int,
    space: Space,
    tables: Mapping[TableKey, Table],
    metrics: Sequence[tuple[str, Unit]],
) -> ImportReport:
    """Write everything in one commit."""
    provenance = {"tool": "nasgym import csv", "file": path.name, "sha256": _sha256(path)[:16]}
    written = store.put_tables(
        (TableMeta(key, space.size, asdict(get_recipe(key.recipe))), _evaluations(table, metrics, provenance))
        for key, table in tables.items()
    )
    return ImportReport(
        path,
        rows,
        {
            key: ImportedTable(len(table.cells), written[key], _sorted_seeds(seed for _, seed in table.cells))
            for key, table in tables.items()
        },
    )


def _evaluations(
    table: Table, metrics: Sequence[tuple[str, Unit]], provenance: Mapping[str, str]
) -> Iterator[Evaluation]:
    for (index, seed), (_, values) in table.cells.items():
        series = {
            name: Series.of(value, table.epochs, unit)
            for (name, unit), value in zip(metrics, values, strict=True)
            if value is not None
        }
        yield Evaluation(index, seed, table.epochs, series, provenance=provenance)


def _sorted_seeds(seeds: Iterable[Seed]) -> tuple[Seed, ...]:
    return tuple(sorted(set(seeds), key=lambda seed: math.inf if seed == "mean" else seed))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _lines:  # noqa: N801 - reads as a statement
    """A text file, plain or gzipped, opened for reading; what goes wrong becomes `InvalidTable`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> IO[str]:
        try:
            with self._path.open("rb") as file:
                opened = gzip.open if file.read(2) == b"\x1f\x8b" else open
            self._file = opened(self._path, "rt", encoding="utf-8-sig", newline="")
        except OSError as error:
            raise InvalidTable(f"{self._path} cannot be opened ({error}): check the path.") from error
        return self._file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._file is not None:
            self._file.close()
        if isinstance(error, csv.Error | UnicodeDecodeError | EOFError | gzip.BadGzipFile | zlib.error | OSError):
            raise InvalidTable(f"{self._path} cannot be read ({error}): is it whole, and UTF-8 text?") from error
