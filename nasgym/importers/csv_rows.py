"""The rows of a plain table (CSV), checked: which column is what, and what is wrong with which line."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from nasgym.errors import InvalidArchitecture, InvalidTable, UnknownName, near_names
from nasgym.recipes import check_dataset, dataset_names, get_recipe, recipe_names
from nasgym.results import METRICS, Seed, TableKey
from nasgym.spaces import Space

__all__ = ["IGNORE", "MOST", "AccuracyUnit", "Header", "Names", "Parser", "Table", "collect", "find_columns"]

IGNORE = "ignore"
"""The name under which a column of the file is left out."""
MOST_PROBLEMS = 20
"""Bad rows that are collected before the reading stops."""
AccuracyUnit: TypeAlias = Literal["percent", "fraction"]
MOST: Mapping[str, float] = {"percent": 100.0, "fraction": 1.0}
"""The unit of accuracies -> the highest there is."""
_KEYS = ("architecture", "dataset", "recipe", "seed")
_PROGRESS_EVERY = 2_000


@dataclass
class Table:
    """The rows of one table, before they become evaluations."""

    epochs: int
    cells: dict[tuple[int, Seed], tuple[int, list[float | None]]] = field(default_factory=dict)
    """(index, seed) -> line in the file, and a value for each metric."""


@dataclass(frozen=True)
class Names:
    """What the names in the file stand for."""

    space: Space
    recipes: Mapping[str, str]
    datasets: Mapping[str, str]

    @classmethod
    def of(cls, space: Space, recipes: Mapping[str, str], datasets: Mapping[str, str]) -> Names:
        """Check the targets; nasgym's own names stand for themselves."""
        for name in recipes.values():
            get_recipe(name)
        for name in datasets.values():
            check_dataset(name)
        return cls(space, {name: name for name in recipe_names()} | dict(recipes), dict(datasets))


@dataclass(frozen=True)
class Header:
    """Where each column is."""

    width: int
    keys: Mapping[str, int]
    metrics: Mapping[str, int]


def find_columns(path: Path, found: Sequence[str], renamed: Mapping[str, str], constants: Mapping[str, str]) -> Header:
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
        *(["fields that are not separated by commas"] if len(found) == 1 and {";", "\t"} & set(found[0]) else []),
    ]
    if faults:
        raise InvalidTable(
            f"{path} has {'; '.join(faults)}. Its columns: {', '.join(found) or 'none'}. Known: {', '.join(known)}. "
            f"Rename columns with columns={{'file name': 'known name'}} (--column FILE=KNOWN), leave one out with "
            f"the name {IGNORE!r}, and give what is the same in all rows as dataset= or recipe=."
        )
    at = {name: place for place, name in enumerate(names) if name != IGNORE}
    return Header(
        len(names), {k: v for k, v in at.items() if k in _KEYS}, {k: v for k, v in at.items() if k in METRICS}
    )


def _like(name: str, others: Iterable[str]) -> str:
    near = near_names(name, others, limit=1)
    return f" (is it {near[0]!r}?)" if near else ""


class Parser:
    """Turns rows of text into cells of tables; unknown names of recipes and data sets are noted, not raised."""

    def __init__(
        self,
        header: Header,
        constants: Mapping[str, str],
        names: Names,
        unit: AccuracyUnit,
        tables: dict[TableKey, Table],
    ) -> None:
        self._header, self._constants, self._names, self._tables = header, constants, names, tables
        self._metrics = [(name, place, _bounds(name, unit)) for name, place in header.metrics.items()]
        self._indices: dict[str, int] = {}
        self._seeds: dict[str, Seed] = {}
        self._of_names: dict[tuple[str, str], Table | None] = {}
        self.unknown: dict[str, dict[str, None]] = {"dataset": {}, "recipe": {}}

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

    def _table(self, dataset: str, recipe: str) -> Table | None:
        """Return the table of a row, or None where a name is unknown."""
        key = dataset, recipe
        if key not in self._of_names:
            self._of_names[key] = self._new_table(dataset, recipe)
        return self._of_names[key]

    def _new_table(self, dataset: str, recipe: str) -> Table | None:
        known_recipe = self._names.recipes.get(recipe)
        known_dataset: str | None = self._names.datasets.get(dataset, dataset)
        try:
            known_dataset = check_dataset(known_dataset or "")
        except UnknownName:
            known_dataset = None
        for kind, name, known in (("dataset", dataset, known_dataset), ("recipe", recipe, known_recipe)):
            if known is None:
                self.unknown[kind][name] = None
        if known_dataset is None or known_recipe is None:
            return None
        table_key = TableKey(self._names.space.name, known_dataset, known_recipe)
        return self._tables.setdefault(table_key, Table(get_recipe(known_recipe).epochs))


def _bounds(metric: str, unit: AccuracyUnit) -> tuple[float, float, str]:
    """Return the lowest and highest allowed value and their unit."""
    if METRICS[metric] == "fraction":
        return 0.0, MOST[unit], f"declared as {unit}"
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


def collect(path: Path, reader: Iterator[list[str]], parser: Parser, progress: Callable[[int], None] | None) -> int:
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


def _report(path: Path, unknown: Mapping[str, Iterable[str]], problems: Sequence[str]) -> None:
    known = {"dataset": dataset_names(), "recipe": recipe_names()}
    texts = [
        f"rows of the {kind}{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}, unknown to nasgym: say what "
        f"{'they are' if len(names) > 1 else 'it is'} with {kind}s={{{names[0]!r}: NAME}} "
        f"(--{kind} {names[0]}=NAME), NAME being one of {', '.join(known[kind])}"
        for kind, names in ((kind, list(found)) for kind, found in unknown.items())
        if names
    ]
    if texts:
        raise InvalidTable(f"{path} has {'; and '.join(texts)}. Nothing was imported.")
    if problems:
        raise InvalidTable(f"{path} has bad rows; nothing was imported.\n  " + "\n  ".join(problems))
