"""Agents with a predictor: it ranks, it chooses among mutants of the best, and nothing equal is evaluated twice."""

import numpy as np
import pytest

from nasgym.agents import bananas as bananas_module
from nasgym.agents import get_agent
from nasgym.agents._predictors import Predictor, unseen
from nasgym.errors import UnknownName
from nasgym.spaces import Macro, get_space
from nasgym.testing import made_up_accuracies, synthetic_task

SPACE = get_space("nb201")
NAMES = ("bananas", "predictor_evolution")


@pytest.mark.parametrize(("kind", "members"), [("forest", 30), ("network", 3)])
def test_a_predictor_ranks_what_it_has_not_seen_in_the_unit_of_accuracies(kind, members):
    rng = np.random.default_rng(0)
    train, test = SPACE.sample(rng, 150), SPACE.sample(rng, 400)
    predictor = Predictor(SPACE, kind, members)
    predictor.fit(rng, train, made_up_accuracies(SPACE, train))
    predicted, truth = predictor.predict(test), made_up_accuracies(SPACE, test)
    assert predicted.shape == (members, 400)
    assert np.corrcoef(predicted.mean(axis=0), truth)[0, 1] > 0.7
    assert abs(predicted.mean() - truth.mean()) < 0.05
    assert len({tuple(row) for row in predicted.round(9)}) == members, "members differ"


def test_operations_that_lead_nowhere_do_not_count():
    """Edge 1 enters node 2, whose only way out is edge 5: with none there, what edge 1 holds makes no difference."""
    rng = np.random.default_rng(0)
    rows = SPACE.from_index(rng.permutation(SPACE.size)[:200])
    predictor = Predictor(SPACE, "forest", 20)
    counts = SPACE.computed_operations(rows)[:, 0] / 10
    predictor.fit(rng, rows, counts)
    predicted = predictor.predict(SPACE.from_index(np.arange(SPACE.size))).mean(axis=0)
    truth = SPACE.computed_operations(SPACE.from_index(np.arange(SPACE.size)))[:, 0] / 10
    assert np.corrcoef(predicted, truth)[0, 1] > 0.95


def test_equal_accuracies_are_no_error():
    predictor = Predictor(SPACE, "forest", 2)
    rows = SPACE.from_index([1, 2, 3])
    predictor.fit(np.random.default_rng(0), rows, np.full(3, 0.5))
    assert predictor.predict(rows) == pytest.approx(np.full((2, 3), 0.5))


def test_unseen_leaves_out_what_equals_the_seen_and_each_other():
    batch = SPACE.from_index([0, 1, 2, 3, 4, 0, 1])
    classes = SPACE.canonical(batch)
    rows = unseen(SPACE, {int(classes[1])}, lambda: batch, 100)
    assert len(rows) == len(set(classes.tolist()) - {int(classes[1])})
    assert len(set(SPACE.canonical(rows).tolist())) == len(rows)
    assert len(unseen(SPACE, set(classes.tolist()), lambda: batch, 100)) == 1  # rather than none


@pytest.mark.parametrize("name", NAMES)
def test_no_equal_network_is_evaluated_twice_and_batches_are_of_the_stated_size(name, asked):
    batches, task = asked(get_agent(name, initial=12, batch=7), budget=600.0)
    assert [len(b) for b in batches] == [12, *[7] * 7]
    rows = np.concatenate(batches)[12:60]
    assert len(set(SPACE.canonical(rows).tolist())) == len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_evaluated_are_mutants_of_the_best(name, asked):
    batches, task = asked(get_agent(name, parents=2), budget=400.0)
    known, accuracies = batches[0], made_up_accuracies(SPACE, batches[0])
    for batch in batches[1:]:
        best = known[np.argsort(-accuracies, kind="stable")[:2]]
        assert all((((best != row).sum(axis=1)) == 1).any() for row in batch)
        known = np.concatenate([known, batch])
        accuracies = made_up_accuracies(SPACE, known)


def test_a_perfect_predictor_gets_the_best_mutants_evaluated(asked, monkeypatch):
    monkeypatch.setattr(Predictor, "predict", lambda self, rows: np.tile(made_up_accuracies(SPACE, rows), (2, 1)))
    offered = []
    for module in (bananas_module, __import__("nasgym.agents.predictor_evolution", fromlist=["unseen"])):
        monkeypatch.setattr(module, "unseen", lambda *args: offered.append(unseen(*args)) or offered[-1])
    for name in NAMES:
        offered.clear()
        batches, _ = asked(get_agent(name), budget=300.0)
        for candidates, batch in zip(offered, batches[1:], strict=True):
            best = np.sort(made_up_accuracies(SPACE, candidates[:100]))[::-1][: len(batch)]
            assert made_up_accuracies(SPACE, batch) == pytest.approx(best)


def test_thompson_sampling_tries_what_members_disagree_about(asked, monkeypatch):
    """All means are equal and only cells with edge 0 at option 4 are in doubt: those have the extreme samples."""

    def predict(self, rows):
        doubt = 0.2 * (rows[:, 0] == 4)
        return np.stack([0.5 - doubt, 0.5 + doubt])

    monkeypatch.setattr(Predictor, "predict", predict)
    batches, _ = asked(get_agent("bananas", batch=2), budget=500.0)
    chosen = np.concatenate(batches[1:])
    assert (chosen[:, 0] == 4).mean() > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_they_beat_regularized_evolution_on_the_made_up_table(name):
    def best(agent):
        found = []
        for seed in range(5):
            task = synthetic_task(budget=800.0)
            get_agent(agent).search(task, seed)
            found.append(task.incumbent.accuracy)
        return np.mean(found)

    assert best(name) > best("regularized_evolution")


@pytest.mark.parametrize("kind", ["forest", "network"])
@pytest.mark.parametrize(
    ("features", "counts"), [("flops", [SPACE.flops]), ("parameters+flops", [SPACE.parameters, SPACE.flops])]
)
def test_free_features_are_seen_beside_choices_and_operations(kind, features, counts):
    rng = np.random.default_rng(0)
    rows, others = SPACE.sample(rng, 60), SPACE.sample(rng, 5)
    without, seen = (Predictor(SPACE, kind, 2, spec) for spec in ("", features))
    for predictor in (without, seen):
        predictor.fit(np.random.default_rng(1), rows, made_up_accuracies(SPACE, rows))
    shown = seen._rows(others)
    assert shown[:, : -len(counts)] == pytest.approx(without._rows(others))
    for column, count in zip(shown.T[-len(counts) :], counts, strict=True):
        known = count(rows, Macro()).astype(float)
        assert column == pytest.approx(np.clip((count(others, Macro()) - known.mean()) / known.std(), -5, 5))
    assert not np.array_equal(seen.predict(others), without.predict(others))


@pytest.mark.parametrize("name", NAMES)
def test_features_are_counted_and_others_are_refused(name, monkeypatch):
    seen = []
    fit = Predictor.fit
    monkeypatch.setattr(Predictor, "fit", lambda self, *known: seen.append(self._features) or fit(self, *known))
    for features in ("", "parameters+flops"):
        get_agent(name, members=2, features=features).search(synthetic_task(budget=150.0), 0)
    assert seen == [(), ("parameters", "flops")]
    with pytest.raises(UnknownName, match="feature 'synflow'.*flops, parameters"):
        get_agent(name, features="flops+synflow")
