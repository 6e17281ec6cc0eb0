"""Every registered search space keeps the contract, and the check itself can fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nasgym.errors import UnknownName
from nasgym.spaces import NB201, Space, get_space, space_names
from nasgym.testing import check_space


@pytest.mark.parametrize("name", space_names(unlisted=True))
def test_a_space_keeps_the_contract(name: str) -> None:
    space = get_space(name)
    assert space.name == name
    check_space(space)
    check_space(space, seed=7, samples=9)


def test_get_space_names_what_is_near() -> None:
    with pytest.raises(UnknownName, match=r"unknown search space 'nb20'\. Did you mean 'nb201'"):
        get_space("nb20")


def _shifted(self: NB201, g: Any) -> Any:
    return (NB201.index(self, g) + 1) % self.size


def _stays(self: NB201, rng: np.random.Generator, g: Any) -> Any:
    return g.copy()


def _in_place(self: NB201, rng: np.random.Generator, g: Any) -> Any:
    g[:, 0] = (g[:, 0] + 1) % 5
    return g.copy()


def _global_rng(self: NB201, rng: np.random.Generator, n: int) -> Any:
    np.random.random()
    return NB201.sample(self, rng, n)


def _narrow_mask(self: NB201, partial: Any, step: int) -> Any:
    mask = NB201.action_mask(self, partial, step)
    mask[:, 3] = False
    return mask


def _reading_mask(self: NB201, partial: Any, step: int) -> Any:
    mask = NB201.action_mask(self, partial, step)
    mask[:, 0] = partial[:, -1] != 0
    return mask


def _half(self: NB201, g: Any) -> Any:
    return [around[:12] for around in NB201.neighbours(self, g)]


def _next_class(self: NB201, g: Any) -> Any:
    return (NB201.canonical(self, g) + 1) % self.size


def _reversed(self: NB201, g: Any) -> Any:
    return NB201.to_str(self, g[::-1])


def _cumulated(self: NB201, g: Any) -> Any:
    return NB201.computed_operations(self, g).cumsum(axis=0)


FAULTS: dict[str, tuple[str, Callable[..., Any], str]] = {
    "index": ("index", _shifted, "index"),
    "mutation": ("mutate", _stays, "a child equals its parent"),
    "argument": ("mutate", _in_place, "mutate|changed"),
    "rng": ("sample", _global_rng, "global generator"),
    "mask": ("action_mask", _narrow_mask, "forbids the way"),
    "future": ("action_mask", _reading_mask, "undecided columns"),
    "neighbours": ("neighbours", _half, "not all valid single changes"),
    "classes": ("canonical", _next_class, "representative"),
    "strings": ("to_str", _reversed, "another architecture"),
    "operations": ("computed_operations", _cumulated, "depends on the others"),
    "costs": ("flops", lambda self, g, macro: np.ones(len(g), dtype=np.int64), "a wider network"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_space_with_one_fault_is_caught(fault: str) -> None:
    method, wrong, message = FAULTS[fault]
    space: Space = type("Faulty", (NB201,), {method: wrong})()
    with pytest.raises(AssertionError, match=message):
        check_space(space)


def test_the_checks_need_no_test_framework() -> None:
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from nasgym.spaces import get_space; from nasgym.testing import check_space\n"
        "check_space(get_space('nb201')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
