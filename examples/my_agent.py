"""An agent of one's own: simulated annealing. Compare it with `nasgym compare --agent my_agent.py:Annealing`."""

from dataclasses import dataclass

import numpy as np

from nasgym.task import Task


@dataclass(frozen=True)
class Annealing:
    """Walk from cell to cell; a worse cell is accepted the less often, the worse it is."""

    temperature: float = 0.01

    def search(self, task: Task, seed: int) -> None:
        """Spend the task's budget."""
        rng = np.random.default_rng(seed)
        here = task.space.sample(rng, 1)
        accuracy = task.evaluate(here).accuracies[0]
        while not task.exhausted:
            near = task.space.mutate(rng, here)
            found = task.evaluate(near).accuracies[0]
            if rng.random() < np.exp((found - accuracy) / self.temperature):
                here, accuracy = near, found
