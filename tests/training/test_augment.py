"""Crops, flips, normalisation and the order of the data."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasgym.errors import InvalidSetting
from nasgym.training import ImageData, Split
from nasgym.training.augment import EpochPlan, Pixels, TrainPixels, plan_epoch, resolve_padding

CPU = torch.device("cpu")


def _plain(images: torch.Tensor) -> ImageData:
    """Return a data set whose normalisation changes nothing."""
    split = Split(images, torch.arange(len(images)) % 2)
    channels = images.shape[1]
    return ImageData.of("x", ("a", "b"), (split, split, split), ((0.0,) * channels, (1.0,) * channels))


def test_crops_and_flips_are_those_of_the_plan() -> None:
    images = torch.arange(2 * 3 * 3, dtype=torch.uint8).view(2, 1, 3, 3)
    pixels = TrainPixels(_plain(images), CPU, padding=1)
    plan = EpochPlan(torch.tensor([1, 0]), torch.tensor([0, 2]), torch.tensor([1, 0]), torch.tensor([False, True]))
    ((batch, labels),) = pixels.planned(plan, 5)
    shifted_down = [[0, 0, 0], [9, 10, 11], [12, 13, 14]]  # image 1, first row is padding
    up_right_mirrored = [[4, 3, 0], [7, 6, 0], [0, 0, 0]]  # image 0: rows 1.. and a column of padding, then mirrored
    assert batch[:, 0].tolist() == [shifted_down, up_right_mirrored]
    assert labels.tolist() == [1, 0]


def test_without_crops_and_flips_images_pass_unchanged() -> None:
    images = torch.randint(0, 256, (5, 2, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    pixels = TrainPixels(_plain(images), CPU, padding=0)
    batches = list(pixels.planned(plan_epoch(5, 0, 0, 0, False), 2))
    assert [len(labels) for _, labels in batches] == [2, 2, 1]  # the smaller rest is used too
    order = plan_epoch(5, 0, 0, 0, False).order
    assert torch.equal(torch.cat([b for b, _ in batches]), images[order].float())


@given(st.integers(1, 60), st.integers(0, 2**40), st.integers(0, 300), st.integers(0, 4), st.booleans())
def test_plans_are_permutations_within_bounds_and_repeat(
    size: int, seed: int, epoch: int, padding: int, flip: bool
) -> None:
    plan, again = (plan_epoch(size, seed, epoch, padding, flip) for _ in range(2))
    assert sorted(plan.order.tolist()) == list(range(size))
    assert torch.equal(plan.order, again.order)
    assert (plan.flip is not None) == flip
    if padding:
        assert plan.top is not None and plan.left is not None
        assert 0 <= int(plan.top.min()) and int(plan.top.max()) <= 2 * padding
        assert 0 <= int(plan.left.min()) and int(plan.left.max()) <= 2 * padding
    else:
        assert plan.top is None and plan.left is None


def test_plans_differ_by_epoch_and_seed() -> None:
    plans = [plan_epoch(100, seed, epoch, 2, True).order.tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(p) for p in plans}) == 4


def test_crops_reach_every_corner_evenly() -> None:
    plan = plan_epoch(9000, 0, 0, 1, True)
    assert plan.top is not None and plan.left is not None and plan.flip is not None
    counts = torch.bincount(plan.top * 3 + plan.left, minlength=9)
    assert int(counts.min()) > 880 and int(counts.max()) < 1120  # 1,000 each, standard deviation 30
    assert 4300 < int(plan.flip.sum()) < 4700


def test_statistics_normalise_the_training_split(data: ImageData) -> None:
    pixels = Pixels(data.train, data, CPU)
    images = torch.cat([b for b, _ in pixels.batches(7)])
    assert float(images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(images.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_padding_of_recipes() -> None:
    assert [resolve_padding(None, side) for side in (32, 16, 12)] == [4, 2, 1]
    assert resolve_padding(0, 32) == 0


def test_splits_are_checked_at_the_door() -> None:
    good = torch.zeros(2, 1, 3, 3, dtype=torch.uint8)
    for images, labels in ((good.float(), 2), (good, 3), (good[0], 1), (good[..., :2], 2)):
        with pytest.raises(InvalidSetting, match="uint8 images"):
            Split(images, torch.zeros(labels, dtype=torch.int64))
