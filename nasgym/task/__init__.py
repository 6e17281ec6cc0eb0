"""What an agent faces: a benchmark under a protocol, with a simulated clock and a budget."""

from nasgym.task.clock import SimulatedClock
from nasgym.task.making import make_benchmark, make_task, task_names
from nasgym.task.outcome import Incumbent, Outcome, Result
from nasgym.task.protocols import PROTOCOLS, Protocol, Score, get_protocol
from nasgym.task.task import Task
from nasgym.task.trajectory import Trajectory

__all__ = [
    "PROTOCOLS",
    "Incumbent",
    "Outcome",
    "Protocol",
    "Result",
    "Score",
    "SimulatedClock",
    "Task",
    "Trajectory",
    "get_protocol",
    "make_benchmark",
    "make_task",
    "task_names",
]
