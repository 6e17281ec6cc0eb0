"""nasgym: neural architecture search as Gymnasium environments, on trained tables or by training."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasgym.benchmark import Benchmark
    from nasgym.results import Evaluation
    from nasgym.spaces import get_space
    from nasgym.store import Store
    from nasgym.task import Task, make_benchmark, make_task

__version__ = "0.1.0"

_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "envs" / "__init__.py").is_file() and (_ROOT / "agents" / "__init__.py").is_file():
    __path__.append(str(_ROOT))  # a checkout: nasgym.envs and nasgym.agents stand beside nasgym

if find_spec("gymnasium") is not None:  # training and filling work where gymnasium is not installed
    from nasgym.envs.registration import register_envs

    register_envs()

_ROOM_OF = {
    "Benchmark": "benchmark",
    "Evaluation": "results",
    "Store": "store",
    "Task": "task",
    "get_space": "spaces",
    "make_benchmark": "task",
    "make_task": "task",
}

__all__ = ["Benchmark", "Evaluation", "Store", "Task", "__version__", "get_space", "make_benchmark", "make_task"]


def __getattr__(name: str) -> Any:
    """Import a room when one of its names is first asked for, so that ``import nasgym`` stays quick."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
