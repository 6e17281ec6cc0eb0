"""DARTS: differentiable architecture search, with the first-order and with the second-order gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nasgym.agents._sharing import FROM, WeightSharing, numbers
from nasgym.agents.base import setting

if TYPE_CHECKING:
    from nasgym.training.sharing import Learner, SharedTraining

__all__ = ["DARTSV1", "DARTSV2"]

_PUBLISHED = {
    "epochs": 50, "batch": 64, "learning_rate": 0.025, "last_rate": 0.001, "weight_decay": 5e-4,
    "architecture_rate": 3e-4,
}  # fmt: skip
_PRESETS = {
    "nb201-2020": {**_PUBLISHED, "running_statistics": True},
    "nb201-2020-batch": {**_PUBLISHED, "running_statistics": False},
    "nats": {**_PUBLISHED, "epochs": 200, "clip": 0.0},
}


@dataclass(frozen=True, kw_only=True)
class DARTSV1(WeightSharing):
    """Train a mixture of all operations by gradient, taking the weights as they are; evaluate the likeliest."""

    name: ClassVar[str] = "darts_v1"
    source: ClassVar[str] = (
        "Liu, Simonyan and Yang, ICLR 2019, section 2.3 (first order); settings of NAS-Bench-201, ICLR 2020, section 5"
    )
    published: ClassVar[Mapping[str, Any]] = numbers(**_PUBLISHED)
    small: ClassVar[Mapping[str, Any]] = numbers(**{**_PUBLISHED, "epochs": 12, "architecture_rate": 0.01})
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = numbers(**_PRESETS)

    architecture_rate: float = setting(
        0.0, f"Step size of Adam on the mixture ({FROM}: 3e-4); 0: as the size of the task asks.", low=0
    )
    architecture_decay: float = setting(1e-3, f"Weight decay of the mixture's logits ({FROM}).", low=0)

    def learner(self, training: SharedTraining) -> Learner:
        """Return the first-order learner."""
        from nasgym.training.sharing.darts import FirstOrder

        return FirstOrder(training, **self._adam(training))

    def _adam(self, training: SharedTraining) -> dict[str, float]:
        rate = self.number("architecture_rate", training.recipe, training.macro.resolution)
        return {"rate": rate, "decay": self.architecture_decay}


@dataclass(frozen=True, kw_only=True)
class DARTSV2(DARTSV1):
    """The same with the gradient behind one step of the weights; evaluate the likeliest operations."""

    name: ClassVar[str] = "darts_v2"
    source: ClassVar[str] = (
        "Liu, Simonyan and Yang, ICLR 2019, section 2.3 (second order); settings of NAS-Bench-201, ICLR 2020, section 5"
    )
    small: ClassVar[Mapping[str, Any]] = numbers(**{**_PUBLISHED, "epochs": 5, "architecture_rate": 0.02})

    def learner(self, training: SharedTraining) -> Learner:
        """Return the second-order learner."""
        from nasgym.training.sharing.darts import SecondOrder

        return SecondOrder(training, **self._adam(training))
