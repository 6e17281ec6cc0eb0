"""GDAS: one operation per edge, drawn with Gumbel noise; the gradient goes through the soft weights of the draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from nasgym.training.sharing.alphas import ArchitectureLearner
from nasgym.training.sharing.core import Batch, SharedTraining

__all__ = ["GumbelSampling", "hard_gumbel"]


def hard_gumbel(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Return one-hot rows whose gradient is that of ``softmax((log_softmax(logits) + noise) / temperature)``.

    Args:
        logits: ``float[edges, options]``.
        noise: Of the same shape, drawn from the Gumbel distribution.
        temperature: Above 0; small ones make the soft weights nearly one-hot.
    """
    soft = ((logits.log_softmax(dim=1) + noise) / temperature).softmax(dim=1)
    hard = torch.zeros_like(soft).scatter_(1, soft.argmax(dim=1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())


def gumbel(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Return ``float64[shape]`` from the Gumbel distribution, on the CPU."""
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    tiny = torch.finfo(uniform.dtype).tiny
    return -(-uniform.clamp_min(tiny).log()).clamp_min(tiny).log()


class GumbelSampling(ArchitectureLearner):
    """Train weights and logits on draws; only the drawn operations are computed.

    Args:
        training: The super-network.
        first_temperature: Of the first epoch.
        last_temperature: Of the last epoch; between them a straight line.
        adam: As for the base.
    """

    remedy = "a lower architecture_rate or a higher last_temperature"

    def __init__(
        self, training: SharedTraining, first_temperature: float = 10.0, last_temperature: float = 0.1, **adam: float
    ) -> None:
        super().__init__(training, rate=adam["rate"], decay=adam["decay"])
        self.first_temperature, self.last_temperature = first_temperature, last_temperature
        self.temperature = first_temperature
        self.step_operations = training.training_operations(training.sampled_operations, batches=2)
        self._noise = self._noises()

    def begin_epoch(self, epoch: int) -> None:
        """Set the temperature, and draw noise anew."""
        self._noise = self._noises()
        done = epoch / max(1, self.training.schedule.epochs - 1)
        self.temperature = self.first_temperature + done * (self.last_temperature - self.first_temperature)

    def step(self, batch: Batch, held: Iterator[Batch]) -> None:
        """Train the weights on ``batch`` by one draw, then the logits on the next one of ``held`` by another."""
        drawn, chosen = self.draw()
        self.training.update(batch, drawn.detach(), chosen)
        drawn, chosen = self.draw()
        self.apply(self.gradient(next(held), drawn, chosen))

    def draw(self) -> tuple[Tensor, list[int]]:
        """Return weights ``float[edges, options]`` and the drawn options.

        The options have to be known on the host, so this waits for the device, once per draw.
        """
        drawn = hard_gumbel(self.masked(), next(self._noise), self.temperature)
        chosen: list[int] = drawn.argmax(dim=1).tolist()
        return drawn, chosen

    def _noises(self) -> Iterator[Tensor]:
        """Yield Gumbel noise for draws, moved to the device for an epoch at once."""
        while True:
            epoch = [gumbel(self.logits.shape, self.training.generator) for _ in range(2 * self.training.steps)]
            yield from torch.stack(epoch).to(self.logits).unbind()

    def gradient(self, held: Batch, drawn: Tensor, chosen: list[int]) -> Tensor:
        """Return the gradient of the loss on ``held`` by the logits, behind a draw."""
        images, labels = held
        loss = functional.cross_entropy(self.training.network(images, drawn, chosen), labels)
        (found,) = torch.autograd.grad(loss, [self.logits])
        return found
