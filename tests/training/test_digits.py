"""The embedded images never change, and no digit serves two splits."""

from __future__ import annotations

import numpy as np
import pytest

from nasgym.recipes import DATASETS, get_recipe
from nasgym.training import ImageData, fingerprint, load_dataset
from nasgym.training import digits as digits_module
from nasgym.training.digits import Clutter, cluttered_digits

PINNED = "281932fa5ecdcd5a39b89f76fe469fcc6b960a5bcf3b7899bbb35d421512616d"


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_dataset("cluttered-digits")


def test_the_images_never_change(data: ImageData) -> None:
    assert data.fingerprint == PINNED
    assert DATASETS["cluttered-digits"].fingerprint == PINNED
    assert fingerprint("cluttered-digits") == PINNED


def test_what_is_known_of_it_is_true(data: ImageData) -> None:
    info = DATASETS["cluttered-digits"]
    assert (len(data.train), len(data.valid), len(data.test)) == info.sizes
    assert (len(data.classes), data.channels, data.resolution) == (info.classes, info.channels, info.resolution)
    assert get_recipe(info.recipe).epochs == 10
    for split in (data.train, data.valid, data.test):
        assert np.bincount(split.labels.numpy()).tolist() == [len(split) // 10] * 10  # guessing gives exactly 10%


def test_no_digit_serves_two_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each digit a brightness of its own and look which ones appear in which split."""
    numbers = np.arange(240)
    marked = np.zeros((240, 8, 8), dtype=np.uint8) + (10 + numbers).astype(np.uint8)[:, None, None]
    monkeypatch.setattr(digits_module, "_digits", lambda: (marked, numbers % 10))
    made = cluttered_digits(Clutter(noise=0, fragments=1, sizes=(600, 300, 300), sources=(120, 60, 60)))
    seen = [set(np.unique(split.images.numpy()).tolist()) - {0} for split in (made.train, made.valid, made.test)]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert len(seen[0] | seen[1] | seen[2]) > 220


def test_each_image_holds_a_digit_of_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.arange(200)
    marked = np.zeros((200, 8, 8), dtype=np.uint8) + (20 * (numbers % 10) + 20).astype(np.uint8)[:, None, None]
    monkeypatch.setattr(digits_module, "_digits", lambda: (marked, numbers % 10))
    made = cluttered_digits(Clutter(noise=0, fragments=0, sizes=(50, 20, 20), sources=(100, 50, 50)))
    for image, label in zip(made.train.images, made.train.labels, strict=True):
        assert image.unique().tolist() == [0, 20 * int(label) + 20]
        assert int((image > 0).sum()) == 64


def test_another_seed_gives_other_images(data: ImageData) -> None:
    assert cluttered_digits(Clutter(seed=1)).fingerprint != data.fingerprint
