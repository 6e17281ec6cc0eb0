"""Zero-cost ranking: the order of evaluations is that of the proxy, equal networks come once, scores are charged."""

import numpy as np
import pytest
from scipy.stats import rankdata

from nasgym.agents import _proxies, get_agent
from nasgym.agents import regularized_evolution as evolution_module
from nasgym.agents._proxies import OPERATIONS_PER_SECOND, RUN, Ranker, different
from nasgym.errors import InvalidSetting, UnknownName
from nasgym.recipes import get_recipe
from nasgym.spaces import Macro, get_space
from nasgym.testing import synthetic_task
from nasgym.training.proxies import ProxyScorer

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


def scores(proxy, rows, seed=0, images=16):
    made = ProxyScorer(SPACE, "cluttered-digits", get_recipe("cluttered-digits-10"), seed=seed, images=images)
    return np.array([made(proxy, row) for row in rows]), made


@pytest.mark.parametrize("proxy", RUN)
def test_networks_are_ranked_by_the_scores_of_their_seed_and_what_they_cost_is_charged(proxy, asked):
    agent = get_agent(f"zero_cost:{proxy}", candidates=12, images=16, clock="operations")
    batches, task = asked(agent, seed=5, budget=None, max_evaluations=12)
    rows = different(SPACE, SPACE.sample(np.random.default_rng(5), 12))
    expected, made = scores(proxy, rows, seed=5)
    first = np.concatenate(batches)[: len(rows)]
    assert first.tolist() == rows[np.argsort(-expected, kind="stable")].tolist()
    charged = made.operations(proxy, rows).sum() / OPERATIONS_PER_SECOND
    assert task.trajectory.arrays().finished[0] == pytest.approx(10.0 + charged)


def test_equal_seeds_give_equal_searches_on_the_clock_that_counts():
    runs = []
    for _ in range(2):
        task = synthetic_task(budget=300.0)
        get_agent("zero_cost:vote", candidates=20, images=8, clock="operations").search(task, 3)
        arrays = task.trajectory.arrays()
        runs.append((arrays.indices.tolist(), arrays.finished.tolist()))
    assert runs[0] == runs[1] and len(runs[0][0]) >= 29


def test_counting_is_free_and_measured_seconds_are_not(monkeypatch):
    def finished(agent):
        task = synthetic_task(budget=400.0)
        agent.search(task, 0)
        return task.trajectory.arrays().finished[0]

    assert finished(get_agent("zero_cost", candidates=20)) == 10.0
    ticks = iter(range(1000))
    monkeypatch.setattr(_proxies.time, "perf_counter", lambda: float(next(ticks)))  # each score takes a second
    rows = different(SPACE, SPACE.sample(np.random.default_rng(0), 20))
    assert finished(get_agent("zero_cost:synflow", candidates=20)) == 10.0 + len(rows)


