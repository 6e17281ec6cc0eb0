"""Statistics against hand-computed figures, brute force, scipy, and figures of rliable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from nasgym.errors import InvalidSetting
from nasgym.study.statistics import (
    bootstrap_interval,
    interquartile_mean,
    mean,
    mean_interval,
    mean_ranks,
    performance_profile,
    probability_of_improvement,
    std,
    t_quantile,
)

SCORES = arrays(np.float64, st.integers(1, 40), elements=st.floats(-100, 100, width=32))
NAN = float("nan")


def test_hand_computed() -> None:
    assert mean([1.0, 2.0, 6.0]) == 3.0
    assert std([1.0, 2.0, 6.0]) == pytest.approx(np.sqrt((4 + 1 + 9) / 3))  # over n, not n - 1
    assert interquartile_mean([0.0, 1.0, 2.0, 3.0, 100.0]) == 2.0  # one of five is cut at either end
    low, high = mean_interval([1.0, 2.0, 6.0])
    half = 4.302652729911275 * np.sqrt(7.0) / np.sqrt(3)  # the tabled t of two degrees of freedom
    assert (low, high) == pytest.approx((3 - half, 3 + half))


def test_unknown_scores_are_left_out() -> None:
    with_gap = [1.0, NAN, 2.0, 6.0]
    for function in (mean, std, interquartile_mean):
        assert function(with_gap) == function([1.0, 2.0, 6.0])
    assert mean_interval(with_gap) == pytest.approx(mean_interval([1.0, 2.0, 6.0]))


@pytest.mark.parametrize("function", [mean, std, interquartile_mean])
def test_nothing_known_is_nan(function: object) -> None:
    assert np.isnan(function([NAN, NAN])) and np.isnan(function(np.empty(0)))  # type: ignore[operator]


def test_one_run_has_no_interval() -> None:
    assert np.isnan(mean_interval([3.0])).all()


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 29, 30, 499])
@pytest.mark.parametrize("probability", [0.025, 0.5, 0.6, 0.9, 0.975, 0.9995])
def test_quantiles_of_student(probability: float, freedom: int) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), abs=1e-9, rel=1e-9)


@given(SCORES)
def test_agrees_with_scipy(scores: np.ndarray) -> None:
    assert mean(scores) == pytest.approx(scores.mean())
    assert std(scores) == pytest.approx(scores.std())
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores, 0.25))


def test_every_row_is_as_if_alone() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 4, 17))
    rows[0, 1, :5], rows[2, 3] = NAN, NAN
    interval = mean_interval(rows)
    for place in np.ndindex(3, 4):
        for function in (mean, std, interquartile_mean):
            np.testing.assert_allclose(function(rows)[place], function(rows[place]))
        np.testing.assert_allclose([bound[place] for bound in interval], mean_interval(rows[place]))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_holds_the_mean_as_often_as_it_says(confidence: float) -> None:
    runs = np.random.default_rng(1).normal(loc=2.0, size=(20_000, 6))
    low, high = mean_interval(runs, confidence)
    assert ((low <= 2) & (2 <= high)).mean() == pytest.approx(confidence, abs=0.01)


def test_the_bootstrap_interval_is_that_of_the_interquartile_mean() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(loc=5.0, size=(1, 400))
    low, high = bootstrap_interval(scores, np.random.default_rng(0))
    assert low < interquartile_mean(scores[0]) < high
    error = 1.19 / np.sqrt(400)  # the trimmed mean of a normal sample has 1.09 times the variance of the mean
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.2)
    again = bootstrap_interval(scores, np.random.default_rng(0))
    assert (low, high) == again


def test_the_bootstrap_draws_within_each_task() -> None:
    strata = np.array([[0.0] * 10, [10.0] * 10])  # tasks differ, runs do not: nothing varies
    assert bootstrap_interval(strata, np.random.default_rng(0)) == (5.0, 5.0)


def test_the_bootstrap_in_batches_is_the_bootstrap_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(3).normal(size=(2, 30))
    at_once = bootstrap_interval(scores, np.random.default_rng(0))
    monkeypatch.setattr("nasgym.study.statistics._BATCH", 60 * 7)
    assert bootstrap_interval(scores, np.random.default_rng(0)) == at_once


def test_profile_by_hand() -> None:
    profile = performance_profile([[1.0, 2.0, 3.0, 4.0], [3.0, 3.0, 3.0, 3.0]], [0.0, 2.0, 3.0, 9.0])
    assert profile.tolist() == [1.0, (0.5 + 1.0) / 2, (0.25 + 0.0) / 2, 0.0]


@given(arrays(np.float64, (2, 9), elements=st.integers(0, 5)), arrays(np.float64, (2, 4), elements=st.integers(0, 5)))
def test_probability_of_improvement_by_all_pairs(x: np.ndarray, y: np.ndarray) -> None:
    pairs = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
    assert probability_of_improvement(x, y) == pytest.approx(pairs.mean())
    assert probability_of_improvement(x, y) + probability_of_improvement(y, x) == pytest.approx(1)


def test_bad_settings_are_named() -> None:
    with pytest.raises(InvalidSetting, match=r"between 0 and 1; got 95"):
        mean_interval([1.0, 2.0], confidence=95)
    with pytest.raises(InvalidSetting, match="at least one task"):
        bootstrap_interval([1.0, NAN], np.random.default_rng(0))
    with pytest.raises(InvalidSetting, match="same tasks; got 1 and 2"):
        probability_of_improvement([[1.0]], [[1.0], [2.0]])
    with pytest.raises(InvalidSetting, match="freedom >= 1"):
        t_quantile(0.9, 0)


def test_agrees_with_rliable() -> None:
    """The figures of rliable 1.2.0 (``aggregate_iqm``, ``probability_of_improvement``) on the same numbers."""
    scores = np.random.default_rng(4).normal(size=(50, 3))  # rliable lays out runs x tasks
    other = np.random.default_rng(5).normal(size=(40, 3))
    assert interquartile_mean(scores.T.reshape(-1)) == pytest.approx(0.02831624434025496)
    assert probability_of_improvement(scores.T, other.T) == pytest.approx(0.5718333333333333)


def test_mean_ranks_by_hand() -> None:
    """Two runs of A against one of B and one of C, as all draws of one run each: (3, 2, 1), (1, 2, 1) and so on."""
    draws = [(3.0, 2.0, 1.0), (1.0, 2.0, 1.0)]
    expected = np.mean([stats.rankdata([-x for x in draw]) for draw in draws], axis=0)
    assert expected.tolist() == [1.75, 1.5, 2.75]
    assert mean_ranks([[3.0, 1.0], [2.0], [1.0, NAN]]) == pytest.approx(expected)
    assert np.isnan(mean_ranks([[1.0], [NAN]])).tolist() == [False, True]
    assert mean_ranks([[1.0], [NAN]])[0] == 1.0


@given(st.lists(SCORES, min_size=2, max_size=5))
def test_mean_ranks_add_up(scores: list[np.ndarray]) -> None:
    n = len(scores)
    assert mean_ranks(scores).sum() == pytest.approx(n * (n + 1) / 2)
