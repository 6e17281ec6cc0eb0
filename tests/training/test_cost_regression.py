import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.errors import InvalidSetting
from nasgym.training.cost_regression import fit, held_out_error
from tests.costs.samples import SPACE, TRUTH, truth

COUNTS = SPACE.computed_operations(SPACE.sample(np.random.default_rng(1), 320))


@pytest.mark.parametrize("part", TRUTH)
def test_a_machine_without_noise_is_recovered(part: str) -> None:
    assert fit(COUNTS, truth(COUNTS, part)) == pytest.approx(TRUTH[part], abs=1e-6)
    error = held_out_error(COUNTS, truth(COUNTS, part), np.random.default_rng(0))
    assert error.r2 == pytest.approx(1)
    assert error.p95 < 1e-4


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_noisy_machine_is_recovered(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seconds = truth(COUNTS, "train") * rng.normal(1, 0.02, len(COUNTS)).clip(0.9, 1.1)
    found = fit(COUNTS, seconds)
    others = SPACE.computed_operations(SPACE.sample(rng, 500))
    predicted = found[0] + others @ np.array(found[1:])
    assert np.abs(predicted / truth(others, "train") - 1).max() < 0.05
    assert found[1] == pytest.approx(TRUTH["train"][1], rel=0.1)
    error = held_out_error(COUNTS, seconds, rng)
    assert error.r2 > 0.98
    assert 0.005 < error.median < 0.03
    assert error.median < error.p95 < 0.08


def test_the_error_is_that_of_cells_not_seen() -> None:
    rng = np.random.default_rng(3)
    counts = np.eye(12, dtype=np.int64)  # each cell alone has its operation: nothing can be learnt of it
    seconds = rng.uniform(1, 10, 12)
    fixed, *each = fit(counts, seconds)
    assert np.allclose(fixed + np.array(each), seconds), "on what it has seen it is perfect"
    assert held_out_error(counts, seconds, rng).median > 0.1


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_no_coefficient_is_below_zero(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    found = fit(rng.integers(0, 6, (n, 8)), rng.lognormal(-3, 2, n))
    assert len(found) == 9
    assert min(found) >= 0
    assert np.isfinite(found).all()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_operations_may_be_counted_in_any_unit(scale: float) -> None:
    counts = np.column_stack([COUNTS[:, 0], COUNTS[:, 1] * 10**9])
    found = fit(counts, scale * (1 + 2 * COUNTS[:, 0] + 3 * COUNTS[:, 1]))
    assert found == pytest.approx((scale, 2 * scale, 3e-9 * scale), rel=1e-6)


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(InvalidSetting, match="above 0; got 0"):
        fit(COUNTS[:2], np.array([1.0, 0.0]))
    with pytest.raises(InvalidSetting, match="above 0; got nan"):
        fit(COUNTS[:2], np.array([1.0, np.nan]))
    with pytest.raises(InvalidSetting, match=r"got \(2, 8\) and \(3,\)"):
        fit(COUNTS[:2], np.ones(3))
    with pytest.raises(InvalidSetting, match="2 cells or more; got 1"):
        held_out_error(COUNTS[:1], np.ones(1), np.random.default_rng(0))
