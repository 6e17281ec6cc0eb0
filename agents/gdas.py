"""GDAS: gradient-based search with a differentiable sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nasgym.agents._sharing import FROM, ArchitectureSharing, changed, presets_of
from nasgym.agents.base import setting

if TYPE_CHECKING:
    from nasgym.training.sharing import Learner, SharedTraining

__all__ = ["GDAS"]


@dataclass(frozen=True, kw_only=True)
class GDAS(ArchitectureSharing):
    """Draw one operation per edge with Gumbel noise, train it and the odds it was drawn by; evaluate the likeliest."""

    name: ClassVar[str] = "gdas"
    source: ClassVar[str] = "Dong and Yang, CVPR 2019, section 3.2; settings of NAS-Bench-201, ICLR 2020, section 5"
    small: ClassVar[Mapping[str, Any]] = changed(ArchitectureSharing.published, epochs=30, architecture_rate=0.01)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = presets_of(ArchitectureSharing.published)

    first_temperature: float = setting(10.0, f"Of the soft draws in the first epoch ({FROM}).", above=0)
    last_temperature: float = setting(0.1, f"Of the soft draws in the last epoch, linearly ({FROM}).", above=0)

    def learner(self, training: SharedTraining) -> Learner:
        """Return Gumbel sampling."""
        from nasgym.training.sharing.gdas import GumbelSampling

        return GumbelSampling(training, self.first_temperature, self.last_temperature, **self.adam(training))
