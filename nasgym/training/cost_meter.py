"""A trainer that looks at the clock: the seconds of an epoch and of the evaluations, from a few batches of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasgym.training.augment import Pixels
from nasgym.training.loop import Batches, learning_rate
from nasgym.training.trainer import Trainer, reproducible

__all__ = ["CostMeter"]

_WARM_UP = 2  # batches before those that count
_FINE = 1e-6  # seconds; a clock of threads that is coarser (Windows) cannot time a step


class CostMeter(Trainer):
    """Trains networks alone, exactly as `Trainer` does, for a few steps. Arguments and errors are those of `Trainer`.

    On one thread of a CPU the seconds are those that the thread computes, so that what other programs take does not
    count; elsewhere they are those that go by.
    """

    @contextmanager
    def ready(self) -> Iterator[int]:
        """Load the data and take the threads that a training would take; yields how many."""
        self._splits()
        with reproducible(), self._threads():
            yield torch.get_num_threads()

    def seconds(self, genotype: NDArray[np.integer], steps: int) -> tuple[float, float, float]:
        """Return the seconds of one epoch of training, one pass of validation and one of test.

        They are the median of ``steps`` batches, for as many batches as there are: for the images of the split.

        Args:
            genotype: ``int8[num_decisions]``; its network is new and takes its first steps.
            steps: Batches that count.
        """
        networks, (train, *evaluated) = self._networks(genotype[None], [0]), self._splits()
        batch, rate = min(self.recipe.batch_size, len(train)), learning_rate(self.recipe, 0)
        step = self._median_lap(lambda batches: networks.train_epoch(batches, rate), self._training(batch), steps)
        found = [step * len(train) / batch]
        for split in evaluated:
            size = min(networks.evaluation_batch, len(split))
            found.append(self._median_lap(networks.evaluate, _endless(split, size), steps) * len(split) / size)
        return found[0], found[1], found[2]

    def _training(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch after another, whole ones only."""
        train = self._splits()[0]
        for epoch in count():
            yield from (batch for batch in train.planned(self._plan(epoch, [0]), size) if batch[1].shape[-1] == size)

    def _median_lap(self, run: Callable[[Batches], object], batches: Batches, steps: int) -> float:
        """Return the median time from one batch to the next, its preparation included."""
        marks: list[Any] = []

        def watched() -> Iterator[tuple[Tensor, Tensor]]:
            for batch in islice(batches, _WARM_UP + steps + 1):
                marks.append(self._mark())
                yield batch

        run(watched())
        return float(np.median(self._laps(marks)[_WARM_UP:]))

    def _mark(self) -> Any:
        """Return this moment: an event in the queue of a GPU, which nobody waits for, or a time."""
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(self.device))
            return event
        alone = self.device.type == "cpu" and torch.get_num_threads() == 1
        fine = time.get_clock_info("thread_time").resolution <= _FINE
        return time.thread_time() if alone and fine else time.perf_counter()

    def _laps(self, marks: list[Any]) -> list[float]:
        """Return the seconds between the marks."""
        if self.device.type != "cuda":
            return [after - before for before, after in zip(marks, marks[1:], strict=False)]
        torch.cuda.synchronize(self.device)
        return [before.elapsed_time(after) / 1e3 for before, after in zip(marks, marks[1:], strict=False)]


def _endless(split: Pixels, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of a split over and over, whole ones only."""
    while True:
        yield from (batch for batch in split.batches(size) if len(batch[1]) == size)
