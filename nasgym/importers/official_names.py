"""What the official files call their data sets, evaluation sets and recipes, and what that is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from nasgym.errors import InvalidArchive
from nasgym.results import TableKey
from nasgym.spaces import Macro, get_space

__all__ = [
    "OFFICIAL_DATASETS",
    "OfficialDataset",
    "architecture_string",
    "dataset_of",
    "hp_of",
    "is_official",
    "recipe_of",
    "table_of",
    "tables_of",
]


@dataclass(frozen=True)
class OfficialDataset:
    """A data set of the official files.

    Attributes:
        name: What the files call it.
        ours: What it is called here.
        classes: Number of classes.
        resolution: Side of an image in pixels.
        splits: Evaluation set of the files -> the split it is here, in the published order.
    """

    name: str
    ours: str
    classes: int
    resolution: int
    splits: Mapping[str, str]

    def macro(self, space: str) -> Macro:
        """Return the skeleton of the published networks of a space for these images."""
        return Macro(16, 5 if space == "nb201" else 1, self.classes, 3, self.resolution)


_THREE = MappingProxyType({"x-valid": "valid", "x-test": "test", "ori-test": "valtest"})
OFFICIAL_DATASETS: Mapping[str, OfficialDataset] = MappingProxyType(
    {
        known.name: known
        for known in (
            OfficialDataset(
                "cifar10-valid", "cifar10", 10, 32, MappingProxyType({"x-valid": "valid", "ori-test": "test"})
            ),
            OfficialDataset("cifar10", "cifar10-full", 10, 32, MappingProxyType({"ori-test": "test"})),
            OfficialDataset("cifar100", "cifar100", 100, 32, _THREE),
            OfficialDataset("ImageNet16-120", "imagenet16-120", 120, 16, _THREE),
        )
    }
)
"""In the order of the files. ``cifar10-valid`` trains on half of the training images and is validated on the other;
``cifar10`` trains on all of them. ``valtest`` is the whole original test set, of which ``valid`` and ``test`` are
the halves."""
_OURS = {known.ours: known for known in OFFICIAL_DATASETS.values()}
_RECIPES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "nb201": MappingProxyType({"12": "nb201-12", "200": "nb201-200"}),
        "nats-sss": MappingProxyType({"01": "nats-sss-01", "12": "nats-sss-12", "90": "nats-sss-90"}),
    }
)


def table_of(space: str, dataset: str, hp: str) -> TableKey:
    """Return the table of what the files call ``dataset`` under ``hp`` (``"12"``, ``"200"``, ...).

    Raises:
        InvalidArchive: The official files know no such data set or recipe in that space.
    """
    if dataset not in OFFICIAL_DATASETS:
        raise InvalidArchive(f"no official data set is called {_brief(dataset)}: {', '.join(OFFICIAL_DATASETS)} are.")
    return TableKey(space, OFFICIAL_DATASETS[dataset].ours, recipe_of(space, hp))


def tables_of(space: str) -> dict[TableKey, tuple[str, str]]:
    """Return every table of a space with the files' data set and ``hp``, in the order of the files."""
    return {table_of(space, name, hp): (name, hp) for hp in _RECIPES.get(space, {}) for name in OFFICIAL_DATASETS}


def recipe_of(space: str, hp: str) -> str:
    """Return the recipe that the files call ``hp`` in a space; raises `InvalidArchive`."""
    known = _RECIPES.get(space, {})
    if hp not in known:
        raise InvalidArchive(
            f"the official files of {space} have no results of {_brief(hp)} epochs: they have {', '.join(known)}."
        )
    return known[hp]


def hp_of(key: TableKey) -> str:
    """Return what the files call the recipe of a table; raises `InvalidArchive` where it is none of theirs."""
    for hp, recipe in _RECIPES.get(key.space, {}).items():
        if recipe == key.recipe:
            return hp
    raise InvalidArchive(f"{key} is no table of the official files.")


def dataset_of(key: TableKey) -> OfficialDataset:
    """Return the official data set of a table; raises `InvalidArchive` where it is none of theirs."""
    if key.dataset not in _OURS:
        raise InvalidArchive(f"{key} is no table of the official files.")
    return _OURS[key.dataset]


def is_official(key: TableKey) -> bool:
    """Tell whether a table is one that the official files fill."""
    return key.dataset in _OURS and key.recipe in _RECIPES.get(key.space, {}).values()


@lru_cache(maxsize=64)
def architecture_string(space: str, index: int) -> str:
    """Return the published string of an architecture; raises `InvalidArchitecture` outside the space."""
    found = get_space(space)
    return found.to_str(found.from_index([index]))[0]


def _brief(value: object) -> str:
    """Return a name from a file, cut where it is long; what is no text by its type."""
    return repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
