"""GDAS: gradient-based search with a differentiable sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nasgym.agents._sharing import FROM, WeightSharing, numbers
from nasgym.agents.base import setting

if TYPE_CHECKING:
    from nasgym.training.sharing import Learner, SharedTraining

__all__ = ["GDAS"]

_PUBLISHED = {
    "epochs": 250, "batch": 64, "learning_rate": 0.025, "last_rate": 0.001, "weight_decay": 5e-4,
    "architecture_rate": 3e-4,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GDAS(WeightSharing):
    """Draw one operation per edge with Gumbel noise, train it and the odds it was drawn by; evaluate the likeliest."""

    name: ClassVar[str] = "gdas"
    source: ClassVar[str] = "Dong and Yang, CVPR 2019, section 3.2; settings of NAS-Bench-201, ICLR 2020, section 5"
    published: ClassVar[Mapping[str, Any]] = numbers(**_PUBLISHED)
    small: ClassVar[Mapping[str, Any]] = numbers(**{**_PUBLISHED, "epochs": 30, "architecture_rate": 0.01})
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = numbers(
        **{
            "nb201-2020": {**_PUBLISHED, "running_statistics": True},
            "nb201-2020-batch": {**_PUBLISHED, "running_statistics": False},
            "nats": {**_PUBLISHED, "epochs": 200, "clip": 0.0},
        }
    )

    architecture_rate: float = setting(
        0.0, f"Step size of Adam on the odds ({FROM}: 3e-4); 0: as the size of the task asks.", low=0
    )
    architecture_decay: float = setting(1e-3, f"Weight decay of the odds' logits ({FROM}).", low=0)
    first_temperature: float = setting(10.0, f"Of the soft draws in the first epoch ({FROM}).", above=0)
    last_temperature: float = setting(0.1, f"Of the soft draws in the last epoch, linearly ({FROM}).", above=0)

    def learner(self, training: SharedTraining) -> Learner:
        """Return Gumbel sampling."""
        from nasgym.training.sharing.gdas import GumbelSampling

        return GumbelSampling(
            training,
            self.first_temperature,
            self.last_temperature,
            rate=self.number("architecture_rate", training.recipe, training.macro.resolution),
            decay=self.architecture_decay,
        )
