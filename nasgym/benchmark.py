"""A search space joined with a table of results: ask what an architecture reaches, and what that costs.

Asking changes nothing but the store, and that only where a missing result is trained. There is no clock here and no
hidden randomness: which seed answers is said by the caller.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasgym.charging import Charges
from nasgym.errors import InvalidSetting, MissingResult, StoreError, UnknownName
from nasgym.recipes import RECIPES
from nasgym.results import METRICS, Evaluation, Seed, mean
from nasgym.spaces import Genotypes, Indices, Space
from nasgym.store import Columns, Store, TableKey, put_or_rescue
from nasgym.views import AGGREGATE, SeedPolicy, TableView, check_seed_policy, shared

__all__ = [
    "AGGREGATE",
    "Benchmark",
    "OnMissing",
    "SeedPolicy",
    "TableView",
    "TrainFunction",
    "check_seed_policy",
    "import_commands",
]

OnMissing: TypeAlias = Literal["train", "error"]
TrainFunction: TypeAlias = Callable[[NDArray[np.int8], int], Evaluation]
"""``train(genotype int8[num_decisions], seed) -> Evaluation``."""

_log = logging.getLogger(__name__)

_IMPORTS = {"nb201": "nats-tss", "nats-sss": "nats-sss", "nb101": "nasbench101"}
_FIRST_SEED = 0  # what is trained where no seed is named
_CLAIM_SECONDS = 86_400.0  # longer than any training; a process of this machine that died gives its claim up at once
_POLL_SECONDS = 0.5


class Benchmark:
    """Results of one space on one data set under one recipe.

    Args:
        space: The search space.
        key: The table.
        store: Where results are, and where new ones go.
        on_missing: ``"train"`` trains what is not in the table, stores and returns it; ``"error"`` raises.
        train: The function that trains; needed for ``on_missing="train"``.
        share_equal: Let an architecture without results answer with those of an equal network
            (`Space.canonical`), the one of lowest index that has any; None: where the table says that its results
            stand for equal networks.
        prepare: Called before something is trained; raises where it cannot be, for want of the data set say.
    """

    def __init__(
        self,
        space: Space,
        key: TableKey,
        store: Store,
        *,
        on_missing: OnMissing = "error",
        train: TrainFunction | None = None,
        share_equal: bool | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Open the table; nothing is read before the first question."""
        if on_missing not in ("train", "error"):
            raise UnknownName("on_missing policy", on_missing, ("train", "error"))
        if on_missing == "train" and train is None:
            raise InvalidSetting('on_missing="train" needs a train function; nasgym.task.make_task() brings one.')
        self.space, self.key, self.store = space, key, store
        self.on_missing, self._train, self._share_equal = on_missing, train, share_equal
        self.prepare = prepare or _nothing
        self._views: dict[tuple[str, ...], TableView] = {}
        self._read_at = -1
        self._charges: tuple[Mapping[str, Any], Charges] | None = None

    @property
    def share_equal(self) -> bool:
        """Whether equal networks answer for each other: as asked for, else as the table says."""
        if self._share_equal is not None:
            return self._share_equal
        return self.key in self.store and self.store.meta(self.key).shares_equal

    @property
    def epochs(self) -> int | None:
        """Epochs of a whole training, or None for a recipe that nasgym does not know."""
        recipe = RECIPES.get(self.key.recipe)
        return None if recipe is None else recipe.epochs

    def check_epoch(self, epoch: int | None) -> None:
        """Raise `InvalidSetting` unless ``epoch`` is None or a whole number from 1 to the recipe's epochs."""
        last = self.epochs
        if epoch is None or (isinstance(epoch, (int, np.integer)) and 1 <= epoch <= (last or epoch)):
            return
        bound = f"1..{last}" if last else "1 or more"
        raise InvalidSetting(f"an epoch of {self.key} is in {bound} (None: the last); got {epoch!r}.")

    def refresh(self) -> None:
        """Look whether the table has changed since it was read; then the next view reads it again."""
        if self._views and self.store.generation(self.key) != self._read_at:
            self._views.clear()

    def query(
        self,
        architecture: str | int | NDArray[np.integer],
        seed: SeedPolicy = "mean",
        *,
        epoch: int | None = None,
        draw: int | None = None,
    ) -> Evaluation:
        """Return what one architecture reached.

        Args:
            architecture: Its string, its index, or its genotype ``int8[num_decisions]``.
            seed: A stored seed, ``"mean"`` over the stored seeds, or ``"random"`` with ``draw``.
            epoch: Cut the training after so many epochs; None: the whole of it.
            draw: A uniform integer of the caller's that picks the seed under ``"random"``.

        Raises:
            InvalidArchitecture: The architecture is not in the space.
            InvalidSetting: The seed or the epoch is out of its bounds.
            MissingResult: It is not in the table, and ``on_missing`` is ``"error"``.
        """
        check_seed_policy(seed)
        self.check_epoch(epoch)
        asked = self.index_of(architecture)
        answering, stored = self._member_with_results(asked)
        found = replace(self._answer(answering, stored, seed, epoch, draw), index=asked)
        charges = self._charging()
        return found if charges is None else charges.evaluation(found)

    def _answer(
        self, index: int, stored: Sequence[Seed], seed: SeedPolicy, epoch: int | None, draw: int | None
    ) -> Evaluation:
        numbered = [s for s in stored if s != "mean"]
        if seed == "random":
            if draw is None:
                raise InvalidSetting('seed="random" needs draw=, an integer of your own generator: nothing is hidden.')
            pool: Sequence[Seed] = numbered or stored or (_FIRST_SEED,)
            return self._training(index, pool[draw % len(pool)]).stopped_at(epoch)
        if seed != "mean":
            return self._training(index, int(seed)).stopped_at(epoch)
        if not numbered and stored:
            return self._training(index, "mean").stopped_at(epoch)
        over_seeds = mean(self._training(index, s) for s in numbered or (_FIRST_SEED,))
        if "mean" in stored:  # an aggregate row answers for what no numbered training knows
            aggregate = self._training(index, "mean").series
            over_seeds = replace(over_seeds, series={**aggregate, **over_seeds.series})
        return over_seeds.stopped_at(epoch)

    def view(self, metrics: Sequence[str], epoch: int | None = None) -> TableView:
        """Return the table's columns at one epoch; ``metrics[0]`` decides which architectures are known."""
        name = (*metrics, str(epoch))
        if name not in self._views:
            self.check_epoch(epoch)
            for metric in metrics:
                if metric not in METRICS:
                    raise UnknownName("metric", metric, METRICS)
            columns = self._columns(metrics, epoch)
            self._read_at = columns.generation
            self._views[name] = TableView(columns, metrics[0])
        return self._views[name]

    def ensure(self, index: int, seed: SeedPolicy) -> None:
        """Make sure that a training of ``index`` is stored and seen by new views: train it, or raise `MissingResult`.

        Another process may have stored one since the present views were read; then nothing is trained. Where an equal
        network answers for ``index``, it is that one that is trained under another seed.
        """
        self._views.clear()
        answering, stored = self._member_with_results(index)
        if seed not in ("mean", "random"):
            self._training(answering, int(seed))
        elif not stored:
            self._training(answering, _FIRST_SEED)

    def index_of(self, architecture: str | int | NDArray[np.integer]) -> int:
        """Return the index of an architecture given as a string, an index or a genotype."""
        if isinstance(architecture, str):
            return int(self.space.index(self.space.from_str([architecture]))[0])
        if isinstance(architecture, (int, np.integer)):
            self.space.from_index([int(architecture)])  # raises outside the space
            return int(architecture)
        rows: Genotypes = np.asarray(architecture)[None].astype(np.int8)
        if not self.space.is_valid(rows)[0]:
            self.space.to_str(rows)  # raises with what is wrong
        return int(self.space.index(rows)[0])

    @cached_property
    def _classes(self) -> Indices:
        """``int64[N]``: the class of equal networks of each architecture."""
        return self.space.canonical(self.space.from_index(np.arange(self.space.size)))

    def _member_with_results(self, index: int) -> tuple[int, list[Seed]]:
        """Return the architecture that answers for ``index``, and the seeds stored for it."""
        stored = self.store.seeds(self.key, index)
        if stored or not self.share_equal:
            return index, stored
        for member in np.flatnonzero(self._classes == self._classes[index]).tolist():
            if others := self.store.seeds(self.key, member):
                return member, others
        return index, []

    def _columns(self, metrics: Sequence[str], epoch: int | None) -> Columns:
        """Return the table as it answers: what equal networks share, and the seconds that the clock charges."""
        if self.key in self.store:
            columns, charges = self.store.columns(self.key, metrics, epoch), self._charging()
            if self.share_equal:
                columns = shared(columns, metrics[0], self._classes)
            return columns if charges is None else charges.columns(columns, epoch)
        nothing = np.empty((0, self.space.size))
        return Columns((), dict.fromkeys(metrics, nothing), nothing.astype(np.bool_), generation=0)

    def _charging(self) -> Charges | None:
        """Return the seconds of the table's cost model, where it has one."""
        costs = self.store.meta(self.key).costs if self.key in self.store else None
        if costs is None or self.epochs is None:
            return None
        if self._charges is None or self._charges[0] != costs:
            self._charges = costs, Charges(self.space, costs, self.epochs)
        return self._charges[1]

    def _training(self, index: int, seed: Seed) -> Evaluation:
        """Return one training, made now where it is missing, with the seconds that were measured."""
        found = self.store.get(self.key, index, seed)
        if found is None:
            if self.on_missing == "error" or seed == "mean" or self._train is None:
                raise MissingResult(self._missing(index, seed))
            found = self._train_and_store(self._train, index, seed)
        return found

    def _train_and_store(self, train: TrainFunction, index: int, seed: int) -> Evaluation:
        self.prepare()
        self.store.ensure_table(self.key, self.space.size)
        waiting = False
        while not self.store.claim(self.key, index, seed, _CLAIM_SECONDS):
            time.sleep(_POLL_SECONDS)  # another process trains it: its result is as good
            if (found := self.store.get(self.key, index, seed)) is not None:
                return found
            if not waiting:
                _log.info(
                    "another process trains architecture %d, seed %d of %s: waiting for it", index, seed, self.key
                )
            waiting = True
        described = self.store.meta(self.key)
        try:
            trained = train(self.space.from_index([index])[0], seed)
            put_or_rescue(self.store, described, [trained])
        finally:
            with suppress(StoreError):  # what ended this is the error to tell
                self.store.release(self.key, index, seed)
        self._views.clear()
        return self.store.get(self.key, index, seed) or trained

    def __getstate__(self) -> dict[str, object]:
        """Pickle without what was read: it is read again where it is needed."""
        return {k: v for k, v in self.__dict__.items() if k != "_classes"} | {"_views": {}, "_charges": None}

    def _missing(self, index: int, seed: Seed) -> str:
        architecture = self.space.to_str(self.space.from_index([index]))[0]
        return (
            f"{architecture} (index {index}) with seed {seed!r} is not in the table {self.key}. Train it with "
            f'on_missing="train" or `nasgym train`, or import published results ({import_commands(self.space.name)}).'
        )


def import_commands(space: str) -> str:
    """Return the commands that import published results of a search space, for a message."""
    own = _IMPORTS.get(space)
    return f"`nasgym import {own}`, `nasgym import csv`" if own else "`nasgym import csv`"


def _nothing() -> None:
    """Prepare nothing."""
