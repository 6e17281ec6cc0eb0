"""Rows that are used again: to those who hold one, none ever changes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nasgym.envs.rows import RowPool
from nasgym.envs.vector import ConstructVectorEnv
from nasgym.testing import synthetic_task

ONES, TWOS = np.ones((5, 3), dtype=np.int8), np.full((5, 3), 2, dtype=np.int8)
HOLD: dict[str, Callable[[Any], Any]] = {
    "the array of rows": lambda rows: rows,
    "its slice": lambda rows: rows[1:3],
    "a list of it": list,
    "one row": lambda rows: rows[2],
    "a part of a row": lambda rows: rows[2][1:],
    "a part of a part": lambda rows: rows[2][1:][:1],
    "a row turned": lambda rows: rows[2].reshape(3, 1).T,
    "another type": lambda rows: rows[4].view(np.uint8),
    "its memory": lambda rows: memoryview(rows[0]),
    "a wrapped row": lambda rows: np.asarray(rows[0].data),
    "an iterator": lambda rows: iter(rows[3]),
    "the buffer": lambda rows: rows[3].base,
}


@pytest.mark.parametrize("hold", list(HOLD.values()), ids=list(HOLD))
def test_what_is_held_does_not_change(hold: Callable[[Any], Any]) -> None:
    pool = RowPool()
    held = hold(pool.hand_out(ONES))
    for _ in range(3):
        pool.hand_out(TWOS)
    values = np.concatenate([np.ravel(part) for part in held]) if isinstance(held, list) else held
    if isinstance(values, np.ndarray) and values.dtype == object:
        values = np.concatenate(list(values))
    assert np.array(list(values) if not isinstance(values, np.ndarray) else values).max() == 1


def test_what_nobody_holds_is_used_again() -> None:
    pool = RowPool()
    first = {id(row) for row in pool.hand_out(ONES)}
    again = pool.hand_out(TWOS)
    assert {id(row) for row in again} == first and (np.stack(again) == 2).all()
    assert not first & {id(row) for row in pool.hand_out(ONES)}, "these are held now"
    assert (np.stack(again) == 2).all()
    assert pool.hand_out(ONES[:2]).shape == (2,), "another number of rows"
    copy = pickle.loads(pickle.dumps(pool))
    assert (np.stack(copy.hand_out(ONES)) == 1).all()


def test_an_exception_or_a_copy_does_not_confuse_the_count() -> None:
    pool = RowPool()
    kept = []
    for value in range(20):
        rows = pool.hand_out(np.full((4, 2), value, dtype=np.int8))
        if value % 3 == 0:
            kept.append((value, rows[value % 4]))
        try:
            raise ValueError(rows[0])
        except ValueError:
            pass
    assert all((row == value).all() for value, row in kept)


def test_last_observations_of_an_environment_stay_as_they_were() -> None:
    env = ConstructVectorEnv(7, task=synthetic_task(budget=None))
    env.reset()
    rng = np.random.default_rng(0)
    kept: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []
    for step in range(120):
        actions = rng.integers(0, 5, 7)
        *_, info = env.step(actions)
        if "final_obs" in info:
            assert [row[-1] for row in info["final_obs"]] == (actions + 1).tolist()
            row = info["final_obs"][step % 7]
            kept.append((row, row.copy()))
    assert len(kept) == 20 and all(np.array_equal(row, copy) for row, copy in kept)
