"""DARTS: differentiable architecture search, with the first-order and with the second-order gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nasgym.agents._sharing import ArchitectureSharing, changed, presets_of

if TYPE_CHECKING:
    from nasgym.training.sharing import Learner, SharedTraining

__all__ = ["DARTSV1", "DARTSV2"]

_PUBLISHED = changed(ArchitectureSharing.published, epochs=50)


@dataclass(frozen=True, kw_only=True)
class DARTSV1(ArchitectureSharing):
    """Train a mixture of all operations by gradient, taking the weights as they are; evaluate the likeliest."""

    name: ClassVar[str] = "darts_v1"
    source: ClassVar[str] = (
        "Liu, Simonyan and Yang, ICLR 2019, section 2.3 (first order); settings of NAS-Bench-201, ICLR 2020, section 5"
    )
    published: ClassVar[Mapping[str, Any]] = _PUBLISHED
    small: ClassVar[Mapping[str, Any]] = changed(_PUBLISHED, epochs=12, architecture_rate=0.01)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = presets_of(_PUBLISHED)

    def learner(self, training: SharedTraining) -> Learner:
        """Return the first-order learner."""
        from nasgym.training.sharing.darts import FirstOrder

        return FirstOrder(training, **self.adam(training))


@dataclass(frozen=True, kw_only=True)
class DARTSV2(DARTSV1):
    """The same with the gradient behind one step of the weights; evaluate the likeliest operations."""

    name: ClassVar[str] = "darts_v2"
    source: ClassVar[str] = (
        "Liu, Simonyan and Yang, ICLR 2019, section 2.3 (second order); settings of NAS-Bench-201, ICLR 2020, section 5"
    )
    small: ClassVar[Mapping[str, Any]] = changed(_PUBLISHED, epochs=5, architecture_rate=0.02)

    def learner(self, training: SharedTraining) -> Learner:
        """Return the second-order learner."""
        from nasgym.training.sharing.darts import SecondOrder

        return SecondOrder(training, **self.adam(training))
