"""Agents by name: built in, installed by third parties, or a class in a user's file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from nasgym.agents.base import Agent, describe
from nasgym.errors import InvalidAgent, UnknownName

__all__ = ["ENTRY_POINT_GROUP", "agent_class", "agent_names", "get_agent"]

ENTRY_POINT_GROUP = "nasgym.agents"
"""Third parties name their agents under this entry-point group, as ``name = "module:Class"``."""

_BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "random_search": "nasgym.agents.random_search:RandomSearch",
        "regularized_evolution": "nasgym.agents.regularized_evolution:RegularizedEvolution",
        "reinforce": "nasgym.agents.reinforce:Reinforce",
        "local_search": "nasgym.agents.local_search:LocalSearch",
        "ppo": "nasgym.agents.ppo:PPO",
        "a2c": "nasgym.agents.a2c:A2C",
        "dqn": "nasgym.agents.dqn:DQN",
        "maskable_ppo": "nasgym.agents.maskable_ppo:MaskablePPO",
        "successive_halving": "nasgym.agents.successive_halving:SuccessiveHalving",
        "hyperband": "nasgym.agents.hyperband:Hyperband",
        "asha": "nasgym.agents.asha:ASHA",
        "bohb": "nasgym.agents.bohb:BOHB",
        "tpe": "nasgym.agents.tpe:TPE",
        "smac": "nasgym.agents.smac:SMAC",
        "bananas": "nasgym.agents.bananas:BANANAS",
        "predictor_evolution": "nasgym.agents.predictor_evolution:PredictorEvolution",
        "zero_cost": "nasgym.agents.zero_cost:ZeroCost",
        "rsps": "nasgym.agents.rsps:RSPS",
        "darts_v1": "nasgym.agents.darts:DARTSV1",
        "darts_v2": "nasgym.agents.darts:DARTSV2",
        "gdas": "nasgym.agents.gdas:GDAS",
        "setn": "nasgym.agents.setn:SETN",
        "enas": "nasgym.agents.enas:ENAS",
    }
)
_FILE = re.compile(r"^(?P<path>.+\.py)(?::(?P<name>[^:\\/]*))?(?::(?P<preset>[^:]*))?$")


def agent_names() -> tuple[str, ...]:
    """Return the names of all agents: the built-in ones, then those of installed packages."""
    return (*_BUILT_IN, *_installed())


def get_agent(spec: str, **overrides: Any) -> Agent:
    """Return an agent.

    Args:
        spec: A name (``"reinforce"``), a name with a preset (``"reinforce:nats"``), or a class in a file
            (``"path/to/file.py:MyAgent"``, also with a preset after a second colon).
        overrides: Hyper-parameters; they win over the preset.

    Raises:
        UnknownName: No agent, preset or hyper-parameter has that name; near names are suggested.
        InvalidAgent: The file or the class cannot be used as an agent.
        InvalidSetting: A hyper-parameter is out of its bounds.
    """
    found, preset = _find(spec)
    settings = {**_preset(found, preset), **overrides}
    _check_names(found, settings)
    try:
        agent: Agent = found(**settings)
    except TypeError as error:
        raise InvalidAgent(
            f"{found.__name__} cannot be made with {settings or 'no arguments'}: {error}. Every hyper-parameter of "
            "an agent needs a default."
        ) from error
    return agent


def agent_class(spec: str) -> type[Agent]:
    """Return the class behind a spec; arguments and errors as for `get_agent`."""
    return _find(spec)[0]


def _find(spec: str) -> tuple[type[Agent], str]:
    """Return the class and the name of the preset, empty where none is asked for."""
    if match := _FILE.match(spec):
        return _from_file(Path(match["path"]), match["name"] or ""), match["preset"] or ""
    name, _, preset = spec.partition(":")
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return getattr(importlib.import_module(module), attribute), preset
    installed = _installed()
    if name in installed:
        return _from_entry_point(installed[name]), preset
    raise UnknownName("agent", name, agent_names(), "An agent of your own is written path/to/file.py:ClassName.")


def _installed() -> dict[str, EntryPoint]:
    """Return the agents of installed packages; a built-in name cannot be taken over."""
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name not in _BUILT_IN}


def _from_entry_point(point: EntryPoint) -> type[Agent]:
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise InvalidAgent(
            f"the agent {point.name!r} of an installed package ({point.value}) does not load: {error}."
        ) from error  # noqa: E501
    return _checked(found, point.value)


def _from_file(path: Path, name: str) -> type[Agent]:
    if not path.is_file():
        raise InvalidAgent(f"there is no file {path}: an agent of your own is written path/to/file.py:ClassName.")
    module = _load(path)
    own = [n for n, v in vars(module).items() if _is_agent(v) and v.__module__ == module.__name__]
    if name in vars(module):
        return _checked(getattr(module, name), f"{path}:{name}")
    if not name:
        listing = f" It has {', '.join(own)}." if own else " It has no class with a method search(task, seed)."
        raise InvalidAgent(
            f"{path} needs the name of a class after it: {path}:{own[0] if own else 'MyAgent'}.{listing}"
        )
    raise UnknownName(f"agent class in {path}", name, own)


def _load(path: Path) -> ModuleType:
    """Import a file under a name made of its path and its content, so that an edited file is read again."""
    source = path.resolve()
    digest = hashlib.sha256(str(source).encode() + source.read_bytes()).hexdigest()[:16]
    name = f"nasgym_agent_file_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, source)
    if spec is None or spec.loader is None:
        raise InvalidAgent(f"{path} cannot be imported as Python code.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    sys.path.insert(0, str(source.parent))  # as for a script: what stands beside the file can be imported
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InvalidAgent(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(source.parent))
    return module


def _is_agent(value: object) -> bool:
    if not isinstance(value, type) or value is Agent:
        return False
    search = getattr(value, "search", None)
    if not inspect.isfunction(search):
        return False
    try:
        inspect.signature(search).bind(None, None, seed=0)
    except TypeError:
        return False
    return True


def _checked(found: object, where: str) -> type[Agent]:
    if not _is_agent(found):
        raise InvalidAgent(
            f"{where} is not an agent: a class with a method search(self, task, seed) is; got {found!r}."
        )
    return found  # type: ignore[return-value]  # _is_agent looked


def _preset(found: type[Agent], preset: str) -> Mapping[str, Any]:
    presets = describe(found).presets
    if not preset:
        return {}
    if preset not in presets:
        raise UnknownName(f"preset of {describe(found).name}", preset, presets)
    return presets[preset]


def _check_names(found: type[Agent], settings: Mapping[str, Any]) -> None:
    parameters = inspect.signature(found).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in settings:
        if name not in parameters:
            raise UnknownName(f"hyper-parameter of {found.__name__}", name, parameters)
