"""A small embedded table, made by the test and put where embedded tables are looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import nasgym.tables
from nasgym.recipes import get_recipe
from nasgym.results import SPLITS, Evaluation, Series, TableKey
from nasgym.results_file import TableMeta
from nasgym.spaces import NB201
from nasgym.tables import PackedTable, pack_table

KEY = TableKey("nb201", "cluttered-digits", "cluttered-digits-10")
SIZES = {"train": 3000, "valid": 3000, "test": 1000}
EPOCHS = 10


def training(index: int, seed: int, diverged_at: int | None = None) -> Evaluation:
    """Return a made-up training; ``diverged_at``: the first epoch without losses."""
    rng = np.random.default_rng([index, seed])
    series = {}
    for split in SPLITS:
        counts = rng.integers(0, SIZES[split] + 1, EPOCHS)
        healthy = EPOCHS if diverged_at is None else diverged_at - 1
        series[f"{split}_accuracy"] = Series.of(counts / SIZES[split], range(1, EPOCHS + 1), "fraction")
        if healthy:
            losses = rng.gamma(2.0, 1.0, healthy)
            series[f"{split}_loss"] = Series.of(losses, range(1, healthy + 1), "nats")
    provenance = {"source": "made up", "device": "none", "date": f"2026-01-{1 + index % 28:02d}T00:00:00+00:00"}
    return Evaluation(index, seed, EPOCHS, series, diverged_at is not None, provenance)


def meta(**more: object) -> TableMeta:
    """Return the description of a table of cluttered digits."""
    recipe = asdict(get_recipe(KEY.recipe))
    return TableMeta(KEY, NB201().size, recipe, "281932fa", created="2026-01-01T00:00:00+00:00", **more)  # type: ignore[arg-type]


Embed = Callable[..., PackedTable]


@pytest.fixture
def embed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Embed]:
    """Return a function that embeds evaluations as the table `KEY` and returns it."""
    monkeypatch.setattr(nasgym.tables, "_FOLDER", tmp_path / "embedded")
    monkeypatch.setenv("NASGYM_EMBEDDED", "1")
    nasgym.tables._opened.cache_clear()

    def place(evaluations: Sequence[Evaluation], **more: object) -> PackedTable:
        folder = tmp_path / "embedded" / KEY.space / KEY.dataset / KEY.recipe
        nasgym.tables._opened.cache_clear()
        return pack_table(meta(**more), evaluations, folder, sizes=SIZES, made={"command": "a test"})

    yield place
    nasgym.tables._opened.cache_clear()
