"""What a study is, as values: agents x tasks x seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nasgym.agents import Agent, agent_class, get_agent
from nasgym.benchmark import OnMissing, SeedPolicy, import_commands
from nasgym.errors import InvalidBudget, InvalidSetting, MissingResult, NasgymError, UnknownName, UnsuitableTask
from nasgym.store import default_path
from nasgym.task import Protocol, Task, get_protocol, make_task

__all__ = ["StudyDesign", "TaskSpec", "differences", "settings_words"]


@dataclass(frozen=True)
class TaskSpec:
    """A task as values: what `nasgym.task.make_task` takes, and so what a worker process can make anew.

    Attributes:
        name: The task, ``space/dataset``.
        protocol: The rules, by name or as a value.
        recipe: The recipe to search; None: the protocol's, else the data set's default.
        seeds: Which stored training answers; None: the protocol's.
        budget: Simulated seconds; None: the protocol's.
        max_evaluations: Evaluations per run; None: no limit.
        workers: Simulated workers.
        charge_repeats: Whether repeated architectures are charged again; None: the protocol's.
        on_missing: ``"train"`` trains what the table lacks, ``"error"`` raises.
        share_equal: Let an architecture without results answer with those of an equal network; None: as the table says.
        device: Where to train.
        store: The store's path; None: the user's.
    """

    name: str
    protocol: str | Protocol = "plain"
    recipe: str | None = None
    seeds: SeedPolicy | None = None
    budget: float | None = None
    max_evaluations: int | None = None
    workers: int = 1
    charge_repeats: bool | None = None
    on_missing: OnMissing = "train"
    share_equal: bool | None = None
    device: str = "auto"
    store: str | None = None

    @property
    def label(self) -> str:
        """The task in records and reports: its name, and the protocol unless that is ``"plain"``."""
        protocol = get_protocol(self.protocol).name
        return self.name if protocol == "plain" else f"{self.name}@{protocol}"

    def make(self) -> Task:
        """Return the task; errors as for `nasgym.task.make_task`."""
        settings = {**self.__dict__, "protocol": get_protocol(self.protocol)}
        return make_task(settings.pop("name"), **settings)

    def to_json(self) -> dict[str, Any]:
        """Return everything that decides over results, with defaults resolved, as plain JSON values."""
        task = self.make()
        return {
            **asdict(self),
            "protocol": {k: v for k, v in _plain(asdict(task.protocol)).items() if k not in ("source", "published")},
            "recipe": task.benchmark.key.recipe,
            "seeds": task.protocol.seeds,
            "budget": None if task.budget == float("inf") else task.budget,
            "charge_repeats": task.protocol.charge_repeats,
            "share_equal": task.benchmark.share_equal,
            "store": str(Path(self.store or default_path()).expanduser().resolve()),
        }


@dataclass(frozen=True)
class StudyDesign:
    """Every agent on every task with every seed.

    Attributes:
        tasks: The tasks, at least one, each another.
        agents: The agents as `nasgym.agents.get_agent` takes them, at least one, each another.
        runs: Runs per agent and task, at least 1; they have the seeds ``first_seed..first_seed+runs-1``.
        first_seed: The seed of the first run; it determines the agent's choices and which stored seeds answer.
        runs_of: Agents with another number of runs, such as those that train for minutes.
        settings: Hyper-parameters of agents, ``{"gdas": {"epochs": 10}}``; they win over a preset.
    """

    tasks: tuple[TaskSpec, ...]
    agents: tuple[str, ...]
    runs: int
    first_seed: int = 0
    runs_of: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_distinct("task", [task.label for task in self.tasks])
        _check_distinct("agent", self.agents)
        if self.runs < 1:
            raise InvalidSetting(f"a study needs 1 run or more per agent and task; got {self.runs}.")
        for agent in (*self.runs_of, *self.settings):
            if agent not in self.agents:
                raise UnknownName("agent of this study", agent, self.agents)
        for agent, runs in self.runs_of.items():
            if runs < 1:
                raise InvalidSetting(f"a study needs 1 run or more per agent and task; got {runs} for {agent}.")
        if self.first_seed < 0:
            raise InvalidSetting(f"the first seed is 0 or more; got {self.first_seed}.")

    def seeds(self, agent: str) -> range:
        """Return the seeds of an agent's runs."""
        return range(self.first_seed, self.first_seed + self.runs_of.get(agent, self.runs))

    def agent(self, spec: str) -> Agent:
        """Return one of the agents with its settings; errors as for `nasgym.agents.get_agent`."""
        return get_agent(spec, **self.settings.get(spec, {}))

    @property
    def settings_words(self) -> list[str]:
        """The settings as `nasgym compare --set` takes them: ``["gdas.epochs=10"]``."""
        return [word for agent, settings in self.settings.items() for word in settings_words(agent, settings)]

    @property
    def total_runs(self) -> int:
        """Runs of the whole study."""
        return len(self.tasks) * sum(len(self.seeds(agent)) for agent in self.agents)

    def check(self) -> None:
        """Make every task and agent once, so that what would fail in every run stops the study before it starts.

        Raises:
            UnsuitableTask: Agents cannot search a task; all of them are named, with their reasons.
            NasgymError: What is wrong, see `nasgym.task.make_task` and `nasgym.agents.get_agent`.
        """
        agents = {spec: self.agent(spec) for spec in self.agents}
        refusals = []
        for spec in self.tasks:
            task = spec.make()
            _check_runs(task)
            for name, agent in agents.items():
                try:
                    _check_agent(agent, task)
                except NasgymError as error:
                    refusals.append(f"{name} cannot search {spec.label}: {error}")
        if refusals:
            raise UnsuitableTask(" ".join(refusals))

    @cached_property
    def fingerprint(self) -> str:
        """The first 8 hexadecimal digits of the sha256 of `to_json`."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:8]

    def to_json(self) -> dict[str, Any]:
        """Return the design as plain JSON values; equal ones give equal results."""
        return {
            "tasks": {task.label: task.to_json() for task in self.tasks},
            "agents": {spec: _identity(spec, self.agent(spec)) for spec in self.agents},
            "runs": self.runs,
            "first_seed": self.first_seed,
            **({"runs_of": dict(self.runs_of)} if self.runs_of else {}),
        }


def _check_agent(agent: Agent, task: Task) -> None:
    """Ask an agent whether it can search a task; a user's own agent need not say so."""
    if hasattr(agent, "check_task"):
        agent.check_task(task)
    elif hasattr(agent, "check_space"):
        agent.check_space(task.space)


