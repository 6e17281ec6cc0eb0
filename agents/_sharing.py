"""What the weight-sharing agents have in common: a super-network trained on the task's images, then one evaluation."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from nasgym.agents._alone import generators_kept
from nasgym.agents.base import Agent, begin, check_settings, setting
from nasgym.errors import InvalidSetting
from nasgym.recipes import Recipe, get_recipe
from nasgym.spaces import Space
from nasgym.spaces.edge_labelled import check_edge_labelled
from nasgym.task import Task

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from nasgym.training.checkpoints import Checkpoint
    from nasgym.training.images import ImageData
    from nasgym.training.sharing import Learner, Schedule, SharedTraining, SharingReport

__all__ = ["FROM", "PUBLISHED", "ArchitectureSharing", "WeightSharing", "changed", "presets_of", "sized"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

FROM = "NAS-Bench-201, 2020"
PUBLISHED: Mapping[str, Any] = MappingProxyType(
    {"epochs": 250, "batch": 64, "learning_rate": 0.025, "last_rate": 0.001, "weight_decay": 5e-4}
)
"""How the weights are trained there, by most agents."""
_INTERVAL = 60.0  # seconds between two checkpoints


def changed(settings: Mapping[str, Any], **changes: Any) -> Mapping[str, Any]:
    """Return settings with changes."""
    return MappingProxyType({**settings, **changes})


def presets_of(
    published: Mapping[str, Any], nats: Mapping[str, Any] = MappingProxyType({}), **own: Any
) -> Mapping[str, Mapping[str, Any]]:
    """Return the presets that all of these agents have.

    Args:
        published: Settings of NAS-Bench-201 that else go by the size of the task.
        nats: What NATS-Bench has otherwise, beside what it has so for all.
        own: More settings of both.
    """
    scripts = changed(published, **own)
    return MappingProxyType(
        {
            "nb201-2020": changed(scripts, running_statistics=True),
            "nb201-2020-batch": changed(scripts, running_statistics=False),
            "nats": changed({**scripts, **nats}, epochs=200, clip=0.0),
        }
    )


def sized(kind: type[T], doc: str, low: float) -> T | None:
    """Declare a setting that goes by the size of the task unless it is given, see `setting`."""
    return setting(None, f"{doc}; None: as the size of the task asks.", kind=kind, low=low)


@dataclass(frozen=True, kw_only=True)
class WeightSharing(Agent, ABC):
    """Train a super-network on the task's own images, charge the seconds, and evaluate what it settles on.

    Settings of None are those of ``published``, or those of ``small`` where the task's recipe trains networks that are
    too small for a second thread, such as that of ``cluttered-digits``.
    """

    family: ClassVar[str] = "weight sharing"
    settles: ClassVar[bool] = True
    published: ClassVar[Mapping[str, Any]] = PUBLISHED
    small: ClassVar[Mapping[str, Any]] = PUBLISHED

    epochs: int | None = sized(int, "Passes over the training images", low=1)
    batch: int | None = sized(int, "Images per step of weights or architecture", low=1)
    learning_rate: float | None = sized(float, "Of the weights' SGD in the first epoch", low=0)
    last_rate: float | None = sized(float, "Where the cosine of the learning rate ends", low=0)
    momentum: float = setting(0.9, f"Of the weights' SGD, Nesterov's ({FROM}).", low=0, high=0.999)
    weight_decay: float | None = sized(float, "Of all weights", low=0)
    clip: float = setting(5.0, f"Greatest norm of the weights' gradient ({FROM}; NATS-Bench has 0: none).", low=0)
    affine: bool = setting(False, f"Whether batch norms in cells scale and shift ({FROM}: no).")
    running_statistics: bool = setting(
        False,
        f"Whether batch norms in cells keep running statistics (NATS-Bench: no; {FROM}: both, and random sharing is "
        "much better without).",
    )
    images: str = setting(
        "valid",
        f"What the architecture learns on: 'valid', the validation split ({FROM}), or 'train', a half of the training "
        "split, of which the weights get the other.",
        options=("valid", "train"),
    )
    clock: str = setting(
        "measured",
        "What is charged: the seconds that were 'measured', or the 'operations' over operations_per_second, which "
        "makes a run depend on nothing but its seed.",
        options=("measured", "operations"),
    )
    operations_per_second: float = setting(
        8e9, "Multiply-accumulates per charged second under clock='operations' (one core of a server, small images).",
        above=0,
    )  # fmt: skip
    device: str = setting("auto", "Where the weights are trained: 'auto' (where the task trains), 'cpu', 'cuda'.")
    checkpoints: str = setting(
        "", "A folder from which a search that was interrupted goes on, epoch by epoch; none if empty (a choice)."
    )

    def __post_init__(self) -> None:
        """Check the hyper-parameters."""
        check_settings(self)

    def check_space(self, space: Space) -> None:
        """Raise `UnsuitableTask` unless the decisions of ``space`` are operations on the edges of a cell."""
        check_edge_labelled(space)

    def search(self, task: Task, seed: int) -> None:
        """Train, settle, evaluate.

        Raises:
            UnsuitableTask: The space has no super-network.
            DatasetUnavailable: The task's images are not on this machine.
            DeviceMemoryExhausted: The super-network does not fit into the memory of the device.
            InvalidSetting: The seed is out of its range, there is no such device, or the checkpoints cannot lie there.
            SearchDiverged: The super-network or what chooses the architecture has no finite numbers any more.
        """
        found, checkpoint = self._find(task, seed, None)
        task.evaluate(found[None])
        if checkpoint is not None:
            checkpoint.remove()

    def find(self, task: Task, seed: int, on_epoch: Callable[[SharingReport], None] | None = None) -> NDArray[np.int8]:
        """Train and settle only: return the architecture ``int8[num_decisions]``, which `search` evaluates.

        ``on_epoch`` is called after every epoch. With ``checkpoints`` the answer is kept there until `search` has
        evaluated it.
        """
        return self._find(task, seed, on_epoch)[0]

    def _find(
        self, task: Task, seed: int, on_epoch: Callable[[SharingReport], None] | None
    ) -> tuple[NDArray[np.int8], Checkpoint | None]:
        begin(task, seed)
        self.check_space(task.space)
        recipe = get_recipe(task.benchmark.key.recipe)
        with generators_kept():
            from nasgym.training.devices import memory_guard, one_thread, resolve_device
            from nasgym.training.sharing import train_and_settle
            from nasgym.training.trainer import reproducible

            device = resolve_device(self.device if self.device != "auto" else task.device)
            data = _images(task.benchmark.key.dataset, recipe)
            schedule = self.schedule(recipe, data.resolution)
            what = f"the super-network of {task.space.name} with batches of {schedule.batch} images"
            with memory_guard(what, _REMEDY), reproducible(), one_thread(_is_small(recipe, data.resolution)):
                checkpoint = self._checkpoint(task, seed, schedule, data)
                training = self._training(task, data, recipe, schedule, seed, device)
                found = train_and_settle(
                    self.learner(training),
                    evaluation_seconds=task.dearest,
                    checkpoint=checkpoint,
                    on_epoch=on_epoch,
                )
                return found, checkpoint

    @abstractmethod
    def learner(self, training: SharedTraining) -> Learner:
        """Return what this agent does with a super-network."""

    def number(self, name: str, recipe: Recipe, side: int) -> Any:
        """Return a setting, where it is None the one that the size of the task asks for; ``side`` is of the images."""
        given = getattr(self, name)
        return (self.small if _is_small(recipe, side) else self.published)[name] if given is None else given

    def schedule(self, recipe: Recipe, side: int) -> Schedule:
        """Return how the super-network is trained for a task's recipe and images of so many pixels a side."""
        from nasgym.training.sharing import Schedule

        sized = ("epochs", "batch", "learning_rate", "last_rate", "weight_decay")
        return Schedule(
            **{name: self.number(name, recipe, side) for name in sized},
            momentum=self.momentum,
            clip=self.clip,
            affine=self.affine,
            tracked=self.running_statistics,
            architecture_images=self.images,
        )

    def _training(
        self, task: Task, data: ImageData, recipe: Recipe, schedule: Schedule, seed: int, device: torch.device
    ) -> SharedTraining:
        from nasgym.training.sharing import Meter, SharedTraining

        if not _is_small(recipe, data.resolution):
            _log.warning(
                "%s trains a super-network of %s on %s for %d epochs", self.name, task.space.name, data.name,
                schedule.epochs,
            )  # fmt: skip
        rate = self.operations_per_second if self.clock == "operations" else None
        meter = Meter(rate, task.remaining, task.spend)
        return SharedTraining(task.space, data, recipe, schedule, seed=seed, device=device, meter=meter)

    def _checkpoint(self, task: Task, seed: int, schedule: Schedule, data: ImageData) -> Checkpoint | None:
        """Return the checkpoint of this search, named by everything that determines it."""
        from nasgym.training.checkpoints import Checkpoint

        if not self.checkpoints:
            return None
        own = {item.name: str(getattr(self, item.name)) for item in fields(self) if item.name not in _NOT_ITS_OWN}
        identity = {**own, "agent": self.name, "space": task.space.name, "recipe": task.benchmark.key.recipe}
        identity |= {"seed": str(seed), "schedule": str(asdict(schedule)), "data": data.fingerprint}
        identity["seconds"] = str(task.remaining)
        return Checkpoint(_made(self.checkpoints), identity, _INTERVAL)


