"""Where the floats lie that live as long as a network: weights, gradients, velocities, statistics, constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALIGNED", "Parameter", "State", "rounded"]

ALIGNED = 16  # floats; every tensor begins at a multiple


@dataclass(frozen=True)
class Parameter:
    """A tensor of the network in the state.

    Attributes:
        at: Its first float.
        shape: In the ``state_dict``. A convolution ``[o, i, k, k]`` lies in the state as ``[k, k, i, o]``, a linear
            layer ``[o, i]`` as ``[i, o]``.
    """

    at: int
    shape: tuple[int, ...]

    def view(self, state: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the tensor in the shape of the ``state_dict``, a view of the state."""
        turned = tuple(self.shape[k] for k in _turn(len(self.shape)))
        flat = state[self.at : self.at + int(np.prod(self.shape))].reshape(turned)
        return flat.transpose(np.argsort(_turn(len(self.shape))))


def _turn(dimensions: int) -> tuple[int, ...]:
    return (*range(2, dimensions), 1, 0) if dimensions > 1 else (0,)


class State:
    """The floats that live as long as the network: weights, their gradients, their velocities, then all others.

    Args:
        capacity: Room for the weights, in floats.
    """

    def __init__(self, capacity: int) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.tables: list[NDArray[np.int32]] = []
        self.weights, self.capacity = 0, capacity
        self._others: list[NDArray[np.float32]] = []
        self._end, self._tables_end = 3 * capacity, 0
        self._known: dict[object, int] = {}

    def weight(self, name: str, shape: tuple[int, ...]) -> int:
        """Return the place of a trained tensor."""
        if name not in self.parameters:
            self.parameters[name] = Parameter(self.weights, shape)
            self.weights += rounded(int(np.prod(shape)))
            assert self.weights <= self.capacity
        return self.parameters[name].at

    def statistics(self, name: str, channels: int) -> int:
        """Return the place of a batch norm's running mean, which its running variance follows."""
        if f"{name}.running_mean" not in self.parameters:
            at = self.constant(name, np.zeros(2 * channels, dtype=np.float32))
            self.parameters[f"{name}.running_mean"] = Parameter(at, (channels,))
            self.parameters[f"{name}.running_var"] = Parameter(at + channels, (channels,))
        return self.parameters[f"{name}.running_mean"].at

    def constant(self, key: object, values: NDArray[np.float32]) -> int:
        """Return the place of ``values``, put there at the first call with that key."""
        if key not in self._known:
            self._known[key] = self._end
            padded = np.zeros(rounded(len(values)), dtype=np.float32)
            padded[: len(values)] = values
            self._others.append(padded)
            self._end += len(padded)
        return self._known[key]

    def table(self, key: object, make: Callable[[], NDArray[np.int32]]) -> int:
        """Return the place of a map, made at the first call with that key."""
        if key not in self._known:
            self._known[key] = self._tables_end
            self.tables.append(make())
            self._tables_end += len(self.tables[-1])
        return self._known[key]

    def gradient(self, weight: int) -> int:
        """Return the place of a weight's gradient; that of its velocity is as much further."""
        return weight + self.capacity

    def velocities(self) -> dict[str, Parameter]:
        """Return the place of the velocity of every trained tensor, by the tensor's name."""
        trained = {name: weight for name, weight in self.parameters.items() if weight.at < self.capacity}
        return {name: Parameter(weight.at + 2 * self.capacity, weight.shape) for name, weight in trained.items()}

    def initial(self) -> NDArray[np.float32]:
        """Return the state: zeros, but for the constants."""
        return np.concatenate([np.zeros(3 * self.capacity, dtype=np.float32), *self._others])


def rounded(size: int) -> int:
    """Return the floats that a tensor of so many takes, so that the next one begins at a multiple of `ALIGNED`."""
    return -(-size // ALIGNED) * ALIGNED
