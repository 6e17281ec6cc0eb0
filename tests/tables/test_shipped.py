"""The tables that the package ships: whole, sound, of today's recipes and data, and usable at once."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from nasgym.benchmark import Benchmark
from nasgym.recipes import DATASETS, Recipe, get_recipe
from nasgym.results import TableKey
from nasgym.spaces import get_space
from nasgym.store import open_store
from nasgym.tables import PackedTable, embedded_keys, embedded_table

DATASET = "cluttered-digits"


class Shipped(NamedTuple):
    """What is known of a table.

    Attributes:
        key: The table.
        trained: Architectures that were trained: all, or one of each class of equal networks.
        seeds: What each was trained with.
        megabytes: The most that its files may take.
    """

    key: TableKey
    trained: int
    seeds: tuple[int, ...]
    megabytes: int


TABLES = (
    Shipped(TableKey("nb201", DATASET, "cluttered-digits-10"), 5_773, (0, 1, 2), 16),
    Shipped(TableKey("nb101-5", DATASET, "nb101-digits"), 2_532, (0, 1, 2), 4),
)
EACH = pytest.mark.parametrize("shipped", TABLES, ids=[str(table.key.space) for table in TABLES])


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASGYM_EMBEDDED", "1")


def _open(key: TableKey) -> PackedTable:
    table = embedded_table(key)
    assert table is not None, f"there is no embedded table {key}"
    return table


def test_these_are_all() -> None:
    assert sorted(map(str, embedded_keys())) == sorted(str(table.key) for table in TABLES)


@EACH
def test_it_is_whole_and_sound(shipped: Shipped) -> None:
    table = _open(shipped.key)
    assert table.problems() == []
    assert tuple(table.seeds) == shipped.seeds
    assert table.stored().sum(axis=1).tolist() == [shipped.trained] * len(shipped.seeds)
    assert table.made["trainings"] == str(shipped.trained * len(shipped.seeds))
    assert sum(file.stat().st_size for file in table.path.iterdir()) <= shipped.megabytes * 1e6


@EACH
def test_it_says_how_it_was_made(shipped: Shipped) -> None:
    made = _open(shipped.key).made
    assert f"nasgym fill --task {shipped.key.space}/{DATASET}" in made["command"]
    assert all(made[what] for what in ("nasgym", "torch", "device", "dates"))


@EACH
def test_it_is_of_the_recipe_and_the_images_of_today(shipped: Shipped) -> None:
    meta = _open(shipped.key).meta
    assert Recipe(**meta.recipe) == get_recipe(shipped.key.recipe)
    assert meta.fingerprint == DATASETS[DATASET].fingerprint
    assert meta.size == get_space(shipped.key.space).size


@EACH
def test_every_architecture_answers(shipped: Shipped) -> None:
    space = get_space(shipped.key.space)
    benchmark = Benchmark(space, shipped.key, open_store())
    view = benchmark.view(("valid_accuracy", "test_accuracy", "train_seconds"))
    valid, test, seconds = (view.means(name) for name in ("valid_accuracy", "test_accuracy", "train_seconds"))
    assert valid.shape == (space.size,)
    for accuracies in (valid, test):
        assert ((accuracies >= 0.05) & (accuracies < 0.9)).all()
        assert accuracies.max() > 0.7 and np.quantile(accuracies, 0.1) < np.quantile(accuracies, 0.9) - 0.03
    assert (seconds > 0.01).all() and (seconds < 20).all()


@EACH
def test_an_environment_uses_it_without_training(shipped: Shipped) -> None:
    """In a process of its own: no torch, no home of the user, no network."""
    code = (
        "import sys, gymnasium as gym, nasgym\n"
        f"env = gym.make('nasgym/{shipped.key.space.upper()}-v0', on_missing='error')\n"
        "_, info = env.reset(seed=0)\n"
        "done = False\n"
        "while not done:\n"
        "    _, reward, done, _, info = env.step(env.action_space.sample(info.get('action_mask')))\n"
        "assert 0 < reward < 1, reward\n"
        "assert 'torch' not in sys.modules\n"
        "print(reward)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
@EACH
def test_cells_trained_again_are_near(shipped: Shipped) -> None:
    """Bit for bit only on the machine and by the compiler that made the table, so near is what can be asked for."""
    from nasgym.training.bundle import BundleTrainer

    table, space = _open(shipped.key), get_space(shipped.key.space)
    accuracies = table.values("valid_accuracy")[0]
    good = np.flatnonzero(accuracies > np.nanquantile(accuracies, 0.7))
    chosen = np.random.default_rng(0).choice(good, 3, replace=False)
    trainer = BundleTrainer(space, DATASET, get_recipe(shipped.key.recipe), device="cpu")
    again = trainer.train([(space.from_index([index])[0], 0) for index in chosen.tolist()])
    off = np.array([result.valid_accuracy for result in again], dtype=np.float64) - accuracies[chosen]
    assert (np.abs(off) < 0.08).all(), off  # six standard deviations of a seed, and 60% less than to guessing
