"""One network's training step and evaluation as lists of operations for the compiled kernels.

The lists are written once per training, by following the network from the images to the loss. How a network of a search
space is followed is told in a file of its own, such as `nasgym.training.bundle_nb201`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym.training.bundle_state import Parameter, State
from nasgym.training.bundle_values import Value
from nasgym.training.bundle_writer import EvaluationWriter, TrainingWriter, Writer

__all__ = ["LANES", "Follow", "Parameter", "Program", "write_program"]

LANES = 32  # the batch is rounded up to a multiple of this
_ARGUMENTS = 14

Follow: TypeAlias = Callable[[Writer], Value]
"""Writes a network from the images to the loss, and returns the place of the images."""


@dataclass(frozen=True)
class Program:
    """What the kernels need to train one network.

    Attributes:
        train: ``int64[k, 15]``: forward, backward and the optimiser's step of one batch.
        fold: Prepares the evaluation, once per pass.
        evaluate: Forward, and the sums of loss and correct answers, of one batch.
        tables: ``int32``, the maps.
        state: ``float32``, the state before a network is loaded into it.
        scratch: Floats of scratch.
        images: Where a batch lies in the scratch, ``[side * side * channels, lanes]``.
        parameters: Name in the ``state_dict`` of the network -> place in the state.
        velocities: The same names, of what is trained -> place of the optimiser's velocity.
    """

    train: NDArray[np.int64]
    fold: NDArray[np.int64]
    evaluate: NDArray[np.int64]
    tables: NDArray[np.int32]
    state: NDArray[np.float32]
    scratch: int
    images: int
    parameters: dict[str, Parameter]
    velocities: dict[str, Parameter]


def write_program(follow: Follow, weights: int, lanes: int) -> Program:
    """Return the program of one network.

    Args:
        follow: Writes the network.
        weights: Room for its trained tensors, in floats, each rounded up to a multiple of `ALIGNED`.
        lanes: Images of a batch at most, a multiple of `LANES`.
    """
    state = State(weights)
    train, evaluate = TrainingWriter(state, lanes), EvaluationWriter(state, lanes)
    for writer in (train, evaluate):
        images = follow(writer)
    train.finish()
    return Program(
        train=_array(train.ops),
        fold=_array(evaluate.folding),
        evaluate=_array(evaluate.ops),
        tables=np.concatenate(state.tables),
        state=state.initial(),
        scratch=max(train.scratch, evaluate.scratch),
        images=~images.at,
        parameters=state.parameters,
        velocities=state.velocities(),
    )


def _array(ops: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    rows = [[*op, *[0] * (_ARGUMENTS + 1 - len(op))] for op in ops]
    return np.array(rows, dtype=np.int64).reshape(-1, _ARGUMENTS + 1)
