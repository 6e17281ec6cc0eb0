"""Published data sets from files of the published form, and what a missing, wrong or malicious file gets."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasgym.errors import DatasetUnavailable, UnknownName
from nasgym.training import cifar, data_folder, download, fingerprint, imagenet16, load_dataset
from nasgym.training.halves import halves
from nasgym.training.pickled import read_batch


def _write(path: Path, batch: object, protocol: int = 2) -> str:
    """Pickle a batch as the published files are and return its md5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(batch, protocol=protocol))
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _pixels(count: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, width), dtype=np.uint8)


def _cifar10(root: Path) -> cifar.CifarFormat:
    """Write five batches of 4 images, a test batch of 6 and the names; return the format with their md5."""
    folder = root / "cifar-10-batches-py"
    train = {
        f"data_batch_{i}": _write(
            folder / f"data_batch_{i}", {"data": _pixels(4, 3072, i), "labels": [i % 10, 1, 2, 3]}, protocol=i % 5
        )
        for i in range(1, 6)
    }
    test = {"test_batch": _write(folder / "test_batch", {"data": _pixels(6, 3072, 9), "labels": [9] * 6})}
    meta = {"batches.meta": _write(folder / "batches.meta", {"label_names": [f"class {i}" for i in range(10)]})}
    return replace(cifar.FORMATS["cifar10"], train=train, test=test, meta=meta)


def _cifar100(root: Path) -> cifar.CifarFormat:
    folder = root / "cifar-100-python"
    train = {"train": _write(folder / "train", {"data": _pixels(8, 3072, 1), "fine_labels": list(range(8))})}
    test = {"test": _write(folder / "test", {"data": _pixels(6, 3072, 2), "fine_labels": list(range(6))})}
    meta = {"meta": _write(folder / "meta", {"fine_label_names": [str(i) for i in range(100)]})}
    return replace(cifar.FORMATS["cifar100"], train=train, test=test, meta=meta)


def test_the_halves_are_the_published_ones() -> None:
    train, valid = halves(50_000)
    order = list(range(50_000))
    random.seed(1021)  # the published lines, with the global generator
    random.shuffle(order)
    assert train.tolist() == sorted(order[:25_000])
    assert valid.tolist() == sorted(order[25_000:])


def test_cifar10_is_read_and_split(tmp_path: Path) -> None:
    data = cifar.load("cifar10", tmp_path, _cifar10(tmp_path))
    assert (len(data.train), len(data.valid), len(data.test)) == (10, 10, 6)
    assert (data.channels, data.resolution, len(data.classes)) == (3, 32, 10)
    whole = np.concatenate([_pixels(4, 3072, i) for i in range(1, 6)]).reshape(-1, 3, 32, 32)
    first, second = halves(20)
    assert np.array_equal(data.train.images.numpy(), whole[first])
    assert np.array_equal(data.valid.images.numpy(), whole[second])
    assert data.mean == (125.3, 123.0, 113.9)
    assert data.test.labels.tolist() == [9] * 6


def test_cifar10_keeps_its_fifth_batch_for_validation_where_a_recipe_says_so(tmp_path: Path) -> None:
    form = _cifar10(tmp_path)
    data = cifar.load("cifar10", tmp_path, form, split="last fifth")
    whole = np.concatenate([_pixels(4, 3072, i) for i in range(1, 6)]).reshape(-1, 3, 32, 32)
    assert np.array_equal(data.train.images.numpy(), whole[:16])
    assert np.array_equal(data.valid.images.numpy(), whole[16:]) and data.valid.labels.tolist() == [5, 1, 2, 3]
    assert data.mean == (125.31, 122.95, 113.87) and data.std == (62.99, 62.09, 66.70)
    assert data.fingerprint != cifar.load("cifar10", tmp_path, form).fingerprint


def test_cifar100_takes_the_published_list_or_its_own_halves(tmp_path: Path) -> None:
    form = _cifar100(tmp_path)
    own = cifar.load("cifar100", tmp_path, form)
    assert (len(own.train), len(own.valid), len(own.test)) == (8, 3, 3)
    listed = {"xvalid": ["int", ["5", "0", "1"]], "xtest": ["int", ["2", "3", "4"]]}
    (tmp_path / "cifar100-test-split.txt").write_text(json.dumps(listed))
    published = cifar.load("cifar100", tmp_path, form)
    assert published.valid.labels.tolist() == [5, 0, 1]
    assert published.test.labels.tolist() == [2, 3, 4]
    assert published.fingerprint != own.fingerprint


