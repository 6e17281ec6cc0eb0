"""Data sets by name: where they lie, how they are loaded and downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from nasgym.errors import DatasetUnavailable
from nasgym.folders import user_folder
from nasgym.recipes import DATASETS, IMAGE_FOLDER, SplitRule, check_dataset, is_image_folder
from nasgym.training import cifar, imagenet16
from nasgym.training.digits import cluttered_digits
from nasgym.training.folder import load_folder
from nasgym.training.images import ImageData

__all__ = ["data_folder", "download", "fingerprint", "load_dataset"]

_FOLDER_SIDE = 32  # pixels, where a recipe names no image size


def data_folder() -> Path:
    """Return where data sets lie: ``$NASGYM_DATA``, else ``$NASGYM_HOME/datasets``, else the user's data directory."""
    if named := os.environ.get("NASGYM_DATA"):
        return Path(named).expanduser()
    return user_folder("datasets", "data")


def load_dataset(
    name: str, *, image_size: int | None = None, root: Path | None = None, split: SplitRule = "halves"
) -> ImageData:
    """Return a data set, whole, in memory.

    Args:
        name: ``cluttered-digits``, ``cifar10``, ``cifar100``, ``imagenet16-120`` or ``imagefolder:PATH``.
        image_size: Side in pixels to which the images of a folder are resized (None: 32). Others keep their size.
        root: Where data sets lie; None: `data_folder`.
        split: How CIFAR-10 is split, see `nasgym.recipes.Recipe`; others have one way.

    Raises:
        UnknownName: No data set has that name.
        DatasetUnavailable: The data set is not on this machine, or is not what it should be; says what to do.
        BrokenImage: An image of a folder cannot be decoded.
    """
    if is_image_folder(check_dataset(name)):
        path = Path(name.removeprefix(IMAGE_FOLDER)).expanduser()
        return load_folder(name, path, _FOLDER_SIDE if image_size is None else image_size)
    if name == "cluttered-digits":
        return cluttered_digits()
    where = data_folder() if root is None else root
    if name == "imagenet16-120":
        return imagenet16.load(where)
    return cifar.load(name, where, split=split)


def fingerprint(dataset: str, image_size: int | None = None, *, root: Path | None = None) -> str:
    """Return the sha256 that identifies the images and labels of a data set; part of a table's identity."""
    pinned = None if is_image_folder(check_dataset(dataset)) else DATASETS[dataset].fingerprint
    return pinned or load_dataset(dataset, image_size=image_size, root=root).fingerprint


def download(name: str, *, root: Path | None = None) -> Path:
    """Fetch a data set into the data folder and return the folder; nothing happens for what needs no download.

    Raises:
        UnknownName: No data set has that name.
        DatasetUnavailable: The data set cannot be downloaded by nasgym, or the download failed.
    """
    where = data_folder() if root is None else root
    if is_image_folder(check_dataset(name)) or name == "cluttered-digits":
        return where
    if name == "imagenet16-120":
        raise DatasetUnavailable(imagenet16.how_to_get(where))
    cifar.download(name, where)
    return where