def test_a_ranking_takes_its_share_of_the_budget_and_leaves_out_the_rest(monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr(_proxies.time, "perf_counter", lambda: 7.0 * next(ticks))
    task = synthetic_task(budget=100.0)
    ranker = Ranker(task, "synflow", 0, clock="measured", images=8, device="cpu", share=0.2)
    rows = SPACE.sample(np.random.default_rng(0), 30)
    assert len(ranker.ranked(rows)) == 3 and task.seconds == 21.0  # the third begins at 14 of 20 seconds
    task.spend(79.0)
    assert len(ranker.ranked(rows)) == 1, "at least one is scored, so that something is ranked"


def test_several_proxies_vote_by_the_mean_of_their_ranks():
    task = synthetic_task(budget=None, max_evaluations=1)
    rows = different(SPACE, SPACE.sample(np.random.default_rng(1), 15))
    ranker = Ranker(task, "flops+synflow+naswot", 0, clock="operations", images=16, device="cpu", share=1.0)
    columns = [SPACE.flops(rows, Macro()), scores("synflow", rows)[0], scores("naswot", rows)[0]]
    votes = np.mean([rankdata(column) for column in columns], axis=0)
    assert ranker.ranked(rows).tolist() == rows[np.argsort(-votes, kind="stable")].tolist()


def test_ranks_of_equal_values_are_shared():
    values = np.array([3.0, 1.0, 3.0, -np.inf, 2.0, 3.0])
    assert _proxies._ranks(values).tolist() == (rankdata(values) - 1).tolist() == [4, 1, 4, 0, 2, 4]


@pytest.mark.parametrize("setting", [("zero_cost", "proxy"), ("regularized_evolution", "warm_start")])
def test_an_unknown_proxy_is_refused_when_the_agent_is_made(setting):
    name, key = setting
    with pytest.raises(UnknownName, match=r"unknown proxy 'synfow'.*'synflow'.*joined by \+"):
        get_agent(name, **{key: "flops+synfow"})
    with pytest.raises(InvalidSetting, match="clock"):
        get_agent(name, clock="free")


def test_a_space_without_networks_is_refused_by_proxies_that_run_them(tiny_space):
    with pytest.raises(UnknownName, match="network of the search space 'tiny'"):
        get_agent("zero_cost:synflow").search(synthetic_task(tiny_space), 0)


@pytest.mark.parametrize("proxies", ["flops", "flops+synflow"])
def test_a_warm_start_takes_the_best_of_a_pool_as_the_first_members(proxies, asked):
    agent = get_agent("regularized_evolution", warm_start=proxies, pool=40, population=8, clock="operations")
    batches, task = asked(agent, seed=2, budget=200.0)
    pool = different(SPACE, SPACE.sample(np.random.default_rng(2), 40))
    columns = [SPACE.flops(pool, Macro())]
    if "synflow" in proxies:
        columns.append(scores("synflow", pool, seed=2)[0])
    votes = np.mean([rankdata(column) for column in columns], axis=0)
    assert np.concatenate(batches)[:8].tolist() == pool[np.argsort(-votes, kind="stable")[:8]].tolist()
    assert (task.trajectory.arrays().finished[0] > 10.0) == ("synflow" in proxies)
    later = np.concatenate(batches)[8:]
    assert all(((np.concatenate(batches) != row).sum(axis=1) == 1).any() for row in later), "then it mutates"


def test_without_a_warm_start_nothing_changes(asked):
    cold, _ = asked(get_agent("regularized_evolution"), seed=4)
    assert np.concatenate(cold)[:10].tolist() == SPACE.sample(np.random.default_rng(4), 10).tolist()


@pytest.mark.parametrize("name", ["zero_cost:synflow", "regularized_evolution:warm-synflow"])
@pytest.mark.parametrize(("own", "used"), [("auto", "cuda:977"), ("cpu", None)])
def test_networks_run_on_the_device_of_the_task_unless_the_agent_says_another(name, own, used):
    pool = {"candidates": 3} if name.startswith("zero_cost") else {"pool": 3, "population": 2, "sample": 1}
    task = synthetic_task(budget=100.0)
    task.device = "cuda:977"
    agent = get_agent(name, device=own, images=8, **pool)
    if used is None:
        agent.search(task, 0)
        assert task.evaluations
    else:
        with pytest.raises(InvalidSetting, match=used):
            agent.search(task, 0)


def test_a_warm_start_has_the_settings_of_zero_cost(monkeypatch):
    made = []

    class Watched(Ranker):
        def __init__(self, task, proxies, seed, **settings):
            made.append((proxies, settings))
            super().__init__(task, proxies, seed, **settings)

    monkeypatch.setattr(evolution_module, "Ranker", Watched)
    settings = {"clock": "operations", "images": 9, "share": 0.25, "device": "cpu"}
    get_agent("regularized_evolution", warm_start="flops", pool=20, **settings).search(synthetic_task(), 0)
    assert made == [("flops", settings)]
