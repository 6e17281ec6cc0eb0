"""RMSProp by the rule of NAS-Bench-101, which is TensorFlow's: PyTorch's own differs in both of its points."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

__all__ = ["RMSProp"]


class RMSProp(torch.optim.Optimizer):
    """Momentum over gradients that are divided by the root of their mean square.

    ``ms = decay * ms + (1 - decay) * g**2``, from 1; ``v = momentum * v + lr * g / sqrt(ms + epsilon)``; ``w -= v``.
    PyTorch's RMSprop starts the mean square at 0, adds epsilon outside the root and has the rate outside the momentum.

    Args:
        parameters: What is trained.
        lr: The learning rate.
        decay: Of the mean square.
        momentum: Of the steps.
        epsilon: Inside the root.
        weight_decay: Times the weights, added to the gradients.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        decay: float = 0.9,
        momentum: float = 0.9,
        epsilon: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "decay": decay, "momentum": momentum, "epsilon": epsilon, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; ``closure`` is called first, where there is one, and its loss returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step(group)
        return loss

    def _step(self, group: dict[str, Any]) -> None:
        weights = [w for w in group["params"] if w.grad is not None]
        if not weights:
            return
        for w in weights:
            if w not in self.state:
                self.state[w] = {"mean_square": torch.ones_like(w), "velocity": torch.zeros_like(w)}
        squares = [self.state[w]["mean_square"] for w in weights]
        velocities = [self.state[w]["velocity"] for w in weights]
        gradients = torch._foreach_add([w.grad for w in weights], weights, alpha=group["weight_decay"])
        torch._foreach_mul_(squares, group["decay"])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["decay"])
        roots = torch._foreach_add(squares, group["epsilon"])
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_addcdiv_(velocities, gradients, roots, group["lr"])
        torch._foreach_sub_(weights, velocities)
