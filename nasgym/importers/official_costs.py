"""Corrected values beside the known faults of the official files; the files' own values are imported as they are.

Two faults are known. Some trials of 200 epochs carry the parameters and FLOPs of another architecture; and the seconds
of ImageNet16-120, whose images are 16 x 16, were made from the seconds per image measured on 32 x 32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from nasgym.importers.official_names import dataset_of
from nasgym.results import TableKey
from nasgym.spaces import get_space

__all__ = ["Costs", "corrected_costs", "corrected_seconds_share"]


@dataclass(frozen=True)
class Costs:
    """The size of one network.

    Attributes:
        params: Trainable parameters in millions.
        flops: Multiply-accumulates of one image in millions.
    """

    params: float
    flops: float

    def agrees(self, params: float, flops: float) -> bool:
        """Tell whether stored values are these, up to the last digits of a float."""
        return abs(self.params - params) < 1e-7 and abs(self.flops - flops) < 1e-6


@lru_cache(maxsize=64)
def corrected_costs(key: TableKey, index: int) -> Costs:
    """Return parameters and FLOPs of an architecture, computed from the architecture itself.

    Args:
        key: A table of the official files.
        index: The architecture.

    Raises:
        InvalidArchive: ``key`` is no such table.
        InvalidArchitecture: ``index`` is outside the space.
    """
    space, macro = get_space(key.space), dataset_of(key).macro(key.space)
    genotypes = space.from_index([index])
    return Costs(space.parameters(genotypes, macro)[0] / 1e6, space.flops(genotypes, macro)[0] / 1e6)


def corrected_seconds_share(key: TableKey, index: int) -> float:
    """Return what the official seconds of a table are to be multiplied with, an estimate.

    On ImageNet16-120 it is the network's FLOPs at 16 x 16 over those at 32 x 32, about a quarter; elsewhere 1. Data
    loading and what does not grow with the image are counted as if they did.
    """
    known = dataset_of(key)
    if known.resolution == 32:
        return 1.0
    space = get_space(key.space)
    genotypes = space.from_index([index])
    macro = known.macro(key.space)
    return float(space.flops(genotypes, macro)[0] / space.flops(genotypes, replace(macro, resolution=32))[0])
