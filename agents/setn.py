"""SETN: one-shot search by a self-evaluated template network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nasgym.agents._sharing import FROM, ArchitectureSharing, changed, presets_of
from nasgym.agents.base import setting

if TYPE_CHECKING:
    from nasgym.training.sharing import Learner, SharedTraining

__all__ = ["SETN"]


@dataclass(frozen=True, kw_only=True)
class SETN(ArchitectureSharing):
    """Train weights on random architectures and a mixture on top of them; evaluate the best of some likely ones."""

    name: ClassVar[str] = "setn"
    source: ClassVar[str] = "Dong and Yang, ICCV 2019, section 3; settings of NAS-Bench-201, ICLR 2020, section 5"
    small: ClassVar[Mapping[str, Any]] = changed(
        ArchitectureSharing.published, epochs=20, learning_rate=0.1, architecture_rate=0.01
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = presets_of(
        ArchitectureSharing.published, candidates=100, chosen="likeliest"
    )

    candidates: int = setting(100, f"Architectures that are scored with shared weights at the end ({FROM}).", low=1)
    chosen: str = setting(
        "sampled",
        f"Which those are: 'sampled' from the learnt probabilities (Dong and Yang, 2019), or the 'likeliest' ({FROM}, "
        "its scripts).",
        options=("sampled", "likeliest"),
    )

    def learner(self, training: SharedTraining) -> Learner:
        """Return the self-evaluated template."""
        from nasgym.training.sharing.setn import SelfEvaluatedTemplate

        return SelfEvaluatedTemplate(training, self.candidates, self.chosen == "sampled", **self.adam(training))
