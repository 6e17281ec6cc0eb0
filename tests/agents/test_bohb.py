"""BOHB: its kernels by hand, when the model is used, which results it is fitted to, and what it finds."""

import numpy as np
import pytest

from nasgym.agents import bohb as module
from nasgym.agents import get_agent
from nasgym.agents._fidelity import Bracket
from nasgym.agents._parzen import Density, ParzenPair
from nasgym.agents.bohb import bracket_sizes
from nasgym.task import Result
from nasgym.testing import synthetic_task

OPTIONS = np.array([5, 2])


def test_a_kernel_gives_its_bandwidth_to_the_other_options_together():
    density = Density(np.array([[1, 0], [3, 1]]), OPTIONS, np.array([0.4, 0.3]))
    found = density.at(np.array([[1, 0], [3, 0], [0, 0]]))
    by_hand = [
        (0.6 * 0.7 + 0.1 * 0.3) / 2,
        (0.1 * 0.7 + 0.6 * 0.3) / 2,
        (0.1 * 0.7 + 0.1 * 0.3) / 2,
    ]
    assert found == pytest.approx(by_hand)
    every = np.array([[a, b] for a in range(5) for b in range(2)])
    assert density.at(every).sum() == pytest.approx(1.0)


def test_bandwidths_follow_the_normal_reference_rule_within_their_bounds():
    points = np.array([[0, 0], [1, 0], [1, 0], [2, 0]] * 16)
    rule = 1.06 * np.sqrt(0.5) * 64 ** (-1 / 6)  # 0.375, of the first decision
    assert Density.fit(points, OPTIONS, 0.3).bandwidths == pytest.approx([rule, 0.3])
    spread = np.array([[0, 0], [4, 1]] * 4)
    assert Density.fit(spread, OPTIONS, 0.1).bandwidths == pytest.approx([0.8, 0.5 * 1.06 * 8 ** (-1 / 6)])
    assert Density.fit(spread, OPTIONS, 0.1, bounded=False).bandwidths[0] == pytest.approx(2 * 1.06 * 8 ** (-1 / 6))


def test_draws_keep_a_choice_or_take_any():
    density = Density(np.array([[2, 1]]), OPTIONS, np.array([0.4, 0.3]))
    drawn = density.draw(np.random.default_rng(0), 20_000)
    first, second = (np.bincount(column, minlength=k) / 20_000 for column, k in zip(drawn.T, OPTIONS, strict=True))
    assert first == pytest.approx([0.08, 0.08, 0.68, 0.08, 0.08], abs=0.01)
    assert second == pytest.approx([0.15, 0.85], abs=0.01)


def test_the_best_are_good_and_the_others_bad():
    rng = np.random.default_rng(0)
    points, accuracies = rng.integers(0, OPTIONS, (60, 2)).astype(np.int8), rng.random(60)
    pair = ParzenPair.fit(list(points), accuracies.tolist(), OPTIONS, percent=15, least=0.3)
    order = np.argsort(-accuracies)
    assert pair.good.points.tolist() == points[order[:9]].tolist()  # 15% of 60
    assert pair.bad.points.tolist() == points[order[9:]].tolist()
    few = ParzenPair.fit(list(points[:6]), accuracies[:6].tolist(), OPTIONS, percent=15, least=0.3)
    assert len(few.good.points) == len(few.bad.points) == 3
    assert ParzenPair.fit(list(points[:5]), accuracies[:5].tolist(), OPTIONS, percent=15, least=0.3) is None


def test_the_proposal_has_the_best_ratio_among_the_draws():
    good = Density(np.array([[0, 0], [1, 0]]), OPTIONS, np.array([0.3, 0.3]))
    bad = Density(np.array([[1, 0], [2, 1]]), OPTIONS, np.array([0.3, 0.3]))
    rows = [ParzenPair(good, bad).propose(np.random.default_rng(seed), 200).tolist() for seed in range(10)]
    assert rows == [[0, 0]] * 10


