"""`nasgym store pack`, and `nasgym store merge` of what it wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasgym.store import Store
from nasgym.tables import PackedTable
from tests.cli.conftest import Run
from tests.tables.conftest import KEY, training


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    with Store(path) as store:
        store.ensure_table(KEY, 15_625, fingerprint="281932fa")
        store.put(KEY, [training(i, seed) for i in (3, 14) for seed in (0, 1)])
    return path


def test_a_table_is_packed_and_taken_in_elsewhere(run: Run, store: Path, tmp_path: Path) -> None:
    said = run("store", "pack", KEY, tmp_path / "packed", "--made-by", "nasgym fill --seeds 2", "--store", store).stdout
    assert "trainings: 4" in said and "seeds: 0, 1" in said
    packed = PackedTable(tmp_path / "packed")
    assert packed.made["command"] == "nasgym fill --seeds 2"
    assert packed.meta.fingerprint == "281932fa"
    merged = run("store", "merge", tmp_path / "packed", "--store", tmp_path / "other").stdout
    assert "4 evaluations read, 4 new" in merged
    found, original = Store(tmp_path / "other").get(KEY, 14, 1), Store(store).get(KEY, 14, 1)
    assert found is not None and original is not None
    assert found.series["test_accuracy"] == original.series["test_accuracy"]


def test_some_seeds_are_packed(run: Run, store: Path, tmp_path: Path) -> None:
    run("store", "pack", KEY, tmp_path / "packed", "--seeds", "1", "--store", store)
    assert PackedTable(tmp_path / "packed").seeds == (1,)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nb201/cluttered-digits/nb201-12",), "nb201/cluttered-digits/cluttered-digits-10"),
        ((KEY, "--sizes", "1,2"), "three numbers"),
        ((KEY, "--sizes", "a,b,c"), "whole numbers"),
        ((KEY, "--sizes", "7,7,7"), "no count of 7 images"),
        ((KEY, "--seeds", "5"), "no evaluations to pack"),
    ],
)
def test_what_cannot_be_packed_is_said(
    run: Run, store: Path, tmp_path: Path, words: tuple[object, ...], said: str
) -> None:
    table, *options = words
    failed = run("store", "pack", table, tmp_path / "packed", *options, "--store", store, code=1)
    assert said in failed.stderr
