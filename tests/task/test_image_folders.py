"""Tables of image folders: named by the full path, and opened only over the images that they were made with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nasgym.training
from nasgym.errors import InvalidSetting, MissingResult, TableMismatch
from nasgym.importers.csv_table import import_csv
from nasgym.recipes import check_dataset
from nasgym.results import Evaluation, Series
from nasgym.spaces import get_space
from nasgym.store import Store, TableKey
from nasgym.task import make_benchmark

ROOT = Path(__file__).parents[2]
RECIPE = "cluttered-digits-10"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label in ("rose", "tulip"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(5):
            pixels = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{i}.png")
    return tmp_path / "photos"


@pytest.fixture
def store(tmp_path: Path, photos: Path) -> Store:
    """Return a store with a table of the photos."""
    opened = Store(tmp_path / "store")
    key = TableKey("nb201", f"imagefolder:{photos}", RECIPE)
    opened.ensure_table(key, 15_625, fingerprint=nasgym.training.fingerprint(key.dataset, 12))
    opened.put(key, [Evaluation(5, 0, 10, {"valid_accuracy": Series.of(0.5, 10, "fraction")})])
    return opened


def accuracy(store: Store, folder: str) -> float | None:
    benchmark = make_benchmark(f"nb201/imagefolder:{folder}", recipe=RECIPE, on_missing="error", store=store)
    return benchmark.query(5, 0).valid_accuracy


def test_every_way_to_write_a_path_is_one_table(store: Store, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    monkeypatch.setenv("HOME", str(photos.parent))
    (photos.parent / "link").symlink_to(photos)
    for folder in ("photos", "./photos/", "~/photos", "photos/../photos", "link", str(photos)):
        assert accuracy(store, folder) == 0.5
    elsewhere = photos.parent / "elsewhere"
    shutil.copytree(photos, elsewhere / "photos")
    monkeypatch.chdir(elsewhere)
    with pytest.raises(MissingResult):
        accuracy(store, "photos")
    with pytest.raises(InvalidSetting, match="needs the path"):
        check_dataset("imagefolder:")


def test_an_import_names_the_table_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(f"architecture,dataset,recipe,seed,valid_accuracy\n5,imagefolder:p/,{RECIPE},0,0.5\n")
    report = import_csv(Store(tmp_path / "store"), "t.csv", space=get_space("nb201"), unit="fraction")
    assert list(report.tables) == [TableKey("nb201", f"imagefolder:{tmp_path / 'p'}", RECIPE)]


def test_other_images_are_refused_and_unchanged_ones_read_once(
    store: Store, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, whole = [], nasgym.training.fingerprint

    def counted(dataset: str, image_size: int | None) -> str:
        read.append(dataset)
        return whole(dataset, image_size)

    monkeypatch.setattr(nasgym.training, "fingerprint", counted)
    assert [accuracy(store, str(photos)) for _ in range(3)] == [0.5] * 3
    assert len(read) == 1
    image = photos / "rose" / "0.png"
    os.utime(image, (1, 1))
    assert [accuracy(store, str(photos)) for _ in range(2)] == [0.5] * 2
    assert len(read) == 2, "a touched file is read again, and is the same"

    Image.new("RGB", (12, 12)).save(image)
    for _ in range(2):
        with pytest.raises(TableMismatch, match="restore them, or give the other images a folder of their own"):
            accuracy(store, str(photos))
    shutil.rmtree(photos)
    assert accuracy(store, str(photos)) == 0.5, "the results of a folder that is gone stay readable"


def test_unchanged_images_are_checked_without_torch(store: Store, photos: Path) -> None:
    accuracy(store, str(photos))
    code = (
        "import sys; from nasgym.task import make_benchmark\n"
        f"made = make_benchmark('nb201/imagefolder:{photos}', recipe={RECIPE!r}, store={str(store.path)!r})\n"
        "assert made.query(5, 0).valid_accuracy == 0.5 and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
