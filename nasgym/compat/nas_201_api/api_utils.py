"""What NAS-Bench-201 calls results; the module of that name of the original. Means are numpy's here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nasgym.compat import arch_results, printing, results_count
from nasgym.compat.facade import Facade
from nasgym.compat.nats_bench.api_utils import remap_dataset_set_names

__all__ = ["ArchResults", "NASBenchMetaAPI", "ResultsCount", "remap_dataset_set_names"]

NASBenchMetaAPI = Facade
"""The base of `NASBench201API`."""


class ResultsCount(results_count.ResultsCount):
    """One training of one architecture."""

    @staticmethod
    def _mean(numbers: Sequence[Any]) -> Any:
        return np.mean(numbers)

    @staticmethod
    def _sum(numbers: Sequence[Any]) -> Any:
        return np.sum(numbers)


class ArchResults(arch_results.ArchResults):
    """All trainings of one architecture under one recipe."""

    _trial = ResultsCount

    @staticmethod
    def mean(numbers: Sequence[Any]) -> Any:
        """Return numpy's mean of numbers by trial."""
        return np.mean(numbers)

    @staticmethod
    def sizes(values: list[Any], seeds: list[int]) -> list[Any]:
        """Return the parameters or FLOPs of all trials: `nats_bench` repaired them, this did not."""
        return values

    def show(self, is_print: bool = False) -> list[str]:
        """Return, and print where ``is_print``, the lines that describe the architecture."""
        return printing.information(self, None, is_print, joint=", ")
