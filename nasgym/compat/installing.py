"""The facades under the originals' module names."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

__all__ = ["MODULES", "install"]

_ROOM = "nasgym.compat"
MODULES: Mapping[str, str] = MappingProxyType(
    {
        name: f"{_ROOM}.{name}"
        for name in (
            "nats_bench",
            "nats_bench.api_size",
            "nats_bench.api_topology",
            "nats_bench.api_utils",
            "nats_bench.genotype_utils",
            "nas_201_api",
            "nas_201_api.api_201",
            "nas_201_api.api_utils",
            "nasbench",
            "nasbench.api",
            "nasbench.lib",
            "nasbench.lib.config",
            "nasbench.lib.graph_util",
            "nasbench.lib.model_spec",
        )
    }
)
"""Module of the originals -> the module here that takes its place."""


def install() -> None:
    """Make ``import nats_bench``, ``nas_201_api`` and ``nasbench`` import the facades, in this process from now on.

    Names that were imported from the originals before stay what they are, so call this first.
    """
    for name, ours in MODULES.items():
        sys.modules[name] = import_module(ours)
