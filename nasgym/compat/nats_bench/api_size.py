"""The size search space: 32,768 networks of five widths; the module of that name of the original."""

from __future__ import annotations

from typing import Any

from nasgym.compat import printing
from nasgym.compat.arch_results import ArchResults
from nasgym.compat.nats_bench.api_utils import NASBenchMetaAPI

__all__ = ["ALL_BASE_NAMES", "NATSsize", "print_information"]

ALL_BASE_NAMES = ["NATS-sss-v1_0-50262"]


def print_information(information: ArchResults, extra_info: Any = None, show: bool = False) -> list[str]:
    """Return, and print where ``show``, the lines that describe an architecture."""
    return printing.information(information, extra_info, show, sized=True)


class NATSsize(NASBenchMetaAPI):
    """The size search space of NATS-Bench; see `NASBenchMetaAPI` for the arguments."""

    _space, _search_space_name, _full_train_epochs = "nats-sss", "size", 90
    _all_base_names, _sized = ALL_BASE_NAMES, True
