"""Image folders: layouts, splits, image modes, and what bad folders get."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nasgym.errors import BrokenImage, DatasetUnavailable, InvalidSetting
from nasgym.training import ImageData, fingerprint, load_dataset

CIFAR_JPEG = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10-jpeg.tar.xz"


def _fill(folder: Path, count: int, colour: tuple[int, int, int] = (200, 0, 0), side: int = 8) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new("RGB", (side, side), (colour[0], colour[1], i)).save(folder / f"{i:03}.png")


def _load(path: Path, size: int | None = 8) -> ImageData:
    return load_dataset(f"imagefolder:{path}", image_size=size)


def _sizes(data: ImageData) -> tuple[int, int, int]:
    return len(data.train), len(data.valid), len(data.test)


def test_a_folder_of_classes_is_split_by_name(tmp_path: Path) -> None:
    _fill(tmp_path / "b" / "nested", 10)
    _fill(tmp_path / "a", 20, (0, 200, 0))
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    data = _load(tmp_path)
    assert data.classes == ("a", "b")
    assert _sizes(data) == (18, 6, 6)
    for split, per_class in ((data.train, [12, 6]), (data.valid, [4, 2]), (data.test, [4, 2])):
        assert torch.bincount(split.labels).tolist() == per_class
        assert (split.images[split.labels == 0, 1] == 200).all()
        assert (split.images[split.labels == 1, 0] == 200).all()
    # the blue channel numbers the files: every file serves exactly once
    blues = torch.cat([s.images[s.labels == 0, 2, 0, 0] for s in (data.train, data.valid, data.test)])
    assert sorted(blues.tolist()) == list(range(20))
    again = _load(tmp_path)
    assert again.fingerprint == data.fingerprint == fingerprint(f"imagefolder:{tmp_path}", 8)
    _fill(tmp_path / "a", 20, (0, 201, 0))
    assert _load(tmp_path).fingerprint != data.fingerprint


@pytest.mark.parametrize("valid_name", ["valid", "val", "validation"])
def test_given_splits_are_kept(tmp_path: Path, valid_name: str) -> None:
    for split, count in (("train", 5), (valid_name, 2), ("test", 3)):
        for label in ("x", "y"):
            _fill(tmp_path / split / label, count)
    assert _sizes(_load(tmp_path)) == (10, 4, 6)


def test_a_missing_valid_split_is_taken_from_train(tmp_path: Path) -> None:
    for split, count in (("train", 10), ("test", 3)):
        for label in ("x", "y"):
            _fill(tmp_path / split / label, count)
    assert _sizes(_load(tmp_path)) == (16, 4, 6)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"])
def test_every_image_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    folder = tmp_path / "images"
    _fill(folder / "other", 3)
    (folder / "mixed").mkdir()
    level = 255 if mode == "1" else 204  # a colour of the standard palette
    for i in range(3):
        if mode in ("I;16", "I"):
            array = np.full((8, 8), level * 257, dtype=np.uint16 if mode == "I;16" else np.int32)
            image = Image.fromarray(array)
        else:
            image = Image.new("RGBA" if mode == "PA" else "RGB", (8, 8), (level,) * 3).convert(mode)
        image.save(folder / "mixed" / f"{i}.{'png' if mode in ('1', 'L', 'P', 'LA', 'RGBA', 'I;16') else 'tiff'}")
    data = _load(folder)
    mixed = data.train.images[data.train.labels == 0]
    assert mixed.shape[1:] == (3, 8, 8)
    assert (mixed.float() - level).abs().max() <= 3  # colour spaces round


def test_images_are_cropped_about_the_centre_and_resized(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(3):
            wide = np.zeros((10, 30, 3), dtype=np.uint8)
            wide[:, 10:20] = 255  # the middle square is white, the sides black
            Image.fromarray(wide).save(tmp_path / label / f"{i}.png")
    data = _load(tmp_path, 5)
    assert data.train.images.shape[1:] == (3, 5, 5)
    assert (data.train.images > 200).all()  # the outermost pixels blend with what lies beside the square
    assert (data.train.images[..., 1:4] == 255).all()
    assert _load(tmp_path, None).resolution == 32


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    for label in ("a", "b"):
        _fill(tmp_path / label, 3)
    (tmp_path / "b" / "001.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(BrokenImage, match=r"001\.png"):
        _load(tmp_path)
    whole = (tmp_path / "a" / "001.png").read_bytes()
    (tmp_path / "b" / "001.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BrokenImage, match=r"001\.png"):
        _load(tmp_path)


def test_bad_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetUnavailable, match="there is no folder"):
        _load(tmp_path / "absent")
    with pytest.raises(DatasetUnavailable, match="0 classes"):
        _load(tmp_path)
    _fill(tmp_path / "a", 3)
    with pytest.raises(DatasetUnavailable, match="1 classes"):
        _load(tmp_path)
    _fill(tmp_path / "b", 2)
    with pytest.raises(DatasetUnavailable, match=r"'b'.*at least 3"):
        _load(tmp_path)
    with pytest.raises(InvalidSetting, match="image_size"):
        _load(tmp_path, 0)


def test_a_split_with_other_classes_is_named(tmp_path: Path) -> None:
    for split, label in (("train", "a"), ("train", "b"), ("test", "a"), ("test", "c")):
        _fill(tmp_path / split / label, 3)
    with pytest.raises(DatasetUnavailable, match="'c'"):
        _load(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR_JPEG.is_file(), reason="the CIFAR-10 images are not here")
def test_real_images(tmp_path: Path) -> None:
    with tarfile.open(CIFAR_JPEG, "r|xz") as archive:
        for member in archive:
            if re.search(r"/0[01]\d\d\.jpg$", member.name):  # 200 of each class in train and in test
                archive.extract(member, tmp_path, filter="data")
    data = _load(tmp_path, 32)
    assert _sizes(data) == (1600, 400, 2000)
    assert torch.bincount(data.test.labels).tolist() == [200] * 10
    assert np.allclose(data.mean, (125.3, 123.0, 113.9), atol=4.0)  # published, of all images
    assert np.allclose(data.std, (63.0, 62.1, 66.7), atol=3.0)
