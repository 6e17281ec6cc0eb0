"""`nats_bench` over the nasgym store: the same calls, arguments and answers as `nats_bench` 1.8.

One changed import line moves a script over: ``from nasgym.compat.nats_bench import create``. `docs/compat.md` lists the
methods and the places where these are deliberately better. The calls are those of NATS-Bench by Dong et al. (MIT).
"""

from __future__ import annotations

from typing import Any

from nasgym.compat.nats_bench.api_size import NATSsize
from nasgym.compat.nats_bench.api_topology import NATStopology
from nasgym.compat.nats_bench.api_utils import ArchResults, ResultsCount, pickle_load, pickle_save
from nasgym.compat.opening import Source
from nasgym.compat.topology import OPERATIONS
from nasgym.errors import InvalidSetting

__all__ = [
    "NATS_BENCH_API_VERSIONs",
    "NATS_BENCH_SSS_NAMEs",
    "NATS_BENCH_TSS_NAMEs",
    "ArchResults",
    "NATSsize",
    "NATStopology",
    "ResultsCount",
    "create",
    "pickle_load",
    "pickle_save",
    "search_space_info",
    "version",
]

NATS_BENCH_API_VERSIONs = [f"v1.{minor}" for minor in range(9)]
"""The versions of the original up to the one whose calls these are."""
NATS_BENCH_SSS_NAMEs = ("sss", "size")
NATS_BENCH_TSS_NAMEs = ("tss", "topology")


def version() -> str:
    """Return the version of `nats_bench` whose calls these are."""
    return NATS_BENCH_API_VERSIONs[-1]


def create(
    file_path_or_dict: Source,
    search_space: str,
    fast_mode: bool = False,
    verbose: bool = True,
    **options: Any,
) -> NATStopology | NATSsize:
    """Return the results of one search space.

    Args:
        file_path_or_dict: None: the nasgym store; a path: that file or folder, imported into the store first; or a
            dictionary as the original loads it.
        search_space: ``"tss"`` or ``"topology"``, ``"sss"`` or ``"size"``.
        fast_mode: Kept, and what ``fast_mode`` says; reading is lazy in any case.
        verbose: Print a line at every call, as the original does.
        **options: ``store`` and ``rng``, see `NATStopology`.

    Raises:
        ValueError: No search space has that name, or the results are not there.
    """
    if search_space in NATS_BENCH_TSS_NAMEs:
        return NATStopology(file_path_or_dict, fast_mode, verbose, **options)
    if search_space in NATS_BENCH_SSS_NAMEs:
        return NATSsize(file_path_or_dict, fast_mode, verbose, **options)
    known = ", ".join((*NATS_BENCH_TSS_NAMEs, *NATS_BENCH_SSS_NAMEs))
    raise InvalidSetting(f"invalid search space : {search_space}: one of {known}.")


def search_space_info(main_tag: str, aux_tag: str | None) -> dict[str, Any]:
    """Return what a search space chooses from.

    Args:
        main_tag: ``"nats-bench"`` or ``"nas-bench-201"``.
        aux_tag: As ``search_space`` of `create`; None for ``"nas-bench-201"``.

    Raises:
        ValueError: No search space has these names.
    """
    if main_tag == "nats-bench" and aux_tag in NATS_BENCH_SSS_NAMEs:
        return {"candidates": [8, 16, 24, 32, 40, 48, 56, 64], "num_layers": 5}
    topology = {"op_names": list(OPERATIONS), "num_nodes": 4}
    if main_tag == "nats-bench" and aux_tag in NATS_BENCH_TSS_NAMEs:
        return topology
    if main_tag == "nas-bench-201" and aux_tag is None:
        return topology
    raise InvalidSetting(f"no search space is called {main_tag!r} with {aux_tag!r}: nats-bench with tss or sss.")
