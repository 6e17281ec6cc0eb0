"""The rules of the games, against the space itself."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.envs.moves import Moves, legal_actions
from nasgym.errors import InvalidAction
from nasgym.spaces import get_space, space_names
from nasgym.task import Task

SPACES = pytest.mark.parametrize("name", space_names())


@SPACES
def test_indices_are_those_of_the_space(name: str) -> None:
    space = get_space(name)
    moves = pickle.loads(pickle.dumps(Moves(space)))
    cells = space.sample(np.random.default_rng(0), 500)
    assert np.array_equal(moves.indices(np.ascontiguousarray(cells.T)), space.index(cells))
    assert [moves.index(cell) for cell in cells[:50].tolist()] == space.index(cells[:50]).tolist()


@SPACES
def test_masks_are_those_of_the_space(name: str) -> None:
    space = get_space(name)
    moves = Moves(space)
    cells = space.sample(np.random.default_rng(0), 50)
    for step in range(space.num_decisions):
        assert np.array_equal(moves.masks(cells.T, step), space.action_mask(cells, step))


@SPACES
def test_edits_that_are_allowed_are_those_that_stay_in_the_space(name: str) -> None:
    space = get_space(name)
    moves = Moves(space)
    cells = space.sample(np.random.default_rng(0), 8)
    allowed = moves.edit_masks(cells.T)
    for cell, row in zip(cells, allowed, strict=True):
        for edit in range(moves.edits):
            edited = cell.copy()
            edited[moves.decision_of_edit[edit]] = moves.choice_of_edit[edit]
            assert row[edit] == space.is_valid(edited[None])[0]


def test_a_space_whose_choices_forbid_each_other_is_not_free(toy: Task) -> None:
    moves = Moves(toy.space)
    assert not moves.free and Moves(get_space("nb201")).free
    cells = toy.space.from_index(np.arange(10))
    assert moves.indices(cells.T).tolist() == list(range(10))


@given(st.lists(st.booleans(), min_size=4, max_size=4).filter(any), st.integers(0, 3))
def test_repair_is_the_nearest_legal_action(mask: list[bool], action: int) -> None:
    masks = np.array([mask])
    (repaired,) = legal_actions(np.array([action]), masks, "repair").tolist()
    allowed = np.flatnonzero(mask).tolist()
    assert repaired in allowed
    assert abs(repaired - action) == min(abs(a - action) for a in allowed)
    if not mask[action]:
        with pytest.raises(InvalidAction, match=str(action)):
            legal_actions(np.array([action]), masks, "error")
