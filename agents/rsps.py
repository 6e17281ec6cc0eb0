"""RSPS: random search with parameter sharing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nasgym.agents._sharing import FROM, PUBLISHED, WeightSharing, changed, presets_of
from nasgym.agents.base import setting

if TYPE_CHECKING:
    from nasgym.training.sharing import Learner, SharedTraining

__all__ = ["RSPS"]


@dataclass(frozen=True, kw_only=True)
class RSPS(WeightSharing):
    """Train a super-network on random architectures, one per step; evaluate the best of some by shared weights."""

    name: ClassVar[str] = "rsps"
    source: ClassVar[str] = "Li and Talwalkar, UAI 2019, section 3; settings of NAS-Bench-201, ICLR 2020, section 5"
    small: ClassVar[Mapping[str, Any]] = changed(PUBLISHED, epochs=60, learning_rate=0.1)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = presets_of(PUBLISHED, candidates=100)

    candidates: int = setting(100, f"Architectures that are scored with shared weights at the end ({FROM}).", low=1)

    def learner(self, training: SharedTraining) -> Learner:
        """Return random sharing."""
        from nasgym.training.sharing.sampled import RandomSharing

        return RandomSharing(training, self.candidates)
