"""SETN: one-shot search by a self-evaluated template network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nasgym.agents._sharing import FROM, WeightSharing, numbers
from nasgym.agents.base import setting

if TYPE_CHECKING:
    from nasgym.training.sharing import Learner, SharedTraining

__all__ = ["SETN"]

_PUBLISHED = {
    "epochs": 250, "batch": 64, "learning_rate": 0.025, "last_rate": 0.001, "weight_decay": 5e-4,
    "architecture_rate": 3e-4,
}  # fmt: skip
_SCRIPT = {"candidates": 100, "chosen": "likeliest"}


@dataclass(frozen=True, kw_only=True)
class SETN(WeightSharing):
    """Train weights on random architectures and a mixture on top of them; evaluate the best of some likely ones."""

    name: ClassVar[str] = "setn"
    source: ClassVar[str] = "Dong and Yang, ICCV 2019, section 3; settings of NAS-Bench-201, ICLR 2020, section 5"
    published: ClassVar[Mapping[str, Any]] = numbers(**_PUBLISHED)
    small: ClassVar[Mapping[str, Any]] = numbers(
        **{**_PUBLISHED, "epochs": 20, "learning_rate": 0.1, "architecture_rate": 0.01}
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = numbers(
        **{
            "nb201-2020": {**_PUBLISHED, **_SCRIPT, "running_statistics": True},
            "nb201-2020-batch": {**_PUBLISHED, **_SCRIPT, "running_statistics": False},
            "nats": {**_PUBLISHED, **_SCRIPT, "epochs": 200, "clip": 0.0},
        }
    )

    candidates: int = setting(100, f"Architectures that are scored with shared weights at the end ({FROM}).", low=1)
    chosen: str = setting(
        "sampled",
        f"Which those are: 'sampled' from the learnt probabilities (Dong and Yang, 2019), or the 'likeliest' ({FROM}, "
        "its scripts).",
        options=("sampled", "likeliest"),
    )
    architecture_rate: float = setting(
        0.0, f"Step size of Adam on the template ({FROM}: 3e-4); 0: as the size of the task asks.", low=0
    )
    architecture_decay: float = setting(1e-3, f"Weight decay of the template's logits ({FROM}).", low=0)

    def learner(self, training: SharedTraining) -> Learner:
        """Return the self-evaluated template."""
        from nasgym.training.sharing.setn import SelfEvaluatedTemplate

        rate = self.number("architecture_rate", training.recipe, training.macro.resolution)
        return SelfEvaluatedTemplate(
            training, self.candidates, self.chosen == "sampled", rate=rate, decay=self.architecture_decay
        )
