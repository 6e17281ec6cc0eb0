"""What every place of work has in common: the protocol, the outcome of an item, and how items travel."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from nasgym.errors import InvalidSetting, RunFailed

__all__ = [
    "THREAD_VARIABLES",
    "Answer",
    "Crew",
    "Executor",
    "InProcess",
    "Item",
    "Outcome",
    "Value",
    "attempt",
    "distribute",
    "first_line",
    "pickled_function",
]

Item = TypeVar("Item")
Value = TypeVar("Value")

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""How many threads numpy, scikit-learn and torch use."""
Answer: TypeAlias = tuple[Any, str | None, str]
"""Value, error and traceback, as in `Outcome`."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """What became of one item.

    Attributes:
        item: The item, the very object that was given.
        value: What the function returned; None where it failed.
        error: None, or the failure in one line (``"InvalidBudget: ..."``).
        traceback: The traceback of the place where it ran, empty for a worker that died.
    """

    item: Item
    value: Value | None = None
    error: str | None = None
    traceback: str = ""

    @property
    def died(self) -> bool:
        """Whether the worker died: the item itself may be innocent."""
        return self.error is not None and not self.traceback

    def result(self) -> Value:
        """Return the value; raises `RunFailed` with the item and the worker's traceback where there is none."""
        if self.error is not None:
            raise RunFailed(f"{self.item!r} failed: {self.error}\n{self.traceback}".rstrip())
        return self.value  # type: ignore[return-value]  # None only where the function returned it


class Executor(Protocol):
    """A place where a function is applied to many items."""

    def map_unordered(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Apply ``function`` to each item and yield one `Outcome` per item, in the order in which they end."""


class InProcess:
    """Runs one item after the other, here."""

    def map_unordered(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Yield the outcomes in the order of the items; an interrupt from the keyboard passes through."""
        for item in items:
            yield Outcome(item, *attempt(function, item))


def attempt(function: Callable[[Any], Any], argument: Any) -> Answer:
    """Apply a function and return what came of it; an interrupt from the keyboard passes through."""
    try:
        return function(argument), None, ""
    except (Exception, SystemExit) as error:
        return None, "".join(traceback.format_exception_only(error)).strip(), traceback.format_exc()


def pickled_function(function: Callable[..., Any]) -> bytes:
    """Return a function's bytes; raises `InvalidSetting` where it cannot travel."""
    try:
        return pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InvalidSetting(
            f"{function!r} cannot be sent to a worker process ({error}). "
            "Define it at the top level of a module, or use one worker."
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message that says something, or the name of its class."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class Crew(Protocol):
    """Workers elsewhere, and what they have to do.

    Attributes:
        busy: What is under way, by whatever names it.
    """

    busy: dict[Any, Any]

    def start(self, item: Any) -> Answer | None:
        """Hand out an item; return an answer only where it could not be sent."""

    def finished(self) -> list[tuple[Any, Answer]]:
        """Wait for something to end; return ``(item, answer)`` of all that has, which after a while may be nothing."""


def distribute(crew: Crew, items: Iterator[Item], room: Callable[[], int]) -> Iterator[Outcome[Item, Any]]:
    """Hand out items while there is room for them, and yield what became of each; ``room`` is at least 1."""
    exhausted = False
    while True:
        while not exhausted and len(crew.busy) < room():
            try:
                item = next(items)
            except StopIteration:
                exhausted = True
                break
            unsent = crew.start(item)
            if unsent is not None:
                yield Outcome(item, *unsent)
        if not crew.busy:
            return
        for item, answer in crew.finished():
            yield Outcome(item, *answer)
