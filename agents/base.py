"""What an agent is: a frozen dataclass of hyper-parameters with one method that spends a task's budget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from nasgym.errors import InvalidBudget, InvalidSetting
from nasgym.spaces import Space
from nasgym.task import Task

__all__ = ["Agent", "Description", "Setting", "begin", "check_settings", "describe", "setting"]

_LAST_SEED = 2**32 - 1  # scikit-learn and the generators of old that libraries seed take no greater one
T = TypeVar("T")
_NO_PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


class Agent(Protocol):
    """An algorithm that spends a task's budget.

    The agents of this package are frozen dataclasses that inherit the class variables below; of a user's own class
    only `search` is asked.

    Attributes:
        name: The id of the agent.
        family: What kind of algorithm it is (``"evolution"``).
        source: Where it is published, with the section.
        presets: Named settings: ``presets["nats"] == {"learning_rate": 0.01}``.
        settles: Whether a search ends when it has its answer, which it evaluates last; else it spends the budget.
    """

    name: ClassVar[str] = ""
    family: ClassVar[str] = "own"
    source: ClassVar[str] = ""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = _NO_PRESETS
    settles: ClassVar[bool] = False

    def check_space(self, space: Space) -> None:
        """Raise `UnsuitableTask` where this agent cannot search ``space``; most can search all."""

    def check_task(self, task: Task) -> None:
        """Raise where every search of ``task`` by this agent would fail; a study asks before it starts.

        Raises:
            UnsuitableTask: The agent cannot search the space.
            InvalidSetting: Its settings do not fit the task, or a package that it needs is not installed.
            MissingResult: It begins with trainings shorter than any that the table knows.
        """
        self.check_space(task.space)

    def search(self, task: Task, seed: int) -> None:
        """Evaluate architectures with ``task.evaluate(...)`` until ``task.exhausted``, or until it has its answer.

        The task keeps the record: its trajectory and incumbent are the result. The seed determines the run, and no
        global random state is left changed.
        """


@dataclass(frozen=True)
class Setting:
    """One hyper-parameter, for people to read.

    Attributes:
        name: The keyword that sets it.
        default: Its default.
        doc: What it is, with its unit and where the default comes from.
    """

    name: str
    default: Any
    doc: str


def setting(
    default: T, doc: str, *, kind: type | None = None, low: float | None = None, above: float | None = None,
    high: float | None = None, options: tuple[Any, ...] = (),
) -> T:  # fmt: skip
    """Declare a hyper-parameter of an agent: a dataclass field with its documentation and bounds.

    Args:
        default: The default; values must be of its type.
        doc: What it is, with its unit and where the default comes from.
        kind: Where the default is None, the type of all other values.
        low: The least allowed value.
        above: Values must be greater than this.
        high: The greatest allowed value.
        options: All allowed values, where there are few.
    """
    metadata = {"doc": doc, "kind": kind or type(default), "low": low, "above": above, "high": high, "options": options}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Description:
    """An agent, for people to read; what a user's own class does not say is empty.

    Attributes:
        name: The id, or the name of the class.
        family: What kind of algorithm it is.
        source: Where it is published.
        summary: The first line of its documentation.
        presets: Named settings.
        settings: Its hyper-parameters.
    """

    name: str
    family: str
    source: str
    summary: str
    presets: Mapping[str, Mapping[str, Any]]
    settings: tuple[Setting, ...]


def check_settings(agent: Any) -> None:
    """Raise `InvalidSetting` where a hyper-parameter is not of its default's type or is out of its bounds."""
    for item in fields(agent):
        if "doc" in item.metadata:
            _check(type(agent).__name__, item, getattr(agent, item.name))


def begin(task: Task, seed: int) -> np.random.Generator:
    """Return the generator of a run. Every agent's search starts here.

    Raises:
        InvalidSetting: The seed is no whole number in 0..2**32-1.
        InvalidBudget: Nothing would ever end the search.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed <= _LAST_SEED:
        raise InvalidSetting(f"the seed of a search is a whole number from 0 to {_LAST_SEED}; got {seed!r}.")
    if not task.bounded:
        raise InvalidBudget(
            f"a search on {task.name} would never end: its budget is {task.budget} simulated seconds"
            f"{'' if task.protocol.charge_repeats else ', repeated architectures cost nothing'} and max_evaluations "
            f"is {task.max_evaluations}. Give the task budget= or max_evaluations=."
        )
    return np.random.default_rng(seed)


def describe(agent: type[Any] | Any) -> Description:
    """Return what an agent or its class says about itself."""
    found = agent if isinstance(agent, type) else type(agent)
    items = fields(found) if is_dataclass(found) else ()
    return Description(
        name=getattr(found, "name", "") or found.__name__,
        family=getattr(found, "family", "own"),
        source=getattr(found, "source", ""),
        summary=next(iter((found.__doc__ or "").strip().splitlines()), ""),
        presets=getattr(found, "presets", _NO_PRESETS),
        settings=tuple(Setting(f.name, _default(f), f.metadata.get("doc", "")) for f in items if f.init),
    )


def _default(item: Field[Any]) -> Any:
    if item.default is not MISSING:
        return item.default
    return item.default_factory() if item.default_factory is not MISSING else None


def _check(owner: str, item: Field[Any], value: Any) -> None:
    rules, optional = item.metadata, item.default is None
    if optional and value is None:
        return
    kind = f"of type {rules['kind'].__name__}{' or None' if optional else ''}"
    bounds = [
        text
        for text, broken in (
            (f"one of {rules['options']}", bool(rules["options"]) and value not in rules["options"]),
            (kind, not _is_a(value, rules["kind"])),
        )
        if broken
    ]
    if not bounds and isinstance(value, (int, float)):
        bounds = _broken_bounds(rules, float(value))
    if bounds:
        raise InvalidSetting(f"{item.name} of {owner} must be {' and '.join(bounds)}; got {value!r}. {rules['doc']}")


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _broken_bounds(rules: Mapping[str, Any], value: float) -> list[str]:
    low, above, high = rules["low"], rules["above"], rules["high"]
    broken = []
    if not math.isfinite(value):
        broken.append("finite")
    if low is not None and value < low:
        broken.append(f"at least {low}")
    if above is not None and value <= above:
        broken.append(f"above {above}")
    if high is not None and value > high:
        broken.append(f"at most {high}")
    return broken
