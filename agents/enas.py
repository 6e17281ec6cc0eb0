"""ENAS: efficient neural architecture search by a controller that shares weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from nasgym.agents._sharing import FROM, PUBLISHED, WeightSharing, changed, presets_of, sized
from nasgym.agents.base import setting

if TYPE_CHECKING:
    from nasgym.recipes import Recipe
    from nasgym.training.sharing import Learner, Schedule, SharedTraining

__all__ = ["ENAS"]

_PUBLISHED = changed(
    PUBLISHED, batch=128, learning_rate=0.05, last_rate=0.0005, weight_decay=2.5e-4,
    period=10, controller_rate=1e-3, controller_steps=50,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ENAS(WeightSharing):
    """Let an LSTM choose what to train with shared weights, and reward it by the accuracy; evaluate its best draw."""

    name: ClassVar[str] = "enas"
    source: ClassVar[str] = (
        "Pham et al., ICML 2018, section 2; controller and settings of NAS-Bench-201, ICLR 2020, section 5"
    )
    published: ClassVar[Mapping[str, Any]] = _PUBLISHED
    small: ClassVar[Mapping[str, Any]] = changed(
        PUBLISHED, epochs=30, learning_rate=0.1, period=30, controller_rate=0.01, controller_steps=10
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = presets_of(
        _PUBLISHED, changed(PUBLISHED, period=200, controller_momentum=0.5),
        candidates=100, controller_momentum=0.0, aggregate=20, entropy=1e-4, baseline_decay=0.99,
    )  # fmt: skip

    candidates: int = setting(100, f"Architectures that the controller draws and scores at the end ({FROM}).", low=1)
    period: int | None = sized(
        int, f"Epochs in which the learning rate falls, before it begins anew ({FROM}: 10), 0: all of them", low=0
    )
    controller_rate: float | None = sized(float, f"Step size of the controller's Adam ({FROM}: 1e-3)", low=0)
    controller_momentum: float = setting(0.0, f"First decay of the controller's Adam ({FROM}).", low=0, high=0.999)
    controller_steps: int | None = sized(int, f"Steps of the controller after each epoch ({FROM}: 50)", low=0)
    aggregate: int = setting(20, f"Architectures that are drawn and scored for each of those steps ({FROM}).", low=1)
    entropy: float = setting(1e-4, f"Weight of the entropy (nats) in the reward ({FROM}).", low=0)
    baseline_decay: float = setting(
        0.99, f"How much of the moving average of rewards is kept at each ({FROM}).", low=0, high=0.9999
    )

    def schedule(self, recipe: Recipe, side: int) -> Schedule:
        """Return how the super-network is trained, see the base; the learning rate may rise again."""
        return replace(super().schedule(recipe, side), period=self.number("period", recipe, side))

    def learner(self, training: SharedTraining) -> Learner:
        """Return the controller with its super-network."""
        from nasgym.training.sharing.enas import ControllerSettings, RewardedController

        size = (training.recipe, training.macro.resolution)
        settings = ControllerSettings(
            rate=self.number("controller_rate", *size),
            momentum=self.controller_momentum,
            steps=self.number("controller_steps", *size),
            aggregate=self.aggregate,
            entropy=self.entropy,
            baseline_decay=self.baseline_decay,
        )
        return RewardedController(training, self.candidates, settings)
