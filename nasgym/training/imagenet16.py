"""ImageNet16-120 from the published 16-pixel batches: the first 120 classes of ImageNet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from nasgym.training.halves import listed_or_halves
from nasgym.training.images import ImageData, Split
from nasgym.training.pickled import read_batch

__all__ = ["TRAIN_FILES", "VALID_FILES", "how_to_get", "load"]

FOLDER = "ImageNet16"
SPLIT_FILE = "imagenet-16-120-test-split.txt"
_NUM_CLASSES = 120
_SIDE = 16
_STATISTICS = ((122.68, 116.66, 104.01), (63.22, 61.26, 65.09))  # published, of 255

TRAIN_FILES: Mapping[str, str] = MappingProxyType(
    {
        "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
        "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
        "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
        "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
        "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
        "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
        "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
        "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
        "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
        "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
    }
)
"""File -> md5 of the published training batches."""
VALID_FILES: Mapping[str, str] = MappingProxyType({"val_data": "3410e3017fdaefba8d5073aaa65e4bd6"})
"""File -> md5 of the published validation images."""


def how_to_get(root: Path) -> str:
    """Return how a user gets the data set, one or two sentences."""
    return (
        "nasgym cannot download imagenet16-120: its authors publish it on Google Drive only (see the README of "
        f"AutoDL-Projects). Unpack it so that {root / FOLDER / 'val_data'} exists (NASGYM_DATA names another folder)."
    )


def load(
    root: Path, train_files: Mapping[str, str] = TRAIN_FILES, valid_files: Mapping[str, str] = VALID_FILES
) -> ImageData:
    """Return ``imagenet16-120`` from ``root / "ImageNet16"``.

    Train is all training images of the first 120 classes; valid and test are the halves of the validation images listed
    in ``imagenet-16-120-test-split.txt`` where that file lies in ``root``, else halves by nasgym's own fixed rule,
    with a fingerprint of their own.

    Args:
        root: The data folder.
        train_files: File -> md5 of the training batches.
        valid_files: File -> md5 of the validation images.

    Raises:
        DatasetUnavailable: A file is missing or not the published one.
    """
    images, labels = _read(root, train_files)
    held_out, held_out_labels = _read(root, valid_files)
    valid, test = listed_or_halves(root / SPLIT_FILE, len(held_out_labels))
    splits = (
        Split(torch.from_numpy(images), torch.from_numpy(labels)),
        Split(torch.from_numpy(held_out[valid]), torch.from_numpy(held_out_labels[valid])),
        Split(torch.from_numpy(held_out[test]), torch.from_numpy(held_out_labels[test])),
    )
    return ImageData.of("imagenet16-120", tuple(str(c) for c in range(_NUM_CLASSES)), splits, _STATISTICS)


def _read(root: Path, files: Mapping[str, str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return ``uint8[n, 3, 16, 16]`` and ``int64[n]`` of the first 120 classes (published labels count from 1)."""
    images, labels = [], []
    for file, md5 in files.items():
        batch = read_batch(root / FOLDER / file, md5, how_to_get(root))
        label = np.asarray(batch["labels"], dtype=np.int64) - 1
        kept = label < _NUM_CLASSES
        images.append(np.asarray(batch["data"], dtype=np.uint8).reshape(-1, 3, _SIDE, _SIDE)[kept])
        labels.append(label[kept])
    return np.concatenate(images), np.concatenate(labels)