def settings_words(agent: str, settings: Mapping[str, Any]) -> list[str]:
    """Return an agent's hyper-parameters in words: ``["gdas.epochs=10"]``."""
    return [f"{agent}.{name}={value}" for name, value in settings.items()]


def differences(before: Any, after: Any, at: str = "") -> list[str]:
    """Return in words where two JSON values differ: ``"runs: 10, now 20"``."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = dict.fromkeys([*before, *after])
        found = [differences(before.get(n), after.get(n), f"{at}.{n}" if at else str(n)) for n in names]
        return [line for lines in found for line in lines]
    return [] if before == after else [f"{at}: {_short(before)}, now {_short(after)}"]


def _check_distinct(kind: str, names: list[str] | tuple[str, ...]) -> None:
    if not names:
        raise InvalidSetting(f"a study needs at least one {kind}.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidSetting(f"the {kind} {twice[0]!r} is named twice: each {kind} of a study is another.")


def _check_runs(task: Task) -> None:
    """Raise where no run could end, or every evaluation would fail: nothing is in the table or may be trained."""
    benchmark = task.benchmark
    if not task.bounded:
        raise InvalidBudget(
            f"a search on {task.name} would never end: the protocol {task.protocol.name!r} has no budget for it. "
            "Give one in simulated seconds (--budget), or a number of evaluations (--max-evaluations)."
        )
    store, key = benchmark.store, benchmark.key
    if benchmark.on_missing == "error" and (key not in store or not store.info(key).rows):
        raise MissingResult(
            f"the store {store.path} has no table {key} with results, and nothing may be trained. Import published "
            f'results with {import_commands(key.space)}, or use on_missing="train". `nasgym info` lists the tables.'
        )


def _identity(spec: str, agent: Agent) -> dict[str, Any]:
    """Return what determines an agent: its settings, and the content of its file where it is a user's."""
    import inspect

    source = inspect.getsourcefile(agent_class(spec)) if ".py" in spec else None
    code = {"sha256": hashlib.sha256(Path(source).read_bytes()).hexdigest()} if source else {}
    return {"settings": _plain(getattr(agent, "__dict__", {})), **code}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: tuples as lists, what JSON does not know as text."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
