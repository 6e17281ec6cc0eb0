"""What the tables of a task answer: accuracy, seconds and seed of each evaluation, trained where it is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nasgym.benchmark import AGGREGATE, Benchmark, SeedPolicy, TableView
from nasgym.errors import InvalidSetting, MissingResult
from nasgym.spaces import Indices
from nasgym.task.draws import Draws
from nasgym.task.outcome import Result
from nasgym.task.protocols import PROTOCOLS, Protocol

__all__ = ["COSTS", "Answers"]

COSTS = ("train_seconds", "valid_seconds")
"""What an evaluation is charged: the sum of these."""


class Answers:
    """Answers to the evaluations of a task, which are numbered from 0: the number decides which seed is drawn.

    Args:
        benchmark: The table that is searched.
        protocol: The rules.
        shorter: Epochs -> the table of whole trainings of that length; none: shorter trainings are parts of whole ones.
        timed: Whether there is a budget in seconds, so that an evaluation without them is an error.
    """

    def __init__(
        self, benchmark: Benchmark, protocol: Protocol, shorter: Mapping[int, Benchmark], *, timed: bool
    ) -> None:
        self.benchmark, self.protocol, self._shorter, self._timed = benchmark, protocol, dict(shorter), timed
        self.metrics = (protocol.metric, *COSTS)
        self.restart(0)

    def restart(self, seed: int) -> None:
        """Begin anew, on what the tables hold now, with the draws of ``seed``."""
        for benchmark in (self.benchmark, *self._shorter.values()):
            benchmark.refresh()
        self._draws = Draws(seed)
        self._charged: set[tuple[int, int | None]] = set()

    @property
    def epochs(self) -> int | None:
        """Epochs of a whole evaluation, or None for a recipe that nasgym does not know."""
        return self.protocol.epoch or self.benchmark.epochs

    @property
    def lengths(self) -> tuple[int, ...]:
        """Epochs that trainings have, rising, the whole ones last; empty where any part of a whole one will do."""
        return (*sorted(self._shorter), *([self.epochs] if self.epochs else [])) if self._shorter else ()

    @property
    def dearest(self) -> float:
        """The most seconds that a whole evaluation in the table is charged; 0 where none is known."""
        return self.view(None).greatest_total(COSTS)

    def read(
        self, number: int, index: int, epochs: int | None, resume: Result | None = None
    ) -> tuple[float, float, int]:
        """Return accuracy, seconds to charge and seed of evaluation ``number``, see `find`.

        ``resume`` is the shorter training that goes on: what it has taken is not charged again.
        """
        view, slot = self.find(number, index, epochs, None if resume is None else resume.seed)
        if self._timed and not view.has_all(COSTS) and math.isnan(view.value(COSTS[0], slot, index)):
            raise MissingResult(self._unknown(index, COSTS[0], epochs))
        seconds = view.total_one(COSTS, slot, index)
        if resume is not None:
            seconds -= self._trained(resume)
        if not self.protocol.charge_repeats:
            seconds = self._unless_charged(index, epochs, seconds)
        return view.value(self.protocol.metric, slot, index), seconds, view.seeds.item(slot)

    def _trained(self, paused: Result) -> float:
        """Return the seconds that a paused training has taken, without its validation."""
        view = self.view(paused.epochs)
        seconds = view.value(COSTS[0], view.slot(paused.index, _policy(paused.seed), 0), paused.index)
        return 0.0 if math.isnan(seconds) else seconds

    def find(self, number: int, index: int, epochs: int | None, seed: int | None = None) -> tuple[TableView, int]:
        """Return the view and the row that answer evaluation ``number``, trained now where they are missing.

        Args:
            number: Of the evaluation, from 0.
            index: Of the architecture.
            epochs: Of the training; None: a whole one.
            seed: Of the training that answers; None: as the protocol says.

        Raises:
            MissingResult: A result is stored, but not with that metric or epoch.
        """
        metric = self.protocol.metric
        seeds = self.protocol.seeds if seed is None else _policy(seed)
        drawn = self._draws.one(number)
        view = self.view(epochs)
        slot = view.slot(index, seeds, drawn)
        if math.isnan(view.value(metric, slot, index)):
            self._table(epochs)[0].ensure(index, seeds)
            view = self.view(epochs)
            slot = view.slot(index, seeds, drawn)
            if math.isnan(view.value(metric, slot, index)):
                raise MissingResult(self._unknown(index, metric, epochs))
        return view, slot

    def slots(self, view: TableView, first: int, indices: Indices) -> NDArray[np.int64]:
        """Return ``int64[n]``: the rows of the table that answer evaluations number ``first`` and on."""
        if self.protocol.seeds == "random" and view.drawn_rows:
            return self._draws.remainders(first, len(indices), view.drawn_rows)
        return view.slots(indices, self.protocol.seeds, self._draws.batch(first, len(indices)))

    def to_charge(
        self, view: TableView, slots: NDArray[np.int64], rows: Indices, seconds: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what the rows cost: ``seconds``, but nothing for repeats where those are free."""
        if self._timed and not view.has_all(COSTS):
            unknown = np.isnan(view.values(COSTS[0], slots, rows))
            if unknown.any():
                raise MissingResult(self._unknown(int(rows[np.argmax(unknown)]), COSTS[0], None))
        if self.protocol.charge_repeats:
            return seconds
        return np.array(
            [self._unless_charged(i, None, s) for i, s in zip(rows.tolist(), seconds.tolist(), strict=True)],
            dtype=np.float64,
        )

    def _unless_charged(self, index: int, epochs: int | None, seconds: float) -> float:
        if (index, epochs) in self._charged:
            return 0.0
        self._charged.add((index, epochs))
        return seconds

    def view(self, epochs: int | None) -> TableView:
        """Return what is known of trainings of so many epochs; None: of whole ones."""
        benchmark, epoch = self._table(epochs)
        return benchmark.view(self.metrics, epoch)

    def _table(self, epochs: int | None) -> tuple[Benchmark, int | None]:
        """Return where trainings of so many epochs (None: whole ones) are read, and at which epoch."""
        if epochs is None:
            return self.benchmark, self.protocol.epoch
        if epochs in self._shorter:
            return self._shorter[epochs], None
        return self.benchmark, epochs

    def check_known(self, epochs: int | None) -> None:
        """Raise `MissingResult` where no training of so many epochs is known, and none would be made."""
        table, epoch = self._table(epochs)
        made = table.on_missing == "train" and not table.view((self.protocol.metric,), None).counts.all()
        if made or table.view((self.protocol.metric,), epoch).counts.any():
            return
        joined = [p.name for p in PROTOCOLS.values() if p.fidelities and p.space == table.space.name]
        other = f", or search under {' or '.join(joined)}" if joined and not self._shorter else ""
        raise MissingResult(
            f"the table {table.key} knows no training of {epochs or self.epochs} epochs. Import the curves of its "
            f"trainings, let the agent train to the end (min_epochs, where it has it){other}."
        )

    def check_length(self, epochs: int | None) -> None:
        """Raise `InvalidSetting` where the protocol has tables of other lengths only."""
        if self._shorter and epochs is not None and epochs not in self._shorter:
            lengths = ", ".join(map(str, sorted(self._shorter)))
            raise InvalidSetting(
                f"the protocol {self.protocol.name!r} has trainings of {lengths} or {self.epochs} epochs; got {epochs}."
            )

    def _unknown(self, index: int, metric: str, epochs: int | None) -> str:
        epoch = epochs or self.protocol.epoch
        at = "" if epoch is None else f" at epoch {epoch}"
        remedy = "A result is stored, but without that: import it, or search by another epoch, recipe or seed."
        if metric == COSTS[0]:
            remedy = "A budget in seconds needs train_seconds: import them, or search without a budget."
        elif epochs is not None:
            remedy = (
                "Import the curve of that training, or let the agent train to the end (min_epochs, where it has it)."
            )
        return f"the table {self._table(epochs)[0].key} does not know {metric} of architecture {index}{at}. {remedy}"


def _policy(seed: int) -> SeedPolicy:
    """Return what asks for one stored training, by its seed as results write it."""
    return "mean" if seed == AGGREGATE else seed
