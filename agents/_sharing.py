"""What the weight-sharing agents have in common: a super-network trained on the task's images, then one evaluation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from nasgym.agents._alone import generators_kept
from nasgym.agents.base import Agent, begin, check_settings, setting
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

__all__ = ["FROM", "WeightSharing", "numbers"]

_log = logging.getLogger(__name__)

FROM = "NAS-Bench-201, 2020"
_INTERVAL = 60.0  # seconds between two checkpoints


def numbers(**changes: Any) -> Mapping[str, Any]:
    """Return settings that cannot be changed."""
    return MappingProxyType(changes)


@dataclass(frozen=True, kw_only=True)
class WeightSharing(Agent):
    """Train a super-network on the task's own images, charge the seconds, and evaluate what it settles on.

    Settings of 0 are those of ``published``, or those of ``small`` where the task's recipe trains networks that are
    too small for a second thread, such as that of ``cluttered-digits``.
    """

    family: ClassVar[str] = "weight sharing"
    settles: ClassVar[bool] = True
    published: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    small: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    epochs: int = setting(0, "Passes over the training images; 0: as the size of the task asks.", low=0)
    batch: int = setting(0, "Images per step of weights or architecture; 0: as the size of the task asks.", low=0)
    learning_rate: float = setting(
        0.0, "Of the weights' SGD in the first epoch; 0: as the size of the task asks.", low=0
    )
    last_rate: float = setting(0.0, "Where the cosine of the learning rate ends; 0: as the size asks.", low=0)
    momentum: float = setting(0.9, f"Of the weights' SGD, Nesterov's ({FROM}).", low=0, high=0.999)
    weight_decay: float = setting(0.0, "Of all weights; 0: as the size of the task asks.", low=0)
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
    device: str = setting("auto", "Where the weights are trained: 'auto' (CUDA where there is one), 'cpu', 'cuda'.")
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
            SearchDiverged: The loss of the super-network is no longer a number.
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

            data, device = _images(task.benchmark.key.dataset, recipe), resolve_device(self.device)
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

    def learner(self, training: SharedTraining) -> Learner:
        """Return what this agent does with a super-network."""
        raise NotImplementedError

    def number(self, name: str, recipe: Recipe, side: int) -> Any:
        """Return a setting, where it is 0 the one that the size of the task asks for; ``side`` is of the images."""
        return getattr(self, name) or (self.small if _is_small(recipe, side) else self.published)[name]

    def schedule(self, recipe: Recipe, side: int) -> Schedule:
        """Return how the super-network is trained for a task's recipe and images of so many pixels a side."""
        from nasgym.training.sharing import Schedule

        sized = ("epochs", "batch", "learning_rate", "last_rate", "weight_decay")
        return Schedule(
            **{name: self.number(name, recipe, side) for name in sized},
            period=(self.small if _is_small(recipe, side) else self.published).get("period", 0),
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
        return Checkpoint(Path(self.checkpoints).expanduser(), identity, _INTERVAL)


_NOT_ITS_OWN = ("checkpoints", "device")  # settings that another machine may have differently
_REMEDY = "Use a smaller batch= or a recipe with fewer channels"


@lru_cache(maxsize=2)
def _images(dataset: str, recipe: Recipe) -> ImageData:
    """Return a task's images; the last ones are kept, since a study searches the same task again and again."""
    from nasgym.training import load_dataset

    return load_dataset(dataset, image_size=recipe.image_size, split=recipe.split)


def _is_small(recipe: Recipe, side: int) -> bool:
    import torch

    from nasgym.training.engines import is_small

    return is_small(recipe, torch.device("cpu"), side)
