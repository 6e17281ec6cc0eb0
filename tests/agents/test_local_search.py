"""Local search: which neighbours it evaluates, where it moves, and that it starts again at a local optimum."""

import numpy as np
import pytest

from nasgym.agents import get_agent
from nasgym.testing import synthetic_task

PEAK = np.array([3, 1, 4, 1, 0, 2])


def to_the_peak(genotypes):
    """One basin: every right choice is worth 0.1."""
    return 0.2 + 0.1 * (genotypes == PEAK).sum(axis=1)


def away(a, b):
    return int((a != b).sum())


def test_best_evaluates_all_neighbours_at_once_then_moves_to_the_best(asked):
    batches, task = asked(get_agent("local_search", move="best"), accuracy=to_the_peak, budget=3_000.0)
    start, first = batches[0], batches[1]
    assert start.shape == (1, 6) and len({tuple(g) for g in first}) == 24
    assert all(away(g, start[0]) == 1 for g in first)
    best = first[int(np.argmax(to_the_peak(first)))]
    assert all(away(g, best) == 1 for g in batches[2])
    once = {tuple(start[0])} | {tuple(g) for g in first}
    assert not once & {tuple(g) for g in batches[2]}  # what is known is not paid for again
    assert task.incumbent.accuracy == pytest.approx(0.8)


def test_first_moves_at_once_to_what_is_better(asked):
    batches, task = asked(get_agent("local_search", move="first"), accuracy=to_the_peak, budget=3_000.0)
    assert {len(b) for b in batches} == {1}
    rows = np.concatenate(batches)
    here, looked = rows[0], set()
    for row in rows[1:]:
        if to_the_peak(here[None])[0] == pytest.approx(0.8):
            break
        assert away(row, here) == 1 and tuple(row) not in looked
        looked.add(tuple(row))
        if to_the_peak(row[None]) > to_the_peak(here[None]):
            here = row
    assert tuple(here) == tuple(PEAK)


@pytest.mark.parametrize("move", ["best", "first"])
def test_it_starts_again_at_a_local_optimum_and_pays_for_the_start(asked, move):
    batches, task = asked(get_agent("local_search", move=move), accuracy=to_the_peak, budget=20_000.0)
    rows = np.concatenate(batches)
    at_peak = int(np.flatnonzero((rows == PEAK).all(axis=1))[0])
    distances = np.array([away(row, PEAK) for row in rows])
    restart = at_peak + int(np.flatnonzero(distances[at_peak:] > 2)[0])  # before it: neighbours of the last two places
    around = {tuple(g) for g in task.space.neighbours(PEAK[None])[0].tolist()}
    assert {tuple(g) for g in rows[:restart].tolist()} >= around
    assert restart - at_peak <= 48
    starts = [i for i, (before, d) in enumerate(zip(distances, distances[1:], strict=False)) if d - before > 2]
    assert len(starts) > 5


def test_neighbours_are_visited_in_random_order(asked):
    flat = {"accuracy": lambda g: np.full(len(g), 0.5), "budget": 250.0}  # every start is a local optimum
    orders = []
    for seed in range(200):
        batches, _ = asked(get_agent("local_search", move="first"), seed=seed, **flat)
        rows = np.concatenate(batches)
        assert len(rows) == 25 and {away(g, rows[0]) for g in rows[1:]} == {1}
        orders.append(int(np.flatnonzero(rows[1] != rows[0])[0]))
    assert np.bincount(orders, minlength=6).min() > 15  # 33 expected of each edge


def test_equal_neighbours_are_no_reason_to_move(asked):
    batches, _ = asked(get_agent("local_search"), accuracy=lambda g: np.full(len(g), 0.5), budget=510.0)
    rows = np.concatenate(batches)
    assert all(away(g, rows[0]) == 1 for g in rows[1:25])
    assert away(rows[25], rows[0]) > 1  # a fresh start


def test_a_space_that_is_all_known_still_ends(tiny_space):
    task = synthetic_task(tiny_space, budget=None, max_evaluations=500)
    get_agent("local_search").search(task, 0)
    assert task.evaluations == 500
    assert len(set(task.trajectory.arrays().indices.tolist())) == tiny_space.size
