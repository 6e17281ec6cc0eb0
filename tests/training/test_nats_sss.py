"""Sizes are trained like cells: alone, in fillings, with the same results every time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nasgym.errors import InvalidSetting
from nasgym.results import Evaluation, TableKey
from nasgym.spaces import NatsSSS
from nasgym.store import Cell, Store
from nasgym.training import Trainer
from nasgym.training.fill import fill
from nasgym.training.fill_results import StoreResults
from tests.training.fill_helpers import RECIPE, tiny_data

SPACE = NatsSSS()
TINY = replace(RECIPE, epochs=3, channels=4)  # 2 to 16 channels per layer
KEY = TableKey("nats-sss", "cluttered-digits", TINY.name)


def _alone(index: int) -> Evaluation:
    return Trainer(SPACE, KEY.dataset, TINY, device="cpu", data=tiny_data())(SPACE.from_index([index])[0], 0)


def test_a_size_is_trained_the_same_way_every_time_and_learns() -> None:
    index = int(SPACE.index(SPACE.from_str(["32:40:32:48:64"]))[0])
    first, again = _alone(index), _alone(index)
    assert first.index == index and first.epochs == 3
    assert first.value("train_loss") == again.value("train_loss")
    losses = first.series["train_loss"].values
    assert losses[-1] < losses[0]


def test_a_table_of_sizes_is_filled(tmp_path: Path) -> None:
    store, cells = Store(tmp_path / "store"), [Cell(index, 0) for index in (0, 7, 32_767)]
    report = fill(
        SPACE, KEY.dataset, TINY, cells, StoreResults(store), data=tiny_data(), device="cpu", workers=1, members=2
    )
    assert (report.trained, report.failures) == (3, ())
    assert store.meta(KEY).size == 32_768
    stored = store.get(KEY, 7, 0)
    assert stored is not None
    assert stored.value("valid_loss") == pytest.approx(_alone(7).value("valid_loss"), rel=1e-3)


def test_an_engine_that_knows_cells_only_says_so() -> None:
    with pytest.raises(InvalidSetting, match="nb201; got 'nats-sss'. Take 'eager'"):
        Trainer(SPACE, KEY.dataset, TINY, device="cpu", data=tiny_data(), engine="stacked")
