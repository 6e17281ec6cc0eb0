"""Bundles, fillings and costs on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nasgym.recipes import Recipe
from nasgym.results import SPLITS, Evaluation
from nasgym.results_file import read_results
from nasgym.spaces import NB201
from nasgym.training import ImageData
from nasgym.training.bundle import BundleTrainer
from nasgym.training.cost_meter import CostMeter
from nasgym.training.fill import cells_of, fill
from nasgym.training.fill_results import FileResults

MakeRecipe = Callable[..., Recipe]
SPACE = NB201()


def _numbers(evaluation: Evaluation) -> list[list[float]]:
    return [evaluation.series[f"{split}_{what}"].values.tolist() for split in SPLITS for what in ("loss", "accuracy")]


@pytest.mark.gpu
def test_a_stacked_bundle_repeats_itself(data: ImageData, recipe: MakeRecipe) -> None:
    made = recipe(flip=True, crop_padding=1, channels=4)
    jobs = [(row, seed) for seed, row in enumerate(SPACE.sample(np.random.default_rng(0), 12))]
    first, again = (
        BundleTrainer(SPACE, "cluttered-digits", made, device="cuda", data=data, engine="stacked").train(jobs)
        for _ in range(2)
    )
    assert [_numbers(result) for result in first] == [_numbers(result) for result in again]


@pytest.mark.gpu
def test_a_filling_on_a_gpu_goes_into_a_file(data: ImageData, recipe: MakeRecipe, tmp_path: Path) -> None:
    cells = cells_of(SPACE, [0, 1], limit=5)
    given = (SPACE, "cluttered-digits", recipe(epochs=1), cells)
    path = tmp_path / "results"
    report = fill(*given, FileResults(path), members=4, device="cuda", data=data)
    rows = [evaluation for _, evaluation in read_results(path)]
    assert (report.trained, report.failures) == (10, ())
    assert {(row.index, row.seed) for row in rows} == {(cell.index, cell.seed) for cell in cells}
    assert {row.provenance["engine"] for row in rows} == {"stacked"}
    assert fill(*given, FileResults(path), device="cuda", data=data).present == 10


@pytest.mark.gpu
def test_costs_are_measured_on_a_gpu(data: ImageData, recipe: MakeRecipe) -> None:
    meter = CostMeter(SPACE, "cluttered-digits", recipe(), device="cuda", data=data)
    with meter.ready():
        seconds = meter.seconds(SPACE.from_index([11472])[0], 3)
    assert all(0 < part < 60 for part in seconds)