@pytest.mark.parametrize(
    "text", ["no json", "[]", '{"xvalid": ["int", ["0"]], "xtest": ["int", ["0", "1"]]}', '{"xvalid": 1, "xtest": 2}']
)
def test_a_wrong_list_is_named(tmp_path: Path, text: str) -> None:
    form = _cifar100(tmp_path)
    (tmp_path / "cifar100-test-split.txt").write_text(text)
    with pytest.raises(DatasetUnavailable, match="cifar100-test-split.txt"):
        cifar.load("cifar100", tmp_path, form)


def _imagenet16(root: Path) -> tuple[Mapping[str, str], Mapping[str, str]]:
    folder = root / "ImageNet16"
    labels = [1, 120, 121, 1000, 2]  # published labels count from 1; two of these are not among the first 120
    train = {
        "train_data_batch_1": _write(folder / "train_data_batch_1", {"data": _pixels(5, 768, 1), "labels": labels})
    }
    valid = {"val_data": _write(folder / "val_data", {"data": _pixels(4, 768, 2), "labels": [3, 4, 5, 6]})}
    return train, valid


def test_imagenet16_keeps_120_classes(tmp_path: Path) -> None:
    data = imagenet16.load(tmp_path, *_imagenet16(tmp_path))
    assert data.train.labels.tolist() == [0, 119, 1]
    assert np.array_equal(data.train.images.numpy(), _pixels(5, 768, 1).reshape(-1, 3, 16, 16)[[0, 1, 4]])
    assert sorted(data.valid.labels.tolist() + data.test.labels.tolist()) == [2, 3, 4, 5]
    (tmp_path / "imagenet-16-120-test-split.txt").write_text(
        '{"xvalid": ["int", ["3", "2"]], "xtest": ["int", [1, 0]]}'
    )
    listed = imagenet16.load(tmp_path, *_imagenet16(tmp_path))
    assert (listed.valid.labels.tolist(), listed.test.labels.tolist()) == ([5, 4], [3, 2])


class _Malicious:
    """Runs a command when it is unpickled by a reader that lets it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def test_a_file_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / "batch", {"data": _Malicious()})
    with pytest.raises(DatasetUnavailable, match="not allowed"):
        read_batch(tmp_path / "batch", None, "")
    assert not (tmp_path / "executed").exists()


def test_wrong_and_broken_files_are_named(tmp_path: Path) -> None:
    form = _cifar10(tmp_path)
    file = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    good = file.read_bytes()
    file.write_bytes(good + b"x")
    with pytest.raises(DatasetUnavailable, match=r"data_batch_2 is not the published file.*--download"):
        cifar.load("cifar10", tmp_path, form)
    file.unlink()
    with pytest.raises(DatasetUnavailable, match=r"data_batch_2 is missing.*NASGYM_DATA"):
        cifar.load("cifar10", tmp_path, form)
    (tmp_path / "short").write_bytes(good[:40])
    with pytest.raises(DatasetUnavailable, match="cannot be read"):
        read_batch(tmp_path / "short", None, "")
    _write(tmp_path / "list", [1, 2])
    with pytest.raises(DatasetUnavailable, match="list instead of a dictionary"):
        read_batch(tmp_path / "list", None, "")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet16-120"])
def test_a_missing_dataset_says_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetUnavailable, match="NASGYM_DATA"):
        load_dataset(name, root=tmp_path)
    with pytest.raises(DatasetUnavailable):
        fingerprint(name, root=tmp_path)


def test_unknown_names_are_named() -> None:
    for ask in (load_dataset, fingerprint, download):
        with pytest.raises(UnknownName, match="cifar10"):
            ask("cifar-10")


def test_where_data_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NASGYM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NASGYM_HOME", str(tmp_path / "home"))
    assert data_folder() == tmp_path / "data"
    monkeypatch.delenv("NASGYM_DATA")
    assert data_folder() == tmp_path / "home" / "datasets"
    monkeypatch.delenv("NASGYM_HOME")
    assert data_folder().parts[-2:] == ("nasgym", "datasets")


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "CIFAR10", offline)
    with pytest.raises(DatasetUnavailable, match="no route to host.*by hand"):
        download("cifar10", root=tmp_path)
    with pytest.raises(DatasetUnavailable, match="Google Drive"):
        download("imagenet16-120", root=tmp_path)
    assert download("cluttered-digits", root=tmp_path) == tmp_path


def test_a_download_goes_to_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr(datasets, "CIFAR100", lambda root, download: asked.append((root, download)))
    assert download("cifar100", root=tmp_path / "new") == tmp_path / "new"
    assert asked == [(str(tmp_path / "new"), True)]
