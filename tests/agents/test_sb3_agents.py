"""The agents over stable-baselines3: they learn within a budget, scale rewards as said, and leave the process alone."""

import random

import numpy as np
import pytest

from nasgym.agents import get_agent
from nasgym.agents._alone import alone
from nasgym.errors import InvalidAction
from nasgym.testing import synthetic_task

torch = pytest.importorskip("torch")
NAMES = ("ppo", "maskable_ppo", "a2c", "dqn")


@pytest.mark.parametrize("name", NAMES)
def test_mean_rewards_rise_over_the_batches_of_one_budget(name):
    """On a table where each choice has a worth of its own: chance stays at the table's mean, whatever the batch."""
    gains = []
    for seed in range(3):
        task = synthetic_task(budget=1_600.0)
        get_agent(name).search(task, seed)
        accuracies = task.trajectory.arrays().accuracies
        assert len(accuracies) == 160
        batches = accuracies.reshape(8, 20).mean(axis=1)
        gains.append(batches[-2:].mean() - batches[0])
    assert min(gains) > 0.02 and np.mean(gains) > 0.06  # the standard deviation over cells is 0.12


@pytest.mark.parametrize("name", NAMES)
def test_the_batch_size_is_what_the_setting_says(name, monkeypatch):
    sizes = []
    task = synthetic_task(budget=None, max_evaluations=24)
    evaluate = task.evaluate_indices
    monkeypatch.setattr(task, "evaluate_indices", lambda rows: sizes.append(len(rows)) or evaluate(rows))
    get_agent(name, parallel=6).search(task, 0)
    assert sizes == [6, 6, 6, 6]


@pytest.mark.parametrize(("ranked", "expected"), [(False, "standard"), (True, "rank")])
def test_rewards_are_scaled_among_all_cells_of_the_run(ranked, expected):
    from nasgym.agents._sb3 import RelativeRewards, build_cells

    task = synthetic_task(budget=None, max_evaluations=8)
    env = RelativeRewards(build_cells(task, 3, "accuracy"), ranked=ranked)
    rng = np.random.default_rng(0)
    env.reset()
    seen = []
    for _ in range(3):
        for step in range(6):
            _, rewards, dones, _ = env.step(rng.integers(0, 5, 3))
            assert dones.all() == (step == 5)
            if step < 5:
                assert (rewards == 0).all()
        latest = task.trajectory.arrays().accuracies[len(seen) :]
        seen += latest.tolist()
        table = np.array(seen)
        if expected == "standard":
            wanted = np.clip((latest - table.mean()) / table.std(), -3, 3)
        else:
            wanted = [2 * sum(other < mine for other in seen) / len(seen) - 1 for mine in latest]
        assert rewards[: len(latest)] == pytest.approx(wanted, rel=0.01, abs=1e-3)
    assert len(seen) == 8 and rewards[2] == 0  # the ninth was refused


def test_a_masked_agent_proposes_only_what_is_legal_and_the_others_are_repaired(tiny_space):
    from nasgym.agents._sb3 import build_cells

    masked, free = (build_cells(synthetic_task(tiny_space), 2, "accuracy", masked=m) for m in (True, False))
    taken = []
    for env in (masked, free):
        env.reset()
    with pytest.raises(InvalidAction, match=r"action 3 is not legal.*\[0, 1\]"):
        masked.step(np.array([3, 0]))
    for actions, legal in (([3, 0], [1, 0]), ([1, 3], [1, 2]), ([1, 0], [0, 1])):
        observations, *_, infos = free.step(np.array(actions))
        taken.append(legal)
        if len(taken) < 3:
            assert observations[:, len(taken) - 1].tolist() == [choice + 1 for choice in legal]
    wanted = tiny_space.index(np.array(taken).T)
    assert [info["architecture"] for info in infos] == wanted.tolist()


def test_where_every_choice_is_legal_maskable_ppo_is_ppo():
    trails = []
    for name in ("ppo", "maskable_ppo"):
        task = synthetic_task(budget=400.0)
        get_agent(name).search(task, 4)
        trails.append(task.trajectory.arrays().indices.tolist())
    assert trails[0] == trails[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_search_leaves_threads_and_generators_as_they_were(name):
    random.seed(1)
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        get_agent(name).search(synthetic_task(budget=200.0), 0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert (random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()) == before


def test_a_search_does_not_depend_on_the_global_generators():
    runs = []
    for state in (1, 2):
        torch.manual_seed(state)
        task = synthetic_task(budget=400.0)
        get_agent("ppo").search(task, 7)
        runs.append(task.trajectory.arrays().indices.tolist())
    assert runs[0] == runs[1]


def test_the_process_is_left_alone_by_a_search_that_fails():
    torch.manual_seed(3)
    state, threads = torch.get_rng_state().tolist(), torch.get_num_threads()
    with pytest.raises(KeyError), alone():
        torch.rand(5)
        raise KeyError
    assert torch.get_rng_state().tolist() == state and torch.get_num_threads() == threads


def test_no_log_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    get_agent("ppo").search(synthetic_task(budget=200.0), 0)
    assert list(tmp_path.iterdir()) == []
