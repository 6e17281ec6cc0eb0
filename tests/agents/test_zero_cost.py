"""Zero-cost ranking: the order of evaluations is that of the proxy, and equal networks come once per drawing."""

import numpy as np
import pytest

from nasgym.agents import get_agent
from nasgym.spaces import Macro, get_space

SPACE = get_space("nb201")


@pytest.mark.parametrize(("preset", "count"), [("parameters", SPACE.parameters), ("flops", SPACE.flops)])
def test_what_has_most_is_evaluated_first_and_equal_networks_once(preset, count, asked):
    batches, _ = asked(get_agent(f"zero_cost:{preset}", candidates=150), budget=1_000.0)
    rows = np.concatenate(batches)[:100]
    counts = count(rows, Macro())
    assert (np.diff(counts) <= 0).all() and counts[0] > counts[-1]
    assert len(set(SPACE.canonical(rows).tolist())) == 100


def test_the_best_of_what_was_drawn_comes_first_and_then_it_draws_again(asked):
    batches, task = asked(get_agent("zero_cost", candidates=40), budget=1_000.0, seed=2)
    drawn = SPACE.sample(np.random.default_rng(2), 40)
    rows = np.concatenate(batches)
    different = len(set(SPACE.canonical(drawn).tolist()))
    assert set(SPACE.canonical(rows[:different]).tolist()) == set(SPACE.canonical(drawn).tolist())
    flops = SPACE.flops(rows, Macro())
    assert flops[0] == SPACE.flops(drawn, Macro()).max() and flops[different] > flops[different - 1]
    assert task.evaluations == 100
