"""Draws of stored seeds, trajectories and protocols."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.errors import InvalidSetting, UnknownName
from nasgym.task import PROTOCOLS, Trajectory, get_protocol, make_task
from nasgym.task.draws import draw, draws
from nasgym.task.trajectory import TrajectoryArrays


@given(st.integers(-(2**63), 2**64), st.integers(0, 10**9), st.integers(0, 20))
def test_batched_draws_equal_single_ones(seed, first, n):
    assert draws(seed, first, n).tolist() == [draw(seed, first + k) for k in range(n)]


def test_draws_are_those_of_splitmix64():
    """The first outputs of the published generator started at state 0, whose mixed seed is 0 as well."""
    assert [hex(draw(0, k)) for k in range(3)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4", "0x6c45d188009454f"]


def test_draws_are_uniform_over_three_seeds():
    counts = np.bincount((draws(7, 0, 30_000) % np.uint64(3)).astype(int), minlength=3)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 13.8  # chi-square, 2 degrees of freedom, p = 0.001


def test_other_seeds_give_other_draws():
    assert not set(draws(0, 0, 100).tolist()) & set(draws(1, 0, 100).tolist())


def test_a_trajectory_keeps_rows_and_batches_in_order():
    trajectory = Trajectory()
    trajectory.append(5, 0, 0, 0.5, 1.0, 1.0)
    trajectory.extend(
        TrajectoryArrays(
            np.array([6, 7]), np.array([1, 2]), np.zeros(2, int), np.array([0.6, 0.7]), np.ones(2), np.array([2.0, 3.0])
        )
    )
    trajectory.append(8, -1, 3, 0.8, 1.0, 4.0)
    arrays = trajectory.arrays()
    assert len(trajectory) == 4
    assert arrays.indices.tolist() == [5, 6, 7, 8]
    assert arrays.seeds.tolist() == [0, 1, 2, -1]
    assert arrays.epochs.tolist() == [0, 0, 0, 3]
    assert arrays.finished.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_an_empty_trajectory_has_typed_arrays():
    arrays = Trajectory().arrays()
    assert [a.dtype.kind for a in arrays] == ["i", "i", "i", "f", "f", "f"]
    assert len(arrays.indices) == 0


def test_published_budgets():
    assert get_protocol("nasbench201-2020").budget("cifar10") == 12_000
    assert get_protocol("nats-tss").budget("imagenet16-120") == 120_000
    assert get_protocol("nats-tss").budget("cluttered-digits") is None
    assert get_protocol("nats-sss").budget("cifar100") == 40_000
    assert get_protocol("nats-sss").budget("imagenet16-120") == 60_000
    assert get_protocol("plain").budget("cifar10") is None
    assert get_protocol(PROTOCOLS["plain"]) is PROTOCOLS["plain"]


def test_an_unknown_protocol_names_near_ones():
    with pytest.raises(UnknownName, match="Did you mean 'nats-tss'"):
        get_protocol("nats-ts")


def test_the_joined_lengths_are_whole_trainings_under_the_rules_of_2020():
    rules, paper = get_protocol("nasbench201-2020-lengths"), get_protocol("nasbench201-2020")
    assert (rules.recipe, dict(rules.fidelities), rules.resumes) == ("nb201-200", {12: "nb201-12"}, False)
    assert (rules.scores, rules.budget("cifar10"), rules.published) == (paper.scores, 12_000, ())
    assert (rules.overshoot, rules.seeds, rules.metric) == (paper.overshoot, paper.seeds, paper.metric)


def test_the_size_protocol_searches_12_epochs_and_scores_90_on_the_same_data():
    rules = get_protocol("nats-sss")
    assert (rules.recipe, rules.overshoot, rules.published) == ("nats-sss-12", True, ())
    assert {(score.dataset, score.recipe) for score in rules.scores} == {(None, "nats-sss-90")}
    assert [score.metric for score in rules.scores] == ["valid_accuracy", "test_accuracy"]


def test_a_protocol_of_another_space_is_refused(tmp_path):
    with pytest.raises(
        InvalidSetting, match="'nats-tss' is one of the search space 'nb201'.*which has plain, nats-sss"
    ):
        make_task("nats-sss/cifar10", protocol="nats-tss", store=tmp_path / "store")
    with pytest.raises(InvalidSetting, match="which has plain, nasbench201-2020, nats-tss"):
        make_task("nb201/cifar10", protocol="nats-sss", store=tmp_path / "store")
    task = make_task("nats-sss/cifar10", protocol="nats-sss", store=tmp_path / "store")
    assert str(task.benchmark.key) == "nats-sss/cifar10/nats-sss-12" and task.budget == 20_000
