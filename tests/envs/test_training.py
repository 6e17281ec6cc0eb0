"""Training on a miss, through the environment: what was trained once is never trained again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import nasgym.training
from nasgym.recipes import RECIPES
from nasgym.store import Store

CHEAP = {  # the quickest networks that learn: a single skip, the fewest channels
    "nasgym/NB201-v0": [0, 0, 0, 1, 0, 0],
    "nasgym/NATS-SSS-v0": [0, 0, 0, 0, 0],
}


def episode(env_id: str, dataset: str, recipe: str | None = None) -> dict[str, Any]:
    env = gymnasium.make(env_id, dataset=dataset, recipe=recipe, device="cpu")
    env.reset(seed=0)
    for choice in CHEAP[env_id]:
        *_, info = env.step(choice)
    return info


def images(folder: Path) -> Path:
    """Make a folder of 60 small images in two classes, dark and bright."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, level in (("bright", 200), ("dark", 60)):
        (folder / name).mkdir(parents=True)
        for i in range(30):
            pixels = np.clip(rng.normal(level, 30, (12, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["digits", "folder"])
@pytest.mark.parametrize("env_id", CHEAP)
def test_a_miss_is_trained_stored_and_never_trained_again(
    env_id: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = "cluttered-digits" if kind == "digits" else f"imagefolder:{images(tmp_path / 'images')}"
    recipe = next(name for name in RECIPES if name.startswith("cluttered-digits"))
    first = episode(env_id, dataset, recipe)
    assert first["counted"] and first["evaluation_seconds"] > 0 and 0 < first["accuracy"] <= 1
    (table,) = Store().tables()
    assert (table.rows, table.architectures) == (1, 1)

    def no_training(*_: Any, **__: Any) -> None:
        raise AssertionError("it was trained again")

    monkeypatch.setattr(nasgym.training, "Trainer", no_training)
    again = episode(env_id, dataset, recipe)
    assert {key: again[key] for key in ("architecture", "accuracy", "evaluation_seconds")} == {
        key: first[key] for key in ("architecture", "accuracy", "evaluation_seconds")
    }
