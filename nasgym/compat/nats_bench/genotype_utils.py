"""Cells as structures; the module of that name of the original."""

from nasgym.compat.topology import TopologyStructure, topology_str2structure

__all__ = ["TopologyStructure", "topology_str2structure"]
