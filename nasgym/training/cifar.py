"""CIFAR-10 and CIFAR-100 from their published python files, split as NAS-Bench-201 splits them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from nasgym.errors import DatasetUnavailable
from nasgym.recipes import SplitRule
from nasgym.training.halves import halves, listed_or_halves
from nasgym.training.images import ImageData, Split
from nasgym.training.pickled import read_batch

__all__ = ["FORMATS", "CifarFormat", "download", "load"]

CIFAR100_SPLIT_FILE = "cifar100-test-split.txt"
_STATISTICS_OF_NB101 = (125.31, 122.95, 113.87), (62.99, 62.09, 66.70)
_Images = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class CifarFormat:
    """The files of one of the two data sets.

    Attributes:
        folder: The folder inside the published archive.
        train: File -> md5 of the training batches, in order.
        test: File -> md5 of the test batch.
        meta: File -> md5 of the class names.
        label_key: The key of the labels in a batch.
        names_key: The key of the class names in the meta file.
        mean: Published mean of each channel, of 255.
        std: Published standard deviation of each channel, of 255.
    """

    folder: str
    train: Mapping[str, str]
    test: Mapping[str, str]
    meta: Mapping[str, str]
    label_key: str
    names_key: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


FORMATS: Mapping[str, CifarFormat] = MappingProxyType(
    {
        "cifar10": CifarFormat(
            folder="cifar-10-batches-py",
            train={
                "data_batch_1": "c99cafc152244af753f735de768cd75f",
                "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                "data_batch_4": "634d18415352ddfa80567beed471001a",
                "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            },
            test={"test_batch": "40351d587109b95175f43aff81a1287e"},
            meta={"batches.meta": "5ff9c542aee3614f3951f8cda6e48888"},
            label_key="labels",
            names_key="label_names",
            mean=(125.3, 123.0, 113.9),
            std=(63.0, 62.1, 66.7),
        ),
        "cifar100": CifarFormat(
            folder="cifar-100-python",
            train={"train": "16019d7e3df5f24257cddd939b257f8d"},
            test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
            meta={"meta": "7973b15100ade9c7d40fb424638fde48"},
            label_key="fine_labels",
            names_key="fine_label_names",
            mean=(129.3, 124.1, 112.4),
            std=(68.2, 65.4, 70.4),
        ),
    }
)


def load(name: str, root: Path, form: CifarFormat | None = None, *, split: SplitRule = "halves") -> ImageData:
    """Return ``cifar10`` or ``cifar100`` from the folder ``root``.

    CIFAR-10: the published halves of the training images are train and valid; or the last fifth of them, the fifth
    batch, is valid and the rest train, normalised by the numbers published with that split. CIFAR-100: train is all
    training images; valid and test are the halves of the test images listed in ``cifar100-test-split.txt`` where that
    file lies in ``root``, else halves by nasgym's own fixed rule, with a fingerprint of their own.

    Args:
        name: ``"cifar10"`` or ``"cifar100"``.
        root: The data folder.
        form: Other files than the published ones.
        split: Of CIFAR-10.

    Raises:
        DatasetUnavailable: A file is missing or not the published one.
    """
    form = form or FORMATS[name]
    statistics = (form.mean, form.std)
    train, test = _read(form, form.train, root, name), _read(form, form.test, root, name)
    (meta_file, md5), remedy = next(iter(form.meta.items())), _remedy(name, root)
    classes = tuple(str(c) for c in read_batch(root / form.folder / meta_file, md5, remedy)[form.names_key])
    if name == "cifar10":
        if split == "last fifth":
            order, statistics = np.arange(len(train[1])), _STATISTICS_OF_NB101
            first, second = np.split(order, [len(order) * 4 // 5])
        else:
            first, second = halves(len(train[1]))
        splits = (_part(train, first), _part(train, second), _part(test))
    else:
        valid, rest = listed_or_halves(root / CIFAR100_SPLIT_FILE, len(test[1]))
        splits = (_part(train), _part(test, valid), _part(test, rest))
    return ImageData.of(name, classes, splits, statistics)


def download(name: str, root: Path) -> None:
    """Fetch the published archive through torchvision; raises `DatasetUnavailable` where that fails."""
    from torchvision import datasets  # slow to import, and only a download needs it

    root.mkdir(parents=True, exist_ok=True)
    kind = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
    try:
        kind(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise DatasetUnavailable(
            f"{name} could not be downloaded ({error}). Check the network, or unpack the published python archive "
            f"in {root} by hand, so that {root / FORMATS[name].folder} exists."
        ) from error


def _remedy(name: str, root: Path) -> str:
    return (
        f"Give `nasgym train` or `nasgym fill` the option --download, or unpack the published python archive of {name} "
        f"in {root} (NASGYM_DATA names another folder)."
    )


def _read(form: CifarFormat, files: Mapping[str, str], root: Path, name: str) -> _Images:
    """Return ``uint8[n, 3, 32, 32]`` and ``int64[n]`` of several batch files, one after the other."""
    images, labels = [], []
    for file, md5 in files.items():
        batch = read_batch(root / form.folder / file, md5, _remedy(name, root))
        images.append(np.asarray(batch["data"], dtype=np.uint8).reshape(-1, 3, 32, 32))
        labels.append(np.asarray(batch[form.label_key], dtype=np.int64))
    return np.concatenate(images), np.concatenate(labels)


def _part(whole: _Images, chosen: NDArray[np.int64] | None = None) -> Split:
    images, labels = whole if chosen is None else (whole[0][chosen], whole[1][chosen])
    return Split(torch.from_numpy(images), torch.from_numpy(labels))
