"""A data set and a recipe so small that a training takes a tenth of a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from nasgym.recipes import Recipe, get_recipe
from nasgym.training import ImageData, Split


def _split(size: int, seed: int) -> Split:
    """Return images whose class is the brighter half: top (0), bottom (1)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 100, (size, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.arange(size) % 2
    images[labels == 0, :, :4] += 100
    images[labels == 1, :, 4:] += 100
    return Split(images, labels)


@pytest.fixture
def data() -> ImageData:
    return ImageData.of("cluttered-digits", ("top", "bottom"), (_split(36, 0), _split(20, 1), _split(20, 2)))


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    def make(of: str = "cluttered-digits-10", **changes: object) -> Recipe:
        small = {"name": "tiny", "epochs": 3, "batch_size": 16, "channels": 2, "learning_rate": 0.1}
        return replace(get_recipe(of), **{**small, **changes})  # type: ignore[arg-type]

    return make
