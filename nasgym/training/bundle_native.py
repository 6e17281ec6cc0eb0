"""One network of a bundle on the CPU, by the compiled kernels, whatever its search space."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasgym.recipes import Recipe
from nasgym.spaces import Macro
from nasgym.training.bundle_compiler import Context
from nasgym.training.bundle_program import LANES, Program
from nasgym.training.loop import Batches, Rate, Score

__all__ = ["NativeNetwork", "lanes_of"]


class NativeNetwork:
    """A network with its optimiser: a bundle of one.

    Args:
        kernels: See `load_kernels`.
        program: Of the network, for as many lanes as `lanes_of` says.
        macro: The skeleton.
        recipe: Batch size, momentum and weight decay.
    """

    def __init__(self, kernels: ctypes.CDLL, program: Program, macro: Macro, recipe: Recipe) -> None:
        self.lanes = lanes_of(recipe)
        self._kernels, self._program = kernels, program
        self._state, self._tables = _aligned(self._program.state), self._program.tables
        self._scratch = _aligned(np.zeros(self._program.scratch, dtype=np.float32))
        rows = macro.resolution**2 * macro.in_channels
        images = self._scratch[self._program.images : self._program.images + rows * self.lanes]
        shape = (macro.resolution, macro.resolution, macro.in_channels, self.lanes)
        self._images = torch.from_numpy(images).view(shape).permute(3, 2, 0, 1)
        self._mask, self._sums = np.zeros(self.lanes, dtype=np.float32), np.zeros(2)
        self._context = Context(
            state=self._state.ctypes.data,
            scratch=self._scratch.ctypes.data,
            tables=self._tables.ctypes.data,
            stride=self.lanes,
            mask=self._mask.ctypes.data,
            sums=self._sums.ctypes.data,
            momentum=recipe.momentum,
            decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
        )

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return views of weights and statistics, by their names in the network's ``state_dict``."""
        return {name: place.view(self._state) for name, place in self._program.parameters.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Copy weights and statistics from the network's ``state_dict``."""
        for name, view in self.tensors().items():
            view[...] = state[name].numpy()

    @property
    def evaluation_batch(self) -> int:
        """Images per batch of an evaluation."""
        return self.lanes

    def train_epoch(self, batches: Batches, rate: Rate) -> list[Score]:
        """Take one step per batch ``[1, b, ...]`` at the learning rate ``rate``; return running averages."""
        assert isinstance(rate, float), "build_networks() has looked: one rate for an epoch"
        self._context.rate = rate
        own = ((images[0], labels[0]) for images, labels in batches)
        return [self._over(own, self._program.train)]

    def evaluate(self, batches: Batches) -> list[Score]:
        """Return the score over all batches, of at most ``evaluation_batch`` images each, in evaluation mode."""
        self._run(self._program.fold)
        return [self._over(batches, self._program.evaluate)]

    def state(self) -> dict[str, Any]:
        """Return all that changes in a training: weights, statistics and velocities, by name."""
        parts = {"network": self.tensors(), "velocities": self._velocities()}
        return {
            kind: {name: torch.from_numpy(part.copy()) for name, part in own.items()} for kind, own in parts.items()
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.load(state["network"])
        for name, view in self._velocities().items():
            view[...] = state["velocities"][name].numpy()

    def _velocities(self) -> dict[str, NDArray[np.float32]]:
        return {name: place.view(self._state) for name, place in self._program.velocities.items()}

    def _over(self, batches: Batches, ops: NDArray[np.int64]) -> Score:
        self._sums[:], count = 0.0, 0
        for images, labels in batches:
            self._hold(images, labels)
            self._run(ops)
            count += len(labels)
        return Score(float(self._sums[1]) / count, float(self._sums[0]) / count)

    def _hold(self, images: Tensor, labels: Tensor) -> None:
        """Lay a batch out for the kernels; lanes without an image are zero."""
        n = len(labels)
        self._images[:n].copy_(images)
        self._images[n:].zero_()
        self._mask[:n], self._mask[n:] = 1.0, 0.0
        self._labels = labels.contiguous()
        self._context.n, self._context.active = n, -(-n // LANES) * LANES
        self._context.labels = self._labels.data_ptr()

    def _run(self, ops: NDArray[np.int64]) -> None:
        failed = self._kernels.nasgym_run(ctypes.byref(self._context), ops.ctypes.data, len(ops))
        assert not failed, "the kernels know every operation that a program uses"


def lanes_of(recipe: Recipe) -> int:
    """Return the lanes for the batches of a recipe."""
    return -(-recipe.batch_size // LANES) * LANES


def _aligned(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a copy that begins at a multiple of 64 bytes."""
    room = np.empty(len(values) + 16, dtype=np.float32)
    start = -room.ctypes.data // 4 % 16
    room[start : start + len(values)] = values
    return room[start : start + len(values)]
