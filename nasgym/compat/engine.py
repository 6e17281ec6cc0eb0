"""What all facades share: where the results are, quick answers from cells, and the draws of seeds."""

from __future__ import annotations

import copy
import random
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from nasgym.compat.arch_results import ArchResults
from nasgym.compat.arguments import is_choice, whole
from nasgym.compat.best import best_of, candidates
from nasgym.compat.cells import Cell, CellCache, cell_of
from nasgym.compat.lookup import Lookup, published_strings
from nasgym.compat.metrics import commented, more_info
from nasgym.compat.stored import StoredResults
from nasgym.errors import InvalidSetting, MissingResult
from nasgym.spaces import get_space

__all__ = ["Engine", "NotEvaluated", "generator"]


_COSTS = 4096  # answers about costs that are kept


class NotEvaluated(MissingResult, ValueError):
    """An architecture of which there are no official results."""


def generator(rng: random.Random | int | None) -> random.Random | None:
    """Return the generator that a caller wants: an own one, one from a seed, or (None) Python's global one."""
    return random.Random(rng) if isinstance(rng, int) else rng


class Engine:
    """The results of one search space, from a store or from a dictionary.

    Args:
        space: ``"nb201"`` or ``"nats-sss"``.
        kind: The class of results by architecture.
        stored: The store's results; None: only those in ``held``.
        held: Results in memory, by architecture and recipe; they come before those of the store.
        strings: The architecture strings, where a dictionary brought them; None: as published.
        rng: Draws seeds and architectures; None: Python's global generator, as the originals do.
    """

    def __init__(
        self,
        space: str,
        kind: type[ArchResults],
        stored: StoredResults | None = None,
        held: Mapping[int, Mapping[str, ArchResults]] | None = None,
        strings: list[str] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.space, self.kind, self.stored, self.rng = space, kind, stored, rng
        self.held: dict[int, OrderedDict[str, ArchResults]] = {
            index: OrderedDict(infos) for index, infos in (held or {}).items()
        }
        self._strings = strings
        self.size = get_space(space).size if strings is None else len(strings)
        self.lookup = Lookup(space, self.size, None if strings is None else {s: i for i, s in enumerate(strings)})
        self._forget()

    def _forget(self) -> None:
        self._cells, self._costs = CellCache(), dict[tuple[int, str, str], dict[str, Any]]()

    @property
    def strings(self) -> list[str]:
        """All architecture strings by index."""
        if self._strings is None:
            self._strings = list(published_strings(self.space))
        return self._strings

    @property
    def draws(self) -> Any:
        """What draws: the own generator or the module `random`."""
        return random if self.rng is None else self.rng

    def indexes(self) -> set[int]:
        """Return the architectures that have results."""
        return set(self.held) | (set() if self.stored is None else self.stored.indexes())

    def has(self, index: int) -> bool:
        """Tell whether an architecture has results."""
        return index in self.held or (self.stored is not None and index in self.stored.indexes())

    def hold(self, index: int, infos: Mapping[str, ArchResults]) -> None:
        """Answer with these results from now on."""
        self.held[index] = OrderedDict(infos)

    def recipes(self) -> list[str]:
        """Return the recipes that occur."""
        held = dict.fromkeys(hp for infos in self.held.values() for hp in infos)
        return list(dict.fromkeys([*(() if self.stored is None else self.stored.recipes), *held]))

    def recipes_of(self, index: int) -> list[str]:
        """Return the recipes of one architecture."""
        if index in self.held:
            return list(self.held[index])
        return [] if self.stored is None else self.stored.recipes_of(index)

    def infos(self, index: int) -> OrderedDict[str, ArchResults]:
        """Return the results of one architecture by recipe; from now on answers come from these objects."""
        if index not in self.held:
            found = OrderedDict((hp, self.results(index, hp)) for hp in self.recipes_of(index))
            if not found:
                raise self._not_evaluated(index)
            self.held[index] = found
        return self.held[index]

    def fresh(self, index: int) -> OrderedDict[str, ArchResults]:
        """Return the results of one architecture by recipe, to be looked at only."""
        if index in self.held:
            return self.held[index]
        return OrderedDict((hp, self.results(index, hp)) for hp in self.recipes_of(index))

    def results(self, index: int, hp: str, dataset: str | None = None) -> ArchResults:
        """Return the results of one architecture under one recipe.

        Args:
            index: The architecture.
            hp: The recipe.
            dataset: Only those of one data set are needed; others may be left out.

        Raises:
            NotEvaluated: The architecture has none, a ValueError.
            KeyError: It has none under this recipe.
        """
        if index in self.held:
            return self.held[index][hp]
        found = None if self.stored is None else self.stored.results(self.kind, index, hp, dataset)
        if found is None:
            if not (known := self.recipes_of(index)):
                raise self._not_evaluated(index)
            if hp not in known:
                raise KeyError(hp)
            found = self.kind(index, self.strings[index])  # nothing of this data set: asking for it is a KeyError
        return found

    def copied(self, index: int, hp: str, dataset: str | None = None) -> ArchResults:
        """Return results of one architecture under one recipe (of one data set), the caller's to change."""
        try:
            found = self.results(index, hp, dataset)
        except KeyError:
            raise InvalidSetting(
                f"The {index}-th architecture only has hyper-parameters of {self.recipes_of(index)} instead of {hp}."
            ) from None
        return copy.deepcopy(found) if index in self.held else found

    def more_info(self, index: int, dataset: str, iepoch: int | None, hp: str, is_random: bool | int) -> dict[str, Any]:
        """Return what `nasgym.compat.metrics.more_info` says, with True for a seed that is drawn."""
        cell = self._cell(index, dataset, hp)
        if cell is not None:
            seed = self._seed(cell.seeds, is_random)
            found = self._from_cell(cell, iepoch, seed)
            if found is not None:
                return found
        results = self.results(index, hp, dataset)
        if cell is None:
            seed = self._seed(results.get_dataset_seeds(dataset), is_random)
        return more_info(results, dataset, iepoch, False if seed is None else seed)

    def _seed(self, seeds: list[int], is_random: bool | int) -> int | None:
        """Return the seed that is wanted, drawn where it is to be; None: the mean of all."""
        if not is_choice(is_random):
            return whole(is_random, "is_random")
        drawn: int | None = self.draws.choice(seeds) if is_random else None
        return drawn

    def _from_cell(self, cell: Cell, iepoch: int | None, seed: int | None) -> dict[str, Any] | None:
        if seed is None:
            return cell.of_all(self.kind.mean, iepoch)
        return cell.of_trial(cell.seeds.index(seed), iepoch) if seed in cell.seeds else None

    def latency(self, index: int, dataset: str, hp: str) -> Any:
        """Return the mean latency in seconds, or None."""
        cell = self._cell(index, dataset, hp)
        if cell is not None:
            return cell.latency(self.kind.mean)
        return self.results(index, hp, dataset).mean_latency(dataset)

    def costs(self, index: int, dataset: str, hp: str) -> dict[str, Any]:
        """Return the costs of one architecture on one data set."""
        key = (index, dataset, hp)
        if index in self.held:
            return self.held[index][hp].get_compute_costs(dataset)
        found = self._costs.get(key)
        if found is None:
            if len(self._costs) >= _COSTS:
                self._costs.clear()
            found = self._costs[key] = self.results(index, hp, dataset).get_compute_costs(dataset)
        return found.copy()

    def best(
        self, dataset: str, setname: str, hp: str, most: tuple[Any, Any], among: set[int] | None
    ) -> tuple[int, Any]:
        """Return the architecture of the highest mean accuracy and that accuracy, the first of equals.

        Args:
            dataset: The data set.
            setname: The evaluation set, or ``train``.
            hp: The recipe.
            most: The bounds of FLOPs and parameters in millions, None for none.
            among: Only these architectures; None: all.
        """

        def score(index: int) -> Any:
            try:
                results = self.results(index, hp, dataset)
            except NotEvaluated:  # the columns count results from elsewhere, too
                return None
            return best_of(results, dataset, setname, most)

        held = sorted(self.held if among is None else among & set(self.held))
        best: tuple[int, Any] = (-1, None)
        for index in held:
            best = _better(best, index, score(index))
        if self.stored is None:
            return best
        skip = set(self.held)
        for index, guess in candidates(self.stored, dataset, setname, hp, most):
            if best[1] is not None and guess < best[1] - 1e-6:
                break
            if index not in skip and (among is None or index in among):
                best = _better(best, index, score(index))
        return best

    def counts(self, dataset: str, hp: str, among: set[int]) -> Iterator[int]:
        """Yield the number of trials on a data set of each architecture."""
        stored = None if self.stored is None else self.stored.counts(hp, dataset)
        for index in sorted(among):
            if index in self.held:
                yield len(self.held[index][hp].dataset_seed.get(dataset, ()))
            else:
                yield 0 if stored is None else int(stored[index])

    def _cell(self, index: int, dataset: str, hp: str) -> Cell | None:
        """Return quick answers, or None where there are none."""
        key = (index, dataset, hp)
        if index in self.held or self.stored is None:
            return None
        known: Cell | None = self._cells.get(key)
        if known is None and key not in self._cells:
            trials = self.stored.trials(index, hp, dataset)
            if not trials:
                return None
            known = cell_of(dataset, trials, commented(self.kind, dataset))
            self._cells.put(key, known)
        return known

    def _not_evaluated(self, index: int) -> NotEvaluated:
        return NotEvaluated(
            f"architecture {index} has no official results here: import a file that has it, "
            f"`nasgym import {'nats-tss' if self.space == 'nb201' else 'nats-sss'} PATH`."
        )

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without quick answers: they are made again."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_cells", "_costs")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin without quick answers."""
        self.__dict__.update(state)
        self._forget()


def _better(best: tuple[int, Any], index: int, accuracy: Any) -> tuple[int, Any]:
    if accuracy is None:
        return best
    first = best[1] is None or accuracy > best[1] or (accuracy == best[1] and index < best[0])
    return (index, accuracy) if first else best
