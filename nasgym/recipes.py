"""Training recipes and data sets as values: names, numbers and sources, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

from nasgym.errors import InvalidSetting, UnknownName
from nasgym.spaces import Macro
from nasgym.spaces.nb101 import NB101_SPACES

__all__ = [
    "DATASETS",
    "DEFAULT_DATASET",
    "RECIPES",
    "DatasetInfo",
    "Recipe",
    "check_dataset",
    "dataset_names",
    "default_recipe",
    "get_recipe",
    "is_image_folder",
    "recipe_names",
]

DEFAULT_DATASET = "cluttered-digits"
"""What is searched where no data set is named."""
IMAGE_FOLDER = "imagefolder:"
SplitRule: TypeAlias = Literal["halves", "last fifth"]


@dataclass(frozen=True)
class Recipe:
    """A complete way to train a network: with the data set and the seed it determines the result.

    Attributes:
        name: The id under which results are stored.
        epochs: Passes over the training split.
        batch_size: Images per step; the last, smaller batch of an epoch is used too.
        learning_rate: Of the first epoch or step; see ``schedule``.
        momentum: Of the optimiser.
        nesterov: Whether the momentum is Nesterov's.
        weight_decay: On all parameters.
        channels: Channels of the stem (``C``); where the search space chooses channels itself, 16 leaves them as they
            are, and other numbers scale them.
        cells_per_stage: Cells per stage (``N``).
        flip: Whether training images are mirrored at random.
        crop_padding: Pixels of zero padding around a training image before a random crop; None: an eighth of the side.
        image_size: Side in pixels to which images of a folder are resized; None: the data set's own.
        source: Where the recipe comes from.
        schedule: ``"cosine"``: the learning rate falls per epoch along a cosine to zero,
            ``lr_e = lr / 2 * (1 + cos(pi * e / epochs))`` for ``e = 0..epochs-1``; ``"cosine by step"``: the same with
            steps in place of epochs, and nothing is learnt in the very first.
        optimizer: ``"sgd"``, or ``"rmsprop"`` by the rule of NAS-Bench-101 (mean squares from 1 with a decay of 0.9, an
            epsilon of 1 inside the root).
        norm_momentum: The weight of a batch in the running statistics of batch norms.
        split: How CIFAR-10 is split: ``"halves"`` of the training images, as in NAS-Bench-201, or ``"last fifth"``:
            40,000 images to train on and the last 10,000 to validate, as in NAS-Bench-101.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    channels: int
    cells_per_stage: int
    flip: bool
    crop_padding: int | None
    image_size: int | None
    source: str
    schedule: Literal["cosine", "cosine by step"] = "cosine"
    optimizer: Literal["sgd", "rmsprop"] = "sgd"
    norm_momentum: float = 0.1
    split: SplitRule = "halves"

    def macro(self, classes: int, in_channels: int, resolution: int) -> Macro:
        """Return the skeleton of the networks that this recipe trains."""
        return Macro(self.channels, self.cells_per_stage, classes, in_channels, resolution)


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set without opening it.

    Attributes:
        name: The id of the data set.
        classes: Number of classes.
        channels: Channels per image.
        resolution: Side of an image in pixels.
        sizes: Images in the train, valid and test split, where the recipe does not split otherwise.
        recipe: The recipe used where none is named, for most search spaces; None: the space's own.
        source: What it is and where it comes from.
        fingerprint: sha256 of its images and labels, where they can never change.
    """

    name: str
    classes: int
    channels: int
    resolution: int
    sizes: tuple[int, int, int]
    recipe: str | None
    source: str
    fingerprint: str | None = None


_NB201_SOURCE = "NAS-Bench-201 (Dong and Yang, ICLR 2020), table 1 and the published configuration files"
_NATS_SSS_SOURCE = "NATS-Bench (Dong et al., TPAMI 2021), size search space, and the published configuration files"


_NB101_SOURCE = "NAS-Bench-101 (Ying et al., ICML 2019) and its published code"


def _nb101(epochs: int) -> Recipe:
    return Recipe(
        name=f"nb101-{epochs}",
        epochs=epochs,
        batch_size=256,
        learning_rate=0.2,
        momentum=0.9,
        nesterov=False,
        weight_decay=1e-4,
        channels=128,
        cells_per_stage=3,
        flip=True,
        crop_padding=4,
        image_size=None,
        source=_NB101_SOURCE,
        schedule="cosine by step",
        optimizer="rmsprop",
        norm_momentum=0.003,
        split="last fifth",
    )


def _digits(name: str, channels: int, source: str) -> Recipe:
    return Recipe(
        name=name,
        epochs=10,
        batch_size=128,
        learning_rate=0.2,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        channels=channels,
        cells_per_stage=1,
        flip=False,
        crop_padding=0,
        image_size=12,
        source=source,
    )


def _published(name: str, epochs: int, cells_per_stage: int, source: str) -> Recipe:
    return Recipe(
        name=name,
        epochs=epochs,
        batch_size=256,
        learning_rate=0.1,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        channels=16,
        cells_per_stage=cells_per_stage,
        flip=True,
        crop_padding=None,
        image_size=None,
        source=source,
    )


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            _published("nb201-12", 12, 5, _NB201_SOURCE),
            _published("nb201-200", 200, 5, _NB201_SOURCE),
            _published("nats-sss-01", 1, 1, _NATS_SSS_SOURCE),
            _published("nats-sss-12", 12, 1, _NATS_SSS_SOURCE),
            _published("nats-sss-90", 90, 1, _NATS_SSS_SOURCE),
            *map(_nb101, (4, 12, 36, 108)),
            _digits("cluttered-digits-10", 8, "chosen for this project, see docs/cluttered-digits.md"),
            _digits("nb101-digits", 12, "chosen for this project, see docs/nb101.md"),
        )
    }
)

DATASETS: Mapping[str, DatasetInfo] = MappingProxyType(
    {
        info.name: info
        for info in (
            DatasetInfo(
                name=DEFAULT_DATASET,
                classes=10,
                channels=1,
                resolution=12,
                sizes=(3000, 3000, 1000),
                recipe="cluttered-digits-10",
                source="scikit-learn digits among clutter, after Mnih et al. 2014; see docs/cluttered-digits.md",
                fingerprint="281932fa5ecdcd5a39b89f76fe469fcc6b960a5bcf3b7899bbb35d421512616d",
            ),
            DatasetInfo(
                name="cifar10",
                classes=10,
                channels=3,
                resolution=32,
                sizes=(25_000, 25_000, 10_000),
                recipe=None,
                source="Krizhevsky 2009",
            ),
            DatasetInfo(
                name="cifar100",
                classes=100,
                channels=3,
                resolution=32,
                sizes=(50_000, 5_000, 5_000),
                recipe=None,
                source="Krizhevsky 2009; the published halves of the test images are valid and test",
            ),
            DatasetInfo(
                name="imagenet16-120",
                classes=120,
                channels=3,
                resolution=16,
                sizes=(151_700, 3_000, 3_000),
                recipe=None,
                source="Chrabaszcz et al. 2017, first 120 classes; the published halves of its validation images",
            ),
        )
    }
)

_RECIPE_OF_SPACE = {
    "nb201": "nb201-12",
    "nats-sss": "nats-sss-12",
    **{space.name: "nb101-108" for space in NB101_SPACES},
}
_RECIPE_ON = {(space.name, DEFAULT_DATASET): "nb101-digits" for space in NB101_SPACES}
_RECIPE_OF_OTHER_SPACES = "nb201-12"  # a space of the user's own


def recipe_names() -> tuple[str, ...]:
    """Return the names of all recipes."""
    return tuple(RECIPES)


def get_recipe(name: str) -> Recipe:
    """Return the recipe called ``name``; raises `UnknownName` with near names."""
    try:
        return RECIPES[name]
    except KeyError:
        raise UnknownName("recipe", name, RECIPES) from None


def dataset_names() -> tuple[str, ...]:
    """Return the names of all data sets; ``imagefolder:PATH`` stands for any folder of images."""
    return (*DATASETS, f"{IMAGE_FOLDER}PATH")


def is_image_folder(dataset: str) -> bool:
    """Tell whether ``dataset`` names a user's folder of images (``imagefolder:PATH``)."""
    return dataset.startswith(IMAGE_FOLDER)


def check_dataset(dataset: str) -> str:
    """Return the name under which results of ``dataset`` are stored.

    A folder of images is named by its full path, so that the ways to write one path are one table, and the same
    words in two working directories are two.

    Raises:
        UnknownName: There is no such data set.
        InvalidSetting: The path of the folder is missing.
    """
    if is_image_folder(dataset):
        if dataset == IMAGE_FOLDER:
            raise InvalidSetting("imagefolder: needs the path of a folder, such as imagefolder:/data/flowers.")
        return IMAGE_FOLDER + str(Path(dataset.removeprefix(IMAGE_FOLDER)).expanduser().resolve())
    if dataset not in DATASETS:
        raise UnknownName("dataset", dataset, dataset_names())
    return dataset


def default_recipe(dataset: str, space: str = "nb201") -> str:
    """Return the name of the recipe used for ``dataset`` where none is named: its own, or that of the search space."""
    check_dataset(dataset)
    own = None if is_image_folder(dataset) else DATASETS[dataset].recipe
    own = _RECIPE_ON.get((space, dataset), own)
    return own or _RECIPE_OF_SPACE.get(space, _RECIPE_OF_OTHER_SPACES)
