"""Any user's images: a folder per class, with or without folders for the splits above them.

Layouts: ``CLASS/...`` or ``train/CLASS/...`` with ``valid/`` (or ``val/``, ``validation/``) and ``test/`` beside it.
What is not given is split off: of ``CLASS/...`` 60% are train, 20% valid, 20% test; of ``train/`` 20% for each
missing split. Who goes where depends on nothing but the sha256 of the file's name, class by class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nasgym.errors import BrokenImage, DatasetUnavailable, InvalidSetting
from nasgym.results import SPLITS
from nasgym.training.images import ImageData, Split

__all__ = ["load_folder"]

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
_SPLIT_FOLDERS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
_RESAMPLING = Image.Resampling.BILINEAR
_HELD_OUT = 5  # one in five images of a class goes into each split that is not given

Files = dict[str, list[Path]]
"""Class name -> its image files, sorted."""


def load_folder(name: str, path: Path, side: int) -> ImageData:
    """Return the images under ``path`` as RGB, cropped to a square about their centre and resized.

    Args:
        name: The id of the data set.
        path: The folder.
        side: Side of the images in pixels.

    Raises:
        InvalidSetting: The side is below 1.
        DatasetUnavailable: There is no such folder, or not enough images in it.
        BrokenImage: A file cannot be decoded.
    """
    if side < 1:
        raise InvalidSetting(f"image_size must be 1 or more; got {side}.")
    splits = _splits(path)
    classes = tuple(sorted({c for files in splits.values() for c in files}))
    _check(path, splits, classes)
    train, valid, test = (_read(splits[split], classes, side) for split in SPLITS)
    return ImageData.of(name, classes, (train, valid, test))


def _splits(path: Path) -> dict[str, Files]:
    """Return the files of the three splits: the given ones, the others split off."""
    if not path.is_dir():
        raise DatasetUnavailable(f"there is no folder {path}. An image folder holds a folder of images per class.")
    given = {_SPLIT_FOLDERS[f.name.lower()]: _classes(f) for f in _folders(path) if f.name.lower() in _SPLIT_FOLDERS}
    if "train" not in given:
        given = {"train": _classes(path)}
    missing = [split for split in SPLITS if split not in given]
    for split in missing:
        given[split] = {}
    for label, files in given["train"].items():
        share = max(1, len(files) // _HELD_OUT)
        ordered = sorted(files, key=lambda file: _hash(label, file))
        for split in missing:
            given[split][label], ordered = sorted(ordered[:share]), ordered[share:]
        given["train"][label] = sorted(ordered)
    return given


def _folders(path: Path) -> list[Path]:
    return sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))


def _classes(path: Path) -> Files:
    found = {folder.name: sorted(_images(folder)) for folder in _folders(path)}
    return {label: files for label, files in found.items() if files}


def _images(folder: Path) -> Iterable[Path]:
    return (
        f for f in folder.rglob("*") if f.suffix.lower() in _SUFFIXES and not f.name.startswith(".") and f.is_file()
    )


def _hash(label: str, file: Path) -> bytes:
    return hashlib.sha256(f"{label}/{file.name}".encode()).digest()


def _check(path: Path, splits: Mapping[str, Files], classes: Sequence[str]) -> None:
    """Raise `DatasetUnavailable` unless there are two classes, each with training images, and no split is empty."""
    if len(classes) < 2:
        raise DatasetUnavailable(
            f"{path} has images of {len(classes)} classes, at least 2 are needed: a folder per class with "
            f"images inside ({', '.join(sorted(_SUFFIXES))})."
        )
    for label in classes:
        if not splits["train"].get(label):
            raise DatasetUnavailable(
                f"the class {label!r} in {path} has no training image left: give each class at least 3 images, or "
                "name the same classes in train/ as in the other splits."
            )
    for split in SPLITS:
        if not any(splits[split].values()):
            raise DatasetUnavailable(f"the split {split!r} of {path} has no images: fill the folder or remove it.")


def _read(files: Files, classes: Sequence[str], side: int) -> Split:
    paths = [(path, label) for label, name in enumerate(classes) for path in files.get(name, ())]
    images = np.empty((len(paths), 3, side, side), dtype=np.uint8)
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter
        for at, image in enumerate(pool.map(lambda item: _decode(item[0], side), paths)):
            images[at] = image
    return Split(torch.from_numpy(images), torch.tensor([label for _, label in paths]))


def _decode(path: Path, side: int) -> NDArray[np.uint8]:
    """Return one image as ``uint8[3, side, side]``."""
    try:
        with Image.open(path) as file:
            ImageOps.exif_transpose(file, in_place=True)
            image = _rgb(file)
            square = image if image.size == (side, side) else ImageOps.fit(image, (side, side), _RESAMPLING)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BrokenImage(f"{path} cannot be decoded ({error}). Repair or remove the file.") from error
    return np.asarray(square, dtype=np.uint8).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    """Return an image of any mode as RGB: 16-bit grey is scaled, transparency dropped."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.int64) // 257).clip(0, 255).astype(np.uint8)).convert("RGB")
    return (image.convert("RGBA") if image.mode == "P" else image).convert("RGB")
