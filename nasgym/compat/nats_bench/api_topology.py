"""The topology search space: 15,625 cells; the module of that name of the original."""

from __future__ import annotations

from typing import Any

from nasgym.compat import printing
from nasgym.compat.arch_results import ArchResults
from nasgym.compat.nats_bench.api_utils import NASBenchMetaAPI
from nasgym.compat.topology import TopologyStructure

__all__ = ["ALL_BASE_NAMES", "NATStopology", "print_information"]

ALL_BASE_NAMES = ["NATS-tss-v1_0-3ffb9"]


def print_information(information: ArchResults, extra_info: Any = None, show: bool = False) -> list[str]:
    """Return, and print where ``show``, the lines that describe an architecture."""
    return printing.information(information, extra_info, show)


class NATStopology(NASBenchMetaAPI):
    """The topology search space of NATS-Bench; see `NASBenchMetaAPI` for the arguments."""

    _space, _search_space_name, _full_train_epochs = "nb201", "topology", 200
    _all_base_names = ALL_BASE_NAMES

    def get_unique_str(self, arch: Any) -> str:
        """Return a string that is the same for architectures that the original takes for isomorphic.

        Args:
            arch: An index, a string, or an object with ``tostr()``.
        """
        text = self._engine.strings[self.query_index_by_arch(arch)]
        return TopologyStructure.str2structure(text).to_unique_str(consider_zero=True)
