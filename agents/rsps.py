"""RSPS: random search with parameter sharing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nasgym.agents._sharing import FROM, WeightSharing, numbers
from nasgym.agents.base import setting

if TYPE_CHECKING:
    from nasgym.training.sharing import Learner, SharedTraining

__all__ = ["RSPS"]


@dataclass(frozen=True, kw_only=True)
class RSPS(WeightSharing):
    """Train a super-network on random architectures, one per step; evaluate the best of some by shared weights."""

    name: ClassVar[str] = "rsps"
    source: ClassVar[str] = "Li and Talwalkar, UAI 2019, section 3; settings of NAS-Bench-201, ICLR 2020, section 5"
    published: ClassVar[Mapping[str, Any]] = numbers(
        epochs=250, batch=64, learning_rate=0.025, last_rate=0.001, weight_decay=5e-4
    )
    small: ClassVar[Mapping[str, Any]] = numbers(
        epochs=60, batch=64, learning_rate=0.1, last_rate=0.001, weight_decay=5e-4
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = numbers(
        **{
            "nb201-2020": {**published, "candidates": 100, "running_statistics": True},
            "nb201-2020-batch": {**published, "candidates": 100, "running_statistics": False},
            "nats": {**published, "epochs": 200, "candidates": 100, "clip": 0.0},
        }
    )

    candidates: int = setting(100, f"Architectures that are scored with shared weights at the end ({FROM}).", low=1)

    def learner(self, training: SharedTraining) -> Learner:
        """Return random sharing."""
        from nasgym.training.sharing.sampled import RandomSharing

        return RandomSharing(training, self.candidates)
