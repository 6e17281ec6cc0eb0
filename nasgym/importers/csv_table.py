"""Plain tables (CSV) into the store: checked row by row, and imported whole or not at all."""

from __future__ import annotations

import csv
import gzip
import hashlib
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Literal, TypeAlias

from nasgym.errors import InvalidArchitecture, InvalidSetting, InvalidTable, UnknownName, near_names
from nasgym.recipes import check_dataset, dataset_names, get_recipe, recipe_names
from nasgym.results import METRICS, Evaluation, Seed, Series, TableKey, Unit
from nasgym.results_file import TableMeta
from nasgym.spaces import Space
from nasgym.store import Store

__all__ = ["IGNORE", "ImportReport", "ImportedTable", "import_csv"]

IGNORE = "ignore"
"""The name under which a column of the file is left out."""
MOST_PROBLEMS = 20
"""Bad rows that are collected before the reading stops."""
_KEYS = ("architecture", "dataset", "recipe", "seed")
_PROGRESS_EVERY = 2_000
AccuracyUnit: TypeAlias = Literal["percent", "fraction"]
_MOST = {"percent": 100.0, "fraction": 1.0}


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


@dataclass
class _Table:
    """The rows of one table, before they become evaluations."""

    epochs: int
    cells: dict[tuple[int, Seed], tuple[int, list[float | None]]] = field(default_factory=dict)
    """(index, seed) -> line in the file, and a value for each metric."""


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
    if unit not in _MOST:
        raise InvalidSetting(f"the unit of accuracies is 'percent' or 'fraction'; got {unit!r}.")
    names = _Names.of(space, recipes or {}, datasets or {})
    constants = _constants(dataset, recipe)
    tables: dict[TableKey, _Table] = {}
    with _lines(path) as lines:
        reader = csv.reader(lines, strict=True)
        header = _header(path, next(reader, []), columns or {}, constants)
        rows = _collect(path, reader, _Parser(header, constants, names, unit, tables), progress)
    if not rows:
        raise InvalidTable(f"{path} has a header but no rows.")
    return _put(store, path, rows, space, tables, [_series_of(m, unit) for m in header.metrics])


@dataclass(frozen=True)
class _Names:
    """What the names in the file stand for."""

    space: Space
    recipes: Mapping[str, str]
    datasets: Mapping[str, str]

    @classmethod
    def of(cls, space: Space, recipes: Mapping[str, str], datasets: Mapping[str, str]) -> _Names:
        """Check the targets; nasgym's own names stand for themselves."""
        for name in recipes.values():
            get_recipe(name)
        for name in datasets.values():
            check_dataset(name)
        return cls(space, {name: name for name in recipe_names()} | dict(recipes), dict(datasets))


@dataclass(frozen=True)
class _Header:
    """Where each column is."""

    width: int
    keys: Mapping[str, int]
    metrics: Mapping[str, int]


def _constants(dataset: str | None, recipe: str | None) -> dict[str, str]:
    constants = {}
    if dataset is not None:
        constants["dataset"] = check_dataset(dataset)
    if recipe is not None:
        constants["recipe"] = get_recipe(recipe).name
    return constants


