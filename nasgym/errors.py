"""Every error that nasgym raises on purpose: the value, the bound and the remedy are in its message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BrokenImage",
    "DatasetUnavailable",
    "DeviceMemoryExhausted",
    "EpisodeOver",
    "InvalidAction",
    "InvalidAgent",
    "InvalidArchive",
    "InvalidArchitecture",
    "InvalidBudget",
    "InvalidSetting",
    "InvalidTable",
    "MissingResult",
    "NasgymError",
    "ResultConflict",
    "RunFailed",
    "SearchDiverged",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreReadOnly",
    "StoreSchemaError",
    "TableMismatch",
    "UnknownName",
    "UnsuitableTask",
    "near_names",
]


class NasgymError(Exception):
    """The base of all errors that nasgym raises on purpose."""


class InvalidArchitecture(NasgymError, ValueError):
    """An architecture string, index or genotype that is not in the search space."""


class InvalidAction(NasgymError, ValueError):
    """An action outside the action space, or one that the action mask forbids."""


class InvalidAgent(NasgymError, TypeError):
    """A file or a class that cannot be used as an agent."""


class InvalidArchive(NasgymError, ValueError):
    """An official file that is cut off, of another version or of something else, or that asks for more than results."""


class InvalidBudget(NasgymError, ValueError):
    """A budget of simulated seconds that is zero, negative or not a number."""


class InvalidSetting(NasgymError, ValueError):
    """An option whose value is out of its bounds."""


class InvalidTable(NasgymError, ValueError):
    """A file of results with missing columns, unreadable values or contradicting rows."""


class EpisodeOver(NasgymError, RuntimeError):
    """A step after the end of an episode, or before the first reset."""


class MissingResult(NasgymError, LookupError):
    """A result that is not in the table, where training it was not allowed."""


class DatasetUnavailable(NasgymError, FileNotFoundError):
    """A data set that is not on this machine, or is not what it should be."""


class BrokenImage(NasgymError, ValueError):
    """An image file that cannot be decoded."""


class DeviceMemoryExhausted(MemoryError, NasgymError):  # in this order libraries that unpickle errors can make one
    """A training that does not fit into the memory of its device."""


class RunFailed(NasgymError, RuntimeError):
    """A run of a study that ended with an exception."""


class SearchDiverged(NasgymError, ArithmeticError):
    """A super-network, or what chooses an architecture by it, that has no finite numbers any more."""


class UnsuitableTask(NasgymError, ValueError):
    """A search space or a task that an agent cannot search."""


class StoreError(NasgymError):
    """The base of all errors of the results store."""


class StoreReadOnly(StoreError, PermissionError):
    """A write to a store that can only be read."""


class StoreFull(StoreError, OSError):
    """A write for which the disk has no room."""


class StoreDamaged(StoreError, ValueError):
    """A store or a record whose bytes are not what was written."""


class StoreSchemaError(StoreError, ValueError):
    """A store written by a newer version of nasgym."""


class ResultConflict(StoreError, ValueError):
    """A result for an architecture and seed that contradicts the stored one."""


class TableMismatch(StoreError, ValueError):
    """A table asked for with another size, recipe or data set than it was made with."""


class UnknownName(NasgymError, LookupError):
    """A name that nothing is registered under.

    Args:
        kind: What was looked for, in the user's words (``"dataset"``).
        name: The name as given.
        known: The names that exist.
        remedy: What else the user can do, one sentence.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        self.kind, self.name, self.known, self.remedy = kind, name, tuple(known), remedy
        near = near_names(name, self.known)
        hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        listing = f" Known: {', '.join(sorted(self.known))}." if self.known else ""
        super().__init__(f"unknown {kind} {name!r}.{hint}{listing}{' ' + remedy if remedy else ''}")

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, str, tuple[str, ...], str]]:
        """Pickle by the arguments, so that a worker's error arrives whole."""
        return type(self), (self.kind, self.name, self.known, self.remedy)


def near_names(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Return up to ``limit`` known names that look like ``name``, the nearest first."""
    return difflib.get_close_matches(name, list(known), n=limit, cutoff=0.5)