def test_bracket_sizes_are_those_of_the_published_code():
    """Three rungs: the 9-3-1, 3-1 and 3 that 12 to 200 epochs with eta 3 give; five rungs as of 81 with eta 3."""
    assert [bracket_sizes(2, s, 3) for s in (2, 1, 0)] == [[9, 3, 1], [3, 1], [3]]
    assert [bracket_sizes(4, s, 3)[0] for s in (4, 3, 2, 1, 0)] == [81, 27, 9, 6, 5]


def models_used(monkeypatch, n, **settings):
    """Return for each new architecture how many results each rung had, and which rung's model drew it (-1: none)."""
    seen = []
    draw = module._Run._draw
    monkeypatch.setattr(
        module._Run, "_draw", lambda run: seen.append(([len(p) for p in run._points], run._modelled)) or draw(run)
    )
    get_agent("bohb", **settings).search(synthetic_task(budget=None, max_evaluations=n), 0)
    return seen


def test_the_model_is_used_after_the_stated_number_of_results_and_of_the_highest_rung_that_has_them(monkeypatch):
    seen = models_used(monkeypatch, 150)
    assert seen[0] == ([0, 0, 0], -1)
    for results, rung in seen:
        enough = [k for k, n in enumerate(results) if n >= 14]  # 2 (6 decisions + 1)
        assert rung == (max(enough) if enough else -1)
    assert {rung for _, rung in seen} == {-1, 0, 1, 2}


def test_a_result_of_a_lower_rung_does_not_replace_the_model():
    task = synthetic_task()
    run = module._Run(get_agent("bohb"), task, np.random.default_rng(0))
    model = run._model = ParzenPair(*(Density(np.zeros((1, 6), int), task.space.choices, np.ones(6)) for _ in range(2)))
    run._modelled = 2
    bracket = Bracket([20, 3, 1], [1, 3, 10], lambda: task.space.from_index([7])[0])
    for _ in range(20):
        run.learn(bracket.job(), Result(7, 0.5, 1.0, 0, 1, 1.0, True))
    assert run._model is model and len(run._points[0]) == 20


def test_a_result_of_the_modelled_rung_is_in_the_next_model():
    task = synthetic_task()
    run = module._Run(get_agent("bohb"), task, np.random.default_rng(0))
    bracket = Bracket([40, 3, 1], [1, 3, 10], lambda: task.space.from_index([7])[0])
    for number in range(1, 21):
        run.learn(bracket.job(), Result(7, 0.5, 1.0, 0, 1, 1.0, True))
        if number < 14:
            assert run._model is None
        else:
            assert len(run._model.good.points) + len(run._model.bad.points) == number


def test_as_soon_as_there_is_a_model_every_new_architecture_is_its_own(monkeypatch):
    asked, drawn = [], []
    propose, draw = ParzenPair.propose, module._Run._draw
    monkeypatch.setattr(ParzenPair, "propose", lambda pair, rng, n: asked.append(n) or propose(pair, rng, n))

    def kept(run):
        before = len(asked)
        found = draw(run)
        drawn.append((run._modelled >= 0, len(asked) > before))
        return found

    monkeypatch.setattr(module._Run, "_draw", kept)
    get_agent("bohb", samples=6).search(synthetic_task(budget=None, max_evaluations=150), 0)
    assert set(drawn) == {(False, False), (True, True)} and set(asked) == {6}


def test_a_random_fraction_of_one_never_asks_the_model(monkeypatch):
    monkeypatch.setattr(ParzenPair, "propose", lambda *_: pytest.fail("asked"))
    get_agent("bohb", random_fraction=1.0).search(synthetic_task(budget=500.0), 0)


def test_later_architectures_are_better_than_earlier_ones():
    task = synthetic_task(budget=None, max_evaluations=600)
    get_agent("bohb").search(task, 1)
    trail = task.trajectory.arrays()
    new = trail.accuracies[trail.epochs == 1]
    assert np.mean(new[-60:]) > np.mean(new[:14]) + 0.03


def test_whole_trains_to_the_end_at_every_rung():
    task = synthetic_task(budget=300.0)
    get_agent("bohb:nb201-2020").search(task, 0)
    trail = task.trajectory.arrays()
    assert not trail.epochs.any() and trail.seconds.tolist() == [10.0] * 30
    assert set(trail.indices[9:12].tolist()) <= set(trail.indices[:9].tolist())  # promoted, and paid again