def _header(path: Path, found: Sequence[str], renamed: Mapping[str, str], constants: Mapping[str, str]) -> _Header:
    """Find the columns; raises `InvalidTable` for missing, unknown and repeated ones."""
    names = [renamed.get(name.strip(), name.strip()) for name in found]
    known = (*_KEYS, *METRICS)
    absent = [name for name in renamed if name not in (n.strip() for n in found)]
    wanted = [name for name in _KEYS if name not in constants]
    missing = [name for name in wanted if name not in names]
    unknown = [name for name in names if name not in known and name != IGNORE]
    repeated = sorted({name for name in names if names.count(name) > 1 and name != IGNORE})
    doubled = [name for name in constants if name in names]
    faults = [
        *(f"no column {name!r}{_like(name, unknown)}" for name in missing),
        *(["no column with a metric"] if not any(name in METRICS for name in names) else []),
        *(f"an unknown column {name!r}{_like(name, [k for k in known if k not in names])}" for name in unknown),
        *(f"the column {name!r} twice" for name in repeated),
        *(f"a column {name!r} although {name}={constants[name]!r} was given for all rows" for name in doubled),
        *(f"no column {name!r}, which was to be renamed" for name in absent),
    ]
    if faults:
        raise InvalidTable(
            f"{path} has {'; '.join(faults)}. Its columns: {', '.join(found) or 'none'}. Known: {', '.join(known)}. "
            f"Rename columns with columns={{'file name': 'known name'}} (--column FILE=KNOWN), leave one out with "
            f"the name {IGNORE!r}, and give what is the same in all rows as dataset= or recipe=."
        )
    at = {name: place for place, name in enumerate(names) if name != IGNORE}
    return _Header(
        len(names), {k: v for k, v in at.items() if k in _KEYS}, {k: v for k, v in at.items() if k in METRICS}
    )


def _like(name: str, others: Iterable[str]) -> str:
    near = near_names(name, others, limit=1)
    return f" (is it {near[0]!r}?)" if near else ""


class _Parser:
    """Turns rows of text into cells of tables; unknown names of recipes and data sets are counted, not raised."""

    def __init__(
        self,
        header: _Header,
        constants: Mapping[str, str],
        names: _Names,
        unit: AccuracyUnit,
        tables: dict[TableKey, _Table],
    ) -> None:
        self._header, self._constants, self._names, self._tables = header, constants, names, tables
        self._metrics = [(name, place, _bounds(name, unit)) for name, place in header.metrics.items()]
        self._indices: dict[str, int] = {}
        self._seeds: dict[str, Seed] = {}
        self._of_names: dict[tuple[str, str], _Table | None] = {}
        self.unknown: dict[str, dict[str, int]] = {"dataset": {}, "recipe": {}}

    def add(self, line: int, row: Sequence[str]) -> None:
        """Take in one row; raises `ValueError` with what is wrong."""
        if len(row) != self._header.width:
            raise ValueError(f"{len(row)} fields, the header has {self._header.width}")
        index = self._index(self._key(row, "architecture"))
        seed = self._seed(self._key(row, "seed"))
        table = self._table(self._key(row, "dataset"), self._key(row, "recipe"))
        values = [_number(name, row[place].strip(), *bounds) for name, place, bounds in self._metrics]
        if table is None:
            return
        first = table.cells.setdefault((index, seed), (line, values))
        if first[0] != line:
            raise ValueError(f"architecture {index}, seed {seed} stands already in line {first[0]}")

    def _key(self, row: Sequence[str], name: str) -> str:
        text = self._constants.get(name) or row[self._header.keys[name]].strip()
        if not text:
            raise ValueError(f"the {name} is empty")
        return text

    def _index(self, text: str) -> int:
        """Return the index of an architecture; each different text is parsed once."""
        found = self._indices.get(text)
        if found is None:
            space = self._names.space
            digits = text.isascii() and text.isdecimal()
            genotypes = space.from_index([int(text)]) if digits else space.from_str([text])
            found = self._indices[text] = int(space.index(genotypes)[0])
        return found

    def _seed(self, text: str) -> Seed:
        found = self._seeds.get(text)
        if found is None:
            if text != "mean" and not (text.isascii() and text.isdecimal() and int(text) < 2**63):
                raise ValueError(f"the seed is an integer from 0 or 'mean'; got {text!r}")
            found = self._seeds[text] = "mean" if text == "mean" else int(text)
        return found

    def _table(self, dataset: str, recipe: str) -> _Table | None:
        """Return the table of a row, or None where a name is unknown."""
        key = dataset, recipe
        if self._of_names.get(key) is None:
            self._of_names[key] = self._new_table(dataset, recipe)
        return self._of_names[key]

    def _new_table(self, dataset: str, recipe: str) -> _Table | None:
        known_recipe = self._names.recipes.get(recipe)
        known_dataset: str | None = self._names.datasets.get(dataset, dataset)
        try:
            check_dataset(known_dataset or "")
        except UnknownName:
            known_dataset = None
        for kind, name, known in (("dataset", dataset, known_dataset), ("recipe", recipe, known_recipe)):
            if known is None:
                self.unknown[kind][name] = self.unknown[kind].get(name, 0) + 1
        if known_dataset is None or known_recipe is None:
            return None
        table_key = TableKey(self._names.space.name, known_dataset, known_recipe)
        return self._tables.setdefault(table_key, _Table(get_recipe(known_recipe).epochs))


