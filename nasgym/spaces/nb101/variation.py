"""The published ways to draw and to change genotypes at random, and what lies one decision away."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nasgym.spaces.base import Genotypes, Mask

__all__ = ["changed_everywhere", "changed_in_one", "drawn_until_valid", "neighbours"]

IsValid = Callable[[Genotypes], Mask]


def drawn_until_valid(rng: np.random.Generator, n: int, choices: NDArray[np.integer], is_valid: IsValid) -> Genotypes:
    """Draw every decision uniformly until there are ``n`` valid genotypes, ``int8[n, num_decisions]``."""
    drawn = np.zeros((0, len(choices)), dtype=np.int8)
    while len(drawn) < n:
        tried = rng.integers(0, choices, size=(max(2 * (n - len(drawn)), 8), len(choices))).astype(np.int8)
        drawn = np.concatenate([drawn, tried[is_valid(tried)]])
    return drawn[:n]


def changed_everywhere(
    rng: np.random.Generator,
    parents: Genotypes,
    choices: NDArray[np.integer],
    chance: NDArray[np.floating],
    is_valid: IsValid,
) -> Genotypes:
    """Give each decision another option with its chance, until it is another valid genotype."""

    def change(rows: Genotypes) -> Genotypes:
        shift = np.where(rng.random(rows.shape) < chance, rng.integers(1, choices, size=rows.shape), 0)
        return ((rows + shift) % choices).astype(np.int8)

    return _until_valid(parents, change, is_valid)


def changed_in_one(
    rng: np.random.Generator, parents: Genotypes, choices: NDArray[np.integer], is_valid: IsValid
) -> Genotypes:
    """Give one decision, picked uniformly, another option, until it is a valid genotype."""

    def change(rows: Genotypes) -> Genotypes:
        at, children = np.arange(len(rows)), rows.copy()
        decision = rng.integers(0, len(choices), size=len(rows))
        options = choices[decision]
        children[at, decision] = (rows[at, decision] + rng.integers(1, options)) % options
        return children

    return _until_valid(parents, change, is_valid)


def neighbours(rows: Genotypes, choices: NDArray[np.integer], is_valid: IsValid) -> list[Genotypes]:
    """Return for each genotype all valid ones that differ in one decision, ``int8[k, num_decisions]``."""
    others = choices - 1
    decision = np.repeat(np.arange(len(choices)), others)
    shift = np.concatenate([np.arange(1, k + 1) for k in others.tolist()])
    around = np.repeat(rows[:, None, :], len(decision), axis=1)
    around[:, np.arange(len(decision)), decision] = (rows[:, decision] + shift) % choices[decision]
    valid = is_valid(around.reshape(-1, len(choices))).reshape(len(rows), len(decision))
    return [near[kept] for near, kept in zip(around, valid, strict=True)]


def _until_valid(parents: Genotypes, change: Callable[[Genotypes], Genotypes], is_valid: IsValid) -> Genotypes:
    """Change all parents, and again those that are no cell then or the same genotype."""
    children = parents.copy()
    pending = np.arange(len(parents))
    while len(pending):
        tried = change(parents[pending])
        good = is_valid(tried) & (tried != parents[pending]).any(axis=1)
        children[pending[good]] = tried[good]
        pending = pending[~good]
    return children
