"""DARTS: every edge computes the mixture of all operations, and the mixture is trained on images of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from nasgym.training.sharing.alphas import ArchitectureLearner
from nasgym.training.sharing.core import Batch, SharedTraining

__all__ = ["FirstOrder", "SecondOrder"]

_RADIUS = 1e-2  # of the finite difference, as published: divided by the norm of the direction


class FirstOrder(ArchitectureLearner):
    """The gradient of the mixture at the present weights, after each step of the weights; arguments as for the base."""

    def __init__(self, training: SharedTraining, **adam: float) -> None:
        super().__init__(training, rate=adam["rate"], decay=adam["decay"])
        self.step_operations = training.training_operations(training.mixture_operations, batches=2)

    def step(self, batch: Batch, held: Iterator[Batch]) -> None:
        """Train the weights on ``batch``, then the mixture on the next one of ``held``."""
        self.training.update(batch, self.shares().detach())
        self.apply(self.gradient(next(held)))

    def gradient(self, held: Batch) -> Tensor:
        """Return the gradient of the loss on ``held`` by the logits, the weights as they are."""
        images, labels = held
        loss = functional.cross_entropy(self.training.network(images, self.shares()), labels)
        (found,) = torch.autograd.grad(loss, [self.logits])
        return found


class SecondOrder(ArchitectureLearner):
    """The gradient of the mixture behind one step of the weights that depends on it, before each step of the weights.

    Args:
        training: The super-network.
        radius: Of the finite difference for the product with the second derivatives.
        adam: As for the base.
    """

    def __init__(self, training: SharedTraining, radius: float = _RADIUS, **adam: float) -> None:
        super().__init__(training, rate=adam["rate"], decay=adam["decay"])
        self.radius = radius
        self.step_operations = training.training_operations(training.mixture_operations, batches=5)
        self._names = [name for name, _ in training.network.named_parameters()]

    def step(self, batch: Batch, held: Iterator[Batch]) -> None:
        """Train the mixture on the next one of ``held``, then the weights on ``batch``."""
        self.apply(self.gradient(batch, next(held)))
        self.training.update(batch, self.shares().detach())

    def gradient(self, batch: Batch, held: Batch) -> Tensor:
        """Return the gradient by the logits of the loss on ``held`` after a step of the weights on ``batch``.

        By the chain rule it is the direct part at the new weights, less the learning rate times the product of the
        mixed second derivatives with the gradient by the new weights; the product is a difference of two gradients.
        """
        weights, rate = self.training.weights, float(self.training.optimizer.param_groups[0]["lr"])
        moved = self.unrolled(batch)
        direct, *by_weights = self._gradients(moved, held, [self.logits, *moved])
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(by_weights)))
        reach = self.radius / norm.clamp_min(torch.finfo(norm.dtype).tiny)
        steps = torch._foreach_mul(by_weights, reach)
        (ahead,) = self._gradients(torch._foreach_add(weights, steps), batch, [self.logits])
        (behind,) = self._gradients(torch._foreach_sub(weights, steps), batch, [self.logits])
        product: Tensor = (ahead - behind) / (2 * reach)
        return direct - rate * product

    def unrolled(self, batch: Batch) -> list[Tensor]:
        """Return the weights after one step on ``batch``: momentum and decay, but no clipping, as published."""
        group = self.training.optimizer.param_groups[0]
        own = [w.detach() for w in self.training.weights]
        gradients = self._gradients(self.training.weights, batch, self.training.weights)
        velocities = [self.training.optimizer.state[w].get("momentum_buffer") for w in self.training.weights]
        moved = []
        for weight, gradient, velocity in zip(own, gradients, velocities, strict=True):
            step = gradient + group["weight_decay"] * weight
            if velocity is not None:
                step = step + group["momentum"] * velocity
            moved.append((weight - group["lr"] * step).requires_grad_())
        return moved

    def _gradients(self, weights: Sequence[Tensor], batch: Batch, by: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the gradients of the loss on a batch with other weights; running statistics stay as they are."""
        network, (images, labels) = self.training.network, batch
        values = dict(zip(self._names, weights, strict=True))
        values |= {name: buffer.clone() for name, buffer in network.named_buffers()}
        logits = functional_call(network, values, (images, self.shares()))
        return torch.autograd.grad(
            functional.cross_entropy(logits, labels), by, allow_unused=True, materialize_grads=True
        )
