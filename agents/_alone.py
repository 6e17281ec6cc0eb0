"""A search with libraries that leaves the process as it found it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

__all__ = ["alone", "generators_kept"]


@contextmanager
def alone() -> Iterator[None]:
    """Run torch on one thread, and give all global random generators back as they were.

    stable-baselines3 seeds the global generators of Python, numpy and torch, and its import draws from them. The
    networks of these agents are too small for a second thread to help.
    """
    with generators_kept():
        import torch

        from nasgym.training.devices import one_thread

        state = torch.get_rng_state()
        try:
            with one_thread():
                yield
        finally:
            torch.set_rng_state(state)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Give the global generators of Python and numpy back as they were: imports of libraries draw from them."""
    python, numpys = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpys)
