"""Architectures as vectors: what proposes any choices needs legal ones, and what predicts needs numbers."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidSetting
from nasgym.spaces import Genotypes, Space

__all__ = ["check_installed", "needed", "one_hot", "repaired"]


def repaired(space: Space, choices: NDArray[np.integer]) -> NDArray[np.int8]:
    """Return ``int8[num_decisions]``: the choices, each illegal one replaced by the nearest that is legal there."""
    row = np.array(choices, dtype=np.int8)
    genotype = row[None]  # the same memory
    if space.is_valid(genotype)[0]:
        return row
    for step in range(space.num_decisions):
        allowed = np.flatnonzero(space.action_mask(genotype, step)[0])
        row[step] = allowed[np.argmin(np.abs(allowed - int(row[step])))]
    return row


def one_hot(space: Space, genotypes: Genotypes) -> NDArray[np.float64]:
    """Return ``float64[n, sum(choices)]``: one column per option of each decision."""
    starts = np.cumsum(space.choices) - space.choices
    rows = np.zeros((len(genotypes), int(space.choices.sum())))
    rows[np.arange(len(genotypes))[:, None], starts + genotypes] = 1.0
    return rows


def check_installed(module: str, extra: str) -> None:
    """Raise `InvalidSetting` that says how to install an optional package, where it is not installed."""
    if importlib.util.find_spec(module) is None:
        raise InvalidSetting(_install(module, extra))


def needed(module: str, extra: str) -> ModuleType:
    """Import an optional package, or raise `InvalidSetting` that says how to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise InvalidSetting(_install(module, extra)) from error


def _install(module: str, extra: str) -> str:
    return f"this agent needs the package {module}, which is not installed: pip install 'nasgym[{extra}]'."