@dataclass(frozen=True, kw_only=True)
class ArchitectureSharing(WeightSharing):
    """Weight sharing that trains logits of all operations by Adam."""

    published: ClassVar[Mapping[str, Any]] = changed(PUBLISHED, architecture_rate=3e-4)

    architecture_rate: float | None = sized(
        float, f"Step size of Adam on the logits of operations ({FROM}: 3e-4)", low=0
    )
    architecture_decay: float = setting(1e-3, f"Weight decay of those logits ({FROM}).", low=0)

    def adam(self, training: SharedTraining) -> dict[str, float]:
        """Return how the logits are trained."""
        rate = self.number("architecture_rate", training.recipe, training.macro.resolution)
        return {"rate": rate, "decay": self.architecture_decay}


_NOT_ITS_OWN = ("checkpoints", "device")  # settings that another machine may have differently
_REMEDY = "Use a smaller batch= or a recipe with fewer channels"


def _made(checkpoints: str) -> Path:
    """Return the folder of checkpoints, made where it is not there: before the search, not after it."""
    folder = Path(checkpoints).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSetting(
            f"checkpoints={checkpoints!r} can be no folder ({error.strerror or error}). Take one that can be written."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidSetting(f"the folder checkpoints={checkpoints!r} cannot be written. Take one that can be.")
    return folder


@lru_cache(maxsize=2)
def _images(dataset: str, recipe: Recipe) -> ImageData:
    """Return a task's images; the last ones are kept, since a study searches the same task again and again."""
    from nasgym.training import load_dataset

    return load_dataset(dataset, image_size=recipe.image_size, split=recipe.split)


def _is_small(recipe: Recipe, side: int) -> bool:
    import torch

    from nasgym.training.engines import is_small

    return is_small(recipe, torch.device("cpu"), side)
