"""Tasks by name: a benchmark joined with a trainer that is imported only when something has to be trained."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasgym.benchmark import Benchmark, OnMissing, SeedPolicy, TrainFunction
from nasgym.errors import StoreReadOnly, UnknownName
from nasgym.recipes import check_dataset, dataset_names, default_recipe, get_recipe
from nasgym.results import Evaluation
from nasgym.spaces import Space, get_space, space_names
from nasgym.store import Store, TableKey, open_store
from nasgym.task.image_folders import check_images
from nasgym.task.protocols import Protocol, get_protocol
from nasgym.task.task import Task

if TYPE_CHECKING:
    from nasgym.training import EpochReport

__all__ = ["make_benchmark", "make_task", "task_names"]

_log = logging.getLogger(__name__)

DEFAULT_TASK = "nb201/cluttered-digits"


def task_names() -> tuple[str, ...]:
    """Return the names of all tasks; ``imagefolder:PATH`` stands for any folder of images."""
    return tuple(f"{space}/{dataset}" for space in space_names() for dataset in dataset_names())


def make_task(
    name: str = DEFAULT_TASK,
    *,
    protocol: str | Protocol = "plain",
    recipe: str | None = None,
    seeds: SeedPolicy | None = None,
    budget: float | None = None,
    workers: int = 1,
    max_evaluations: int | None = None,
    seed: int = 0,
    charge_repeats: bool | None = None,
    on_missing: OnMissing = "train",
    share_equal: bool | None = None,
    device: str = "auto",
    store: Store | Path | str | None = None,
    record: bool = True,
) -> Task:
    """Return the task called ``space/dataset``, such as ``"nb201/cifar10"`` or ``"nb201/imagefolder:/data/birds"``.

    Args:
        name: The task.
        protocol: The rules, by name or as a value.
        recipe: The recipe to search; None: the protocol's, else the data set's default.
        seeds: Which stored training answers; None: the protocol's.
        budget: Simulated seconds; None: the protocol's, else no budget.
        workers: Simulated workers.
        max_evaluations: How many evaluations may run, beside the budget; None: no limit.
        seed: Picks the stored seeds under ``seeds="random"``.
        charge_repeats: Whether repeated architectures are charged again; None: the protocol's.
        on_missing: ``"train"`` trains what the table lacks, ``"error"`` raises `MissingResult`.
        share_equal: Let an architecture without results answer with those of an equal network; None: where the table
            says that its results stand for equal networks.
        device: Where to train what is missing, and where agents train that do: ``"auto"``, ``"cpu"``, ``"cuda"``,
            ``"cuda:1"``.
        store: A store, or the path of one, which is laid over the embedded tables; None: the user's.
        record: Whether the trajectory is kept.

    Raises:
        UnknownName: No space, data set, recipe or protocol has that name.
        InvalidSetting: The protocol is one of another search space; or there is no such device here.
        InvalidBudget: The budget or ``max_evaluations`` is not above zero.
        TableMismatch: A folder's images are not those that its table was made with.
    """
    _check_device(device)
    rules = get_protocol(protocol)
    rules.check_space(_parse(name)[0].name)
    if seeds is not None:
        rules = replace(rules, seeds=seeds)
    if charge_repeats is not None:
        rules = replace(rules, charge_repeats=charge_repeats)
    store = store if isinstance(store, Store) else open_store(store)

    def table(recipe: str | None) -> Benchmark:
        return make_benchmark(
            name, recipe=recipe, on_missing=on_missing, share_equal=share_equal, device=device, store=store
        )

    return Task(
        table(recipe or rules.recipe),
        rules,
        shorter={epochs: table(recipe) for epochs, recipe in rules.fidelities.items()},
        budget=budget,
        workers=workers,
        max_evaluations=max_evaluations,
        seed=seed,
        record=record,
        device=device,
    )


def make_benchmark(
    name: str = DEFAULT_TASK,
    *,
    recipe: str | None = None,
    on_missing: OnMissing = "train",
    share_equal: bool | None = None,
    device: str = "auto",
    store: Store | Path | str | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> Benchmark:
    """Return the benchmark of a task, without protocol and clock.

    Args and errors as for `make_task`; ``on_epoch`` is called after each epoch of a training.
    """
    space, dataset = _parse(name)
    recipe = get_recipe(recipe or default_recipe(dataset, space.name)).name
    store = store if isinstance(store, Store) else open_store(store)
    key = TableKey(space.name, dataset, recipe)
    check_images(store, key)
    if on_missing == "train":
        _check_device(device)
    train = _LazyTrainer(space, key, store, device, on_epoch) if on_missing == "train" else None
    prepare = None if train is None else train.prepare
    return Benchmark(space, key, store, on_missing=on_missing, train=train, share_equal=share_equal, prepare=prepare)


def _parse(name: str) -> tuple[Space, str]:
    space, slash, dataset = name.partition("/")
    if not slash or not dataset:
        raise UnknownName("task", name, task_names(), "A task is written space/dataset.")
    return get_space(space), check_dataset(dataset)


def _check_device(name: str) -> None:
    """Raise `InvalidSetting` for a device that is not here; torch is imported only for one that is named."""
    if name not in ("auto", "cpu"):
        from nasgym.training.devices import resolve_device

        resolve_device(name)


class _LazyTrainer:
    """A train function that imports torch and loads the data set when it is first called."""

    def __init__(
        self,
        space: Space,
        key: TableKey,
        store: Store,
        device: str,
        on_epoch: Callable[[EpochReport], None] | None,
    ) -> None:
        self._space, self._key, self._store, self._device, self._on_epoch = space, key, store, device, on_epoch
        self._train: TrainFunction | None = None

    def __call__(self, genotype: NDArray[np.int8], seed: int) -> Evaluation:
        self.prepare()
        assert self._train is not None
        return self._train(genotype, seed)

    def prepare(self) -> None:
        """Load the data set and make the table, once."""
        if self._train is None:
            self._train = self._prepared()

    def _prepared(self) -> TrainFunction:
        if self._store.readonly:
            raise StoreReadOnly(
                f"the store {self._store.path} is read-only, and trainings have to be stored: use another store, or "
                'on_missing="error".'
            )
        if self._on_epoch is None:  # else a progress bar says so
            _log.warning(
                "architectures that the table %s lacks are trained now, and kept in %s", self._key, self._store.path
            )
        from nasgym.training import Trainer  # torch: only where something is trained

        recipe = get_recipe(self._key.recipe)
        trainer = Trainer(
            self._space,
            self._key.dataset,
            recipe,
            device=self._device,
            checkpoints=self._store.path / "checkpoints",
            on_epoch=self._on_epoch,
        )
        self._store.ensure_table(
            self._key, self._space.size, recipe=asdict(recipe), fingerprint=trainer.data.fingerprint
        )
        return trainer

    def __getstate__(self) -> dict[str, object]:
        """Pickle without the loaded data set: it is loaded again where it is needed."""
        return {**self.__dict__, "_train": None}
