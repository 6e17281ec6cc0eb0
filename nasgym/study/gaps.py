"""Gaps in the table that a study searches: whether its runs may train networks, and whether they can."""

from __future__ import annotations

from nasgym.errors import DatasetUnavailable
from nasgym.study.design import TaskSpec

__all__ = ["prepare_training", "trains"]


def trains(spec: TaskSpec) -> bool:
    """Tell whether runs of a task may train networks: that is allowed, and the table has gaps."""
    task = spec.make()
    if task.benchmark.on_missing != "train":
        return False
    view = task.benchmark.view((task.protocol.metric,), task.protocol.epoch)
    return bool((view.counts == 0).any())


def prepare_training(spec: TaskSpec) -> None:
    """Load what the runs of a task may train on, so that a data set that is not there stops them before they start.

    Raises:
        DatasetUnavailable: The data set is not on this machine.
        NasgymError: Nothing can be trained on that device, or into that store.
    """
    if not trains(spec):
        return
    try:
        spec.make().benchmark.prepare()
    except DatasetUnavailable as error:
        raise DatasetUnavailable(f"{error} Or import published results with `nasgym import csv`.") from error
