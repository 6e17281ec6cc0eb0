"""REINFORCE against hand-computed numbers and against torch."""

import math

import numpy as np
import pytest

from nasgym.agents import get_agent
from nasgym.agents.reinforce import Adam, Baseline, sample
from nasgym.spaces import get_space
from nasgym.testing import synthetic_task


def test_the_baseline_takes_the_reward_in_before_it_is_used_and_is_corrected_for_its_start():
    baseline = Baseline(0.9)
    assert baseline.update(50.0) == pytest.approx(50.0)  # without correction: 5
    assert baseline.update(80.0) == pytest.approx((0.9 * 0.1 * 50 + 0.1 * 80) / (0.9 * 0.1 + 0.1))  # 65.789
    assert baseline.update(20.0) == pytest.approx((0.081 * 50 + 0.09 * 80 + 0.1 * 20) / 0.271)


def test_the_score_is_the_gradient_of_the_log_probability():
    space, rng = get_space("nb201"), np.random.default_rng(0)
    logits = rng.normal(size=(6, 5))
    genotype, score = sample(space, logits, rng)
    for step, chosen in enumerate(genotype[0].tolist()):
        p = [math.exp(x) for x in logits[step]]
        expected = [-x / sum(p) for x in p]
        expected[chosen] += 1.0
        assert score[step] == pytest.approx(expected)


def test_choices_are_drawn_with_their_probabilities():
    space, rng = get_space("nb201"), np.random.default_rng(0)
    logits = np.tile(np.log([0.1, 0.2, 0.3, 0.15, 0.25]), (6, 1))
    rows = np.concatenate([sample(space, logits, rng)[0] for _ in range(2_000)])
    found = np.bincount(rows.ravel(), minlength=5) / rows.size
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.15, 0.25], abs=0.02)


def test_what_the_mask_forbids_is_neither_drawn_nor_changed(tiny_space):
    rng = np.random.default_rng(0)
    logits = np.zeros((3, 4))
    logits[2] = [30.0, 30.0, 0.0, 0.0]  # the policy wants what the mask may forbid
    for _ in range(50):
        genotype, score = sample(tiny_space, logits, rng)
        assert tiny_space.is_valid(genotype).all()
        assert (score[0, 2:] == 0).all() and score[1, 3] == 0
        assert score[2, genotype[0, 0]] == 0
        assert score.sum(axis=1) == pytest.approx(np.zeros(3))


def test_adam_takes_the_published_steps():
    optimiser = Adam(0.1, (1,))
    assert optimiser.step(np.array([4.0])) == pytest.approx([0.1])  # the first step is the learning rate
    first, second = (0.9 * 0.4 + 0.1 * -2.0) / (1 - 0.81), (0.999 * 0.016 + 0.001 * 4.0) / (1 - 0.999**2)
    assert optimiser.step(np.array([-2.0])) == pytest.approx([0.1 * first / math.sqrt(second)])


def replay(rows, accuracies, logits, learning_rate, torch):
    """The published update with torch: return the logits after each evaluation."""
    policy = torch.nn.Parameter(torch.tensor(logits))
    optimiser = torch.optim.Adam([policy], lr=learning_rate)
    numerator = denominator = 0.0
    history = []
    for row, accuracy in zip(rows, accuracies, strict=True):
        reward = 100 * accuracy
        numerator, denominator = 0.9 * numerator + 0.1 * reward, 0.9 * denominator + 0.1
        log_probs = torch.distributions.Categorical(logits=policy).log_prob(torch.tensor(row.astype(np.int64)))
        loss = (-log_probs * (reward - numerator / denominator)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(policy.detach().numpy().copy())
    return history


@pytest.mark.parametrize("learning_rate", [0.01, 0.5])
def test_a_whole_search_equals_torch(monkeypatch, learning_rate):
    torch = pytest.importorskip("torch")
    seen = []
    from nasgym.agents import reinforce

    monkeypatch.setattr(reinforce, "sample", lambda s, logits, r: seen.append(logits.copy()) or sample(s, logits, r))
    task = synthetic_task(budget=600.0)
    get_agent("reinforce", learning_rate=learning_rate).search(task, 5)
    trail = task.trajectory.arrays()
    rows = task.space.from_index(trail.indices)
    assert len(rows) == 60 and abs(seen[0]).max() < 0.01
    expected = replay(rows, trail.accuracies, seen[0], learning_rate, torch)
    for ours, theirs in zip(seen[1:], expected, strict=False):
        assert ours == pytest.approx(theirs, abs=1e-9)
    assert abs(seen[-1] - seen[0]).max() > 5 * learning_rate  # something was learnt


def test_the_policy_finds_a_rewarded_choice():
    task = synthetic_task(accuracy=lambda g: 0.5 + 0.4 * (g[:, 0] == 3), budget=None, max_evaluations=600)
    get_agent("reinforce", learning_rate=0.05).search(task, 0)
    rewarded = task.trajectory.arrays().accuracies > 0.8
    assert rewarded[:50].mean() < 0.4 and rewarded[-100:].mean() > 0.9
