"""Where work runs: in this process, in several, or on many machines. A failure is loud and loses no other item."""

from nasgym.executors.base import Executor, InProcess, Outcome
from nasgym.executors.cluster import Ray
from nasgym.executors.machine import cores
from nasgym.executors.processes import Processes

__all__ = ["Executor", "InProcess", "Outcome", "Processes", "Ray", "cores", "executor_for"]


def executor_for(workers: int) -> Executor:
    """Return the place for ``workers`` parallel workers: 1 is this process. Raises `InvalidSetting` below 1."""
    return InProcess() if workers == 1 else Processes(workers)
