"""The script that measures GPUs, in small on the CPU."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasgym.results_file import read_results
from nasgym.spaces import NB201
from nasgym.training.fill import cells_of

SPACE = NB201()
CHECKOUT = Path(__file__).resolve().parents[2]
_WITHOUT = "import sys; sys.modules.update(gymnasium=None, lmdb=None); import runpy; runpy.run_path(sys.argv.pop(1), "
_WITHOUT += "run_name='__main__')"


def _archive(folder: Path) -> Path:
    """Pack made-up images, of two classes, as ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``."""
    stream = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 5)):
        for at, label in enumerate(("dark", "light")):
            place = folder / split / label
            place.mkdir(parents=True)
            for number in range(count):
                pixels = stream.integers(0, 120, (32, 32, 3)) + 120 * at
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number:04}.jpg")
    with tarfile.open(folder / "images.tar.xz", "w:xz") as packed:
        for split in ("train", "test"):
            packed.add(folder / split, split)
    return folder / "images.tar.xz"


def _published(path: Path) -> Path:
    """Write made-up results of all cells: the accuracy is the cell's number in thousandths."""
    lines = ["architecture,dataset,recipe,seed,valid_accuracy,test_accuracy,train_seconds"]
    names = SPACE.to_str(SPACE.from_index(np.arange(SPACE.size)))
    lines += [f"{name},cifar10,12,mean,{index / 1000},,1.0" for index, name in enumerate(names)]
    lines += [f"{names[0]},cifar10,200,mean,99,,1.0", f"{names[0]},cifar100,12,mean,99,,1.0"]
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines))
    return path


def _measured(*arguments: str | Path) -> list[str]:
    """Run the script where neither gymnasium nor lmdb is installed; return its lines."""
    script = CHECKOUT / "benchmarks" / "gpu.py"
    command = [sys.executable, "-c", _WITHOUT, script, *arguments, "--small", "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_the_script_for_gpus_fills_and_goes_on(tmp_path: Path) -> None:
    given = ("fill", "--out", tmp_path, "--seeds", "1", "--cells", "4", "--members", "1")
    first = _measured(*given, "--seconds", "0")  # ends after the first bundle
    assert first[1].startswith("1 of 4 trained, 0 failed") and len(first) == 3
    second = _measured(*given)
    assert second[-2].startswith("3 of 3 trained, 0 failed")
    assert float(second[-1].split(": ")[1].split(" trainings per second")[0]) > 0
    rows = [evaluation for _, evaluation in read_results(tmp_path / "fill-small.results")]
    assert sorted(row.index for row in rows) == sorted(cell.index for cell in cells_of(SPACE, [0], limit=4))


@pytest.mark.slow
def test_the_script_for_gpus_times_and_ranks(tmp_path: Path) -> None:
    images, published = _archive(tmp_path), _published(tmp_path / "published.csv.gz")
    lines = _measured("speed", "--out", tmp_path, "--images", images, "--members", "2")
    assert "20 training images" in lines[1]
    rows = [line.strip("| ").split(" | ") for line in lines[4:]]
    assert [row[0] for row in rows] == ["alone, eager", "alone, stacked", "alone, compiled", "bundle of 2"]
    assert all(float(number.rstrip("%").replace(",", "")) > 0 for row in rows for number in row[1:4])
    given = ("rank", "--out", tmp_path, "--images", images, "--official", published, "--cells", "3", "--members", "3")
    lines = _measured(*given)
    values = np.array([[float(x) for x in line.strip("| ").split(" | ")] for line in lines[5:8]])
    np.testing.assert_allclose(values[:, 2], values[:, 0] / 1000, atol=0.0051)
    own, theirs = (column.argsort().argsort() for column in values[:, 1:].T)
    if len(set(values[:, 1])) == 3:  # no ties
        assert float(lines[8].split()[3]) == pytest.approx(np.corrcoef(own, theirs)[0, 1], abs=1e-3)
    difference = (values[:, 1] - values[:, 2]).mean()
    assert float(lines[9].split()[2]) == pytest.approx(difference, abs=0.02)
