"""Train a super-network epoch by epoch as long as the budget allows, then settle on an architecture."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.training.checkpoints import Checkpoint
from nasgym.training.sharing.core import SharedTraining, SharingReport
from nasgym.training.sharing.divergence import check_finite
from nasgym.training.sharing.learner import Learner

__all__ = ["train_and_settle"]

_log = logging.getLogger(__name__)


def train_and_settle(
    learner: Learner,
    *,
    evaluation_seconds: float = 0.0,
    checkpoint: Checkpoint | None = None,
    on_epoch: Callable[[SharingReport], None] | None = None,
) -> NDArray[np.int8]:
    """Return the architecture that the search settles on, ``int8[num_decisions]``.

    The seconds are charged by the training's meter, epoch by epoch. Training stops at once where another step would
    leave less of the budget than settling and ``evaluation_seconds`` need.

    Args:
        learner: The search.
        evaluation_seconds: What is kept for evaluating the answer; 0: as many as training it takes at the rate at
            which the super-network is trained.
        checkpoint: Where to go on from, and where to save; None: neither. It ends as the answer, so that nothing is
            trained again where the evaluation of the answer is interrupted; removing it is the caller's.
        on_epoch: Called after every epoch.

    Raises:
        SearchDiverged: A loss, the weights or what the search learns is no longer a number.
    """
    training, epoch = learner.training, 0
    if checkpoint is not None and (saved := checkpoint.load()):
        if "found" in saved["networks"]:
            training.meter.load_state(saved["networks"]["meter"])
            return np.array(saved["networks"]["found"], dtype=np.int8)
        epoch = _restore(learner, saved["networks"])
    training.network.train()
    while epoch < training.schedule.epochs and _epoch(learner, epoch, evaluation_seconds):
        epoch += 1
        _tell(learner, epoch, on_epoch)
        if checkpoint is not None:
            checkpoint.save_if_due(partial(_state, learner, epoch), [])
    kept = _kept_seconds(training, evaluation_seconds)
    found = learner.settle(kept)
    training.meter.charge(kept)
    if checkpoint is not None:
        checkpoint.save(lambda: {"found": found.tolist(), "meter": training.meter.state()}, [])
    return found


def _epoch(learner: Learner, epoch: int, evaluation_seconds: float) -> bool:
    """Train one epoch; tell whether the budget allowed all of it."""
    training = learner.training
    training.begin_epoch(epoch)
    learner.begin_epoch(epoch)
    held, done = training.held_batches(epoch), 0
    for batch in training.batches(epoch):
        # two steps: one that is measured may well be longer than the average one
        ahead = learner.settle_operations + 2 * learner.step_operations
        if not training.meter.fits(ahead, _kept_seconds(training, evaluation_seconds)):
            break
        learner.step(batch, held)
        training.meter.count(learner.step_operations)
        done += 1
    whole = done == training.steps
    check_finite(learner, epoch)
    if whole:
        learner.end_epoch(epoch, _kept_seconds(training, evaluation_seconds))
    training.meter.charge(_kept_seconds(training, evaluation_seconds))
    return whole


def _kept_seconds(training: SharedTraining, evaluation_seconds: float) -> float:
    """Return the seconds that evaluating the answer may take."""
    if evaluation_seconds:
        return evaluation_seconds
    batches = training.recipe.epochs * training.images / training.schedule.batch
    return training.training_operations(training.sampled_operations, batches) / training.meter.rate


def _tell(learner: Learner, epoch: int, on_epoch: Callable[[SharingReport], None] | None) -> None:
    score, favourite = learner.training.score(), learner.favourite()
    assert score is not None, "an epoch has at least one step"
    genotype = () if favourite is None else tuple(int(choice) for choice in favourite)
    seconds, epochs = learner.training.meter.charged, learner.training.schedule.epochs
    report = SharingReport(epoch, epochs, score.accuracy, score.loss, seconds, genotype)
    _log.info("super-network, epoch %d of %d: loss %.3f, %.0f s", epoch, epochs, report.loss, seconds)
    if on_epoch is not None:
        on_epoch(report)


def _state(learner: Learner, epoch: int) -> dict[str, Any]:
    return {"epoch": epoch, "training": learner.training.state(), "learner": learner.state()}


def _restore(learner: Learner, state: dict[str, Any]) -> int:
    learner.training.load_state(state["training"])
    learner.load_state(state["learner"])
    return int(state["epoch"])