def _bounds(metric: str, unit: AccuracyUnit) -> tuple[float, float, str]:
    """Return the lowest and highest allowed value and their unit."""
    if METRICS[metric] == "fraction":
        return 0.0, _MOST[unit], f"declared as {unit}"
    return (0.0, math.inf, "seconds") if METRICS[metric] == "seconds" else (-math.inf, math.inf, METRICS[metric])


def _number(name: str, text: str, low: float, high: float, unit: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} is not a number: {text!r}") from None
    if not math.isfinite(value) or "_" in text:
        raise ValueError(f"{name} is {text!r}: an unknown value is an empty cell, others are finite numbers")
    if not low <= value <= high:
        raise ValueError(f"{name} is {text}, outside {low:g}..{high:g} ({unit})")
    return value


def _collect(path: Path, reader: Iterator[list[str]], parser: _Parser, progress: Callable[[int], None] | None) -> int:
    """Read all rows into the parser and return their number; raises `InvalidTable` with all that is wrong."""
    problems: list[str] = []
    rows = 0
    try:
        for row in reader:
            line = reader.line_num  # type: ignore[attr-defined]  # csv's reader is private
            if not row:
                continue
            rows += 1
            try:
                parser.add(line, row)
            except (ValueError, InvalidArchitecture) as error:
                problems.append(f"line {line}: {error}")
                if len(problems) == MOST_PROBLEMS:
                    problems.append("more rows were not read")
                    break
            if progress is not None and rows % _PROGRESS_EVERY == 0:
                progress(rows)
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: {error}")  # type: ignore[attr-defined]
    _report(path, parser.unknown, problems)
    if progress is not None:
        progress(rows)
    return rows


def _report(path: Path, unknown: Mapping[str, Mapping[str, int]], problems: Sequence[str]) -> None:
    known = {"dataset": dataset_names(), "recipe": recipe_names()}
    texts = [
        f"rows of the {kind}{'s' if len(names) > 1 else ''} {_listing(names)}, unknown to nasgym: say what "
        f"{'they are' if len(names) > 1 else 'it is'} with {kind}s={{{next(iter(names))!r}: NAME}} "
        f"(--{kind} {next(iter(names))}=NAME), NAME being one of {', '.join(known[kind])}"
        for kind, names in unknown.items()
        if names
    ]
    if texts:
        raise InvalidTable(f"{path} has {'; and '.join(texts)}. Nothing was imported.")
    if problems:
        raise InvalidTable(f"{path} has bad rows; nothing was imported.\n  " + "\n  ".join(problems))


def _listing(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _series_of(metric: str, unit: AccuracyUnit) -> tuple[str, Unit]:
    known: Unit = unit if METRICS[metric] == "fraction" else "seconds" if METRICS[metric] == "seconds" else "nats"
    return metric, known


def _put(
    store: Store,
    path: Path,
    rows: int,
    space: Space,
    tables: Mapping[TableKey, _Table],
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
    table: _Table, metrics: Sequence[tuple[str, Unit]], provenance: Mapping[str, str]
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
        if isinstance(error, UnicodeDecodeError | EOFError | gzip.BadGzipFile | zlib.error | OSError):
            raise InvalidTable(f"{self._path} cannot be read ({error}): is it whole, and UTF-8 text?") from error
