"""ENAS: a controller draws architectures, and is rewarded by their accuracy with shared weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from nasgym.training.sharing.controller import Controller
from nasgym.training.sharing.core import Batch, SharedTraining
from nasgym.training.sharing.learner import Learner, best_of, read_scores

__all__ = ["ControllerSettings", "Reinforced", "RewardedController"]

_FIRST, _FINAL = 9, 10  # the streams of the controller's first weights and of the candidates
_CLIP = 5.0  # of the controller's gradient, as published


@dataclass(frozen=True)
class ControllerSettings:
    """How the controller learns; the defaults are those of the NAS-Bench-201 scripts.

    Attributes:
        rate: Step size of Adam.
        momentum: Its first decay.
        epsilon: Of Adam.
        steps: Steps of Adam per epoch.
        aggregate: Architectures per step.
        entropy: Weight of the entropy (nats) in the reward.
        baseline_decay: How much of the moving average of rewards is kept.
    """

    rate: float = 1e-3
    momentum: float = 0.0
    epsilon: float = 1e-3
    steps: int = 50
    aggregate: int = 20
    entropy: float = 1e-4
    baseline_decay: float = 0.99


class Reinforced:
    """A controller that learns from rewards by REINFORCE with a moving baseline.

    The baseline takes in each reward before that is compared with it. It begins as the first one, entropy
    and all, since it is an average of rewards: begun lower, it would make every first draw look good.

    Args:
        controller: What learns.
        settings: How.
    """

    def __init__(self, controller: Controller, settings: ControllerSettings) -> None:
        self.controller, self.settings = controller, settings
        self.baseline: float | None = None
        betas = (settings.momentum, 0.999)
        self.optimizer = torch.optim.Adam(controller.parameters(), lr=settings.rate, betas=betas, eps=settings.epsilon)

    def learn(self, genotypes: Tensor, accuracies: Sequence[float]) -> None:
        """Take one step on architectures ``int64[n, edges]`` that the controller drew, and their accuracies."""
        logs, entropies = self.controller(genotypes)
        rewards = [a + self.settings.entropy * h for a, h in zip(accuracies, entropies.tolist(), strict=True)]
        advantages = torch.tensor([reward - self._baseline(reward) for reward in rewards])
        self.optimizer.zero_grad()
        torch.autograd.backward(-(logs * advantages).mean())
        clip_grad_norm_(self.controller.parameters(), _CLIP)
        self.optimizer.step()

    def _baseline(self, reward: float) -> float:
        """Take a reward in and return the baseline."""
        before = reward if self.baseline is None else self.baseline
        self.baseline = before - (1 - self.settings.baseline_decay) * (before - reward)
        return self.baseline


class RewardedController(Learner):
    """Train the weights on what the controller draws, then, once per epoch, the controller on validation batches.

    The answer is the best of some draws, by shared weights.

    Args:
        training: The super-network.
        candidates: Architectures drawn at the end.
        settings: How the controller learns.
    """

    def __init__(self, training: SharedTraining, candidates: int, settings: ControllerSettings) -> None:
        super().__init__(training)
        self.candidates, self.settings = candidates, settings
        seed = int(np.random.SeedSequence([training.seed, _FIRST]).generate_state(1)[0])
        self.controller = Controller(training.network.allowed, seed)
        self.reinforced = Reinforced(self.controller, settings)
        self._drawn: Iterator[NDArray[np.int64]] = iter(())
        self.step_operations = training.training_operations(training.sampled_operations)
        self.settle_operations = candidates * training.scoring_operations

    def begin_epoch(self, epoch: int) -> None:
        """Draw the architectures of the epoch: the controller does not change while the weights do."""
        self._drawn = iter(self.controller.sample(self.training.steps, self.training.generator).numpy())

    def step(self, batch: Batch, held: Iterator[Batch]) -> None:
        """Train the weights of the next drawn architecture on ``batch``."""
        self.training.update(batch, chosen=next(self._drawn))

    def end_epoch(self, epoch: int, kept: float) -> None:
        """Train the controller, as long as the budget allows."""
        held, meter = self.training.held_batches(epoch), self.training.meter
        scoring = self.training.sampled_operations * self.training.schedule.batch
        for _ in range(self.settings.steps):
            if not meter.fits(self.settle_operations + 2 * self.settings.aggregate * scoring, kept):
                return
            genotypes = self.controller.sample(self.settings.aggregate, self.training.generator)
            found = [self.training.accuracy(next(held), row) for row in genotypes.numpy()]
            self.reinforced.learn(genotypes, read_scores(found))
            meter.count(self.settings.aggregate * scoring)

    def favourite(self) -> NDArray[np.int8]:
        """Return the choices that are the likeliest ones, each given those before."""
        return self.controller.sample(1, None)[0].numpy().astype(np.int8)

    def settle(self, kept: float) -> NDArray[np.int8]:
        """Return the best of the candidates."""
        state = np.random.SeedSequence([self.training.seed, _FINAL]).generate_state(1)
        generator = torch.Generator().manual_seed(int(state[0]))
        rows = self.controller.sample(self.candidates, generator).numpy().astype(np.int8)
        return best_of(self.training, rows, kept)

    def state(self) -> dict[str, Any]:
        """Return controller, optimiser and baseline."""
        return {
            "controller": self.controller.state_dict(),
            "optimizer": self.reinforced.optimizer.state_dict(),
            "baseline": self.reinforced.baseline,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.controller.load_state_dict(state["controller"])
        self.reinforced.optimizer.load_state_dict(state["optimizer"])
        self.reinforced.baseline = state["baseline"]
