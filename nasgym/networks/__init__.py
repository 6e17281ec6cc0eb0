"""Architectures as torch modules."""

from nasgym.networks.build import build_network

__all__ = ["build_network"]
