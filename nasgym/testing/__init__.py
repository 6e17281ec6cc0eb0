"""Checks and made-up tables for people who write their own spaces, tasks and agents."""

from nasgym.testing.spaces import check_space
from nasgym.testing.synthetic import fill_synthetic, synthetic_evaluations

__all__ = ["check_space", "fill_synthetic", "synthetic_evaluations"]
