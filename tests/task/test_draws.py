"""Draws by the block are the draws one by one, wherever blocks begin and end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nasgym.task.draws import Draws, draw

asked = st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 40), st.integers(1, 5)), min_size=1, max_size=8)


@given(st.integers(0, 2**64 - 1), asked)
def test_draws_by_the_block_equal_single_ones(seed: int, questions: list[tuple[int, int, int]]) -> None:
    draws = Draws(seed)
    for first, n, modulus in questions:
        expected = [draw(seed, first + k) for k in range(n)]
        assert draws.remainders(first, n, modulus).tolist() == [number % modulus for number in expected]
        assert draws.batch(first, n).tolist() == expected
        assert draws.one(first) == expected[0]


def test_a_run_crosses_blocks() -> None:
    draws = Draws(3)
    numbers = [draws.one(k) for k in range(40_000)]
    assert numbers[16_380:16_390] == [draw(3, k) for k in range(16_380, 16_390)]
    assert draws.batch(16_000, 20_000).tolist() == numbers[16_000:36_000]
