"""A whole made-up table in a store, and agents in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasgym.results import Evaluation, Series, TableKey
from nasgym.spaces import get_space
from nasgym.store import Store
from nasgym.testing import made_up_accuracies

TASK = "nb201/cifar10"
KEY = TableKey("nb201", "cifar10", "nb201-12")
FINAL = TableKey("nb201", "cifar10", "nb201-200")
FINAL_TEST = TableKey("nb201", "cifar10-full", "nb201-200")
TWICE = 1000  # architectures with a second seed

SPENDER = """
class {name}:
    def search(self, task, seed):
        import os, signal
        from pathlib import Path
        import numpy as np
        log = Path(__file__).with_suffix(".log")
        with log.open("a") as file:
            file.write(f"{{seed}}\\n")
        {act}
        rng = np.random.default_rng(seed)
        while not task.exhausted:
            task.evaluate(task.space.sample(rng, 1))
"""


def write_agent(folder: Path, act: str = "pass", name: str = "Mine") -> str:
    """Write an agent that notes each run in a file beside it, then acts, then searches; return its spec."""
    path = folder / "my_agent.py"
    path.write_text(SPENDER.format(name=name, act=act))
    return f"{path}:{name}"


def runs_noted(spec: str) -> list[int]:
    """Return the seeds of the runs that an agent of `write_agent` noted, in their order."""
    log = Path(spec.rpartition(":")[0]).with_suffix(".log")
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def fill(path: Path, *, final: bool = True) -> Path:
    """Fill a store with all of a made-up table: recipe nb201-12 with one seed or two, nb201-200 with one."""
    space, store = get_space("nb201"), Store(path)
    genotypes = space.from_index(np.arange(space.size))
    worth = made_up_accuracies(space, genotypes)
    rng = np.random.default_rng(1)
    seconds = 5 + 10 * rng.random(space.size)
    for key, epochs, extra in ((KEY, 12, 0.0), (FINAL, 200, 0.1), (FINAL_TEST, 200, 0.1))[: 3 if final else 1]:
        store.ensure_table(key, space.size)
        rows = [(i, 0) for i in range(space.size)] + [(i, 7) for i in range(TWICE if key == KEY else 0)]
        valid = 100 * (worth + extra) + rng.normal(size=space.size)
        store.put(key, [_evaluation(i, s, epochs, valid[i] + s / 10, seconds[i]) for i, s in rows])
    store.close()
    return path


def _evaluation(index: int, seed: int, epochs: int, valid: float, seconds: float) -> Evaluation:
    series = {
        "valid_accuracy": Series.of(valid, epochs, "percent"),
        "test_accuracy": Series.of(valid - 1, epochs, "percent"),
        "train_seconds": Series.of(seconds, epochs, "seconds"),
    }
    return Evaluation(index, seed, epochs, series, provenance={"tool": "made up"})
