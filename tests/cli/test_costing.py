"""`nasgym costs` on the real data set, a few cells of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from nasgym.costs import CostModel
from nasgym.results import TableKey
from nasgym.store import Store
from tests.costs.samples import model

Run = Callable[..., Result]
KEY = TableKey("nb201", "cluttered-digits", "cluttered-digits-10")
FEW = ("--cells", "3", "--steps", "1", "--rounds", "1", "--device", "cpu")


def test_a_model_is_measured_kept_and_shown(run: Run, tmp_path: Path) -> None:
    first = run("costs", *FEW, "--store", tmp_path / "store").stdout
    assert f"kept with: {KEY} in " in first
    for said in ("every network", "nor_conv_3x3", "R²", "95th percentile", "one epoch"):
        assert said in first
    meta = Store(tmp_path / "store").meta(KEY)
    assert meta.costs is not None
    assert meta.fingerprint is not None
    assert meta.recipe is not None
    kept = CostModel.from_json(meta.costs)
    assert kept.measured.steps == 1
    assert 3 < kept.measured.cells < 25
    shown = run("costs", "--show", "--store", tmp_path / "store").stdout
    assert shown.strip() == first.partition("kept with")[0].strip()


def test_a_model_travels_as_a_file(run: Run, tmp_path: Path) -> None:
    run("costs", *FEW, "--into", "costs.json")
    record = json.loads((tmp_path / "costs.json").read_text())
    assert "kept with" in run("costs", "--from", "costs.json", "--store", "there").stdout
    assert Store(tmp_path / "there").meta(KEY).costs == record
    (tmp_path / "other.json").write_text(json.dumps(model().to_json()))
    run("costs", "--from", "other.json", "--store", "there")
    assert Store(tmp_path / "there").meta(KEY).costs == model().to_json(), "the new one takes the place of the old"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--show", "--store", "empty"), "has no cost model: measure one with `nasgym costs --task nb201/cluttered"),
        (("--show", "--into", "x.json"), "exclude each other"),
        (("--store", "here", "--into", "there"), "not both"),
        (("--into", "no/folder/x.json"), "make it first"),
        (("--from", "nothing.json"), "No such file"),
        (("--from", "broken.json"), "broken.json holds no cost model"),
        (("--from", "list.json"), "a cost model is a JSON object; got [1]"),
        (("--from", "good.json", "--task", "nb201/cifar10"), "cluttered-digits/cluttered-digits-10, not of nb201/cif"),
        (("--task", "nb201"), "space/dataset"),
        (("--device", "gpu"), "'auto' or 'cpu'"),
    ],
)
def test_wrong_words_are_named(run: Run, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "broken.json").write_text('{"version": 1')
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "good.json").write_text(json.dumps(model().to_json()))
    if "--into" not in words and "--store" not in words:
        words = (*words, "--store", "elsewhere")
    assert said in run("costs", *words, code=1).stderr


def test_a_damaged_model_in_the_store_is_named(run: Run, tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        store.ensure_table(KEY, 15_625, costs={**model().to_json(), "errors": {}})
    assert "errors.train is missing" in run("costs", "--show", "--store", "store", code=1).stderr
