"""A module trained from scratch; what the original's `evaluate` does on a TPU."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nasgym.compat.nasbench.lib.model_spec import ModelSpec
from nasgym.errors import InvalidSetting
from nasgym.recipes import DATASETS, Recipe, get_recipe
from nasgym.results import Evaluation
from nasgym.spaces import NB101

__all__ = ["evaluate", "recipe_of"]

_FIXED = {"num_stacks": 3, "num_labels": 10, "lr_decay_method": "COSINE_BY_STEP"}
_POINT = {
    "training_time": "train_seconds",
    "train_accuracy": "train_accuracy",
    "validation_accuracy": "valid_accuracy",
    "test_accuracy": "test_accuracy",
}


def recipe_of(config: Mapping[str, Any]) -> Recipe:
    """Return the recipe that settings describe: ``nb101-108`` with the published ones.

    Raises:
        InvalidSetting: A setting has a value that the trainer does not know; a ValueError.
    """
    for name, known in _FIXED.items():
        if config[name] != known:
            raise InvalidSetting(f"nasgym trains modules of NAS-Bench-101 with {name}={known!r}; got {config[name]!r}.")
    epochs = config["train_epochs"]
    if not isinstance(epochs, int) or epochs < 1:
        raise InvalidSetting(f"train_epochs is a whole number, 1 or more; got {epochs!r}.")
    return replace(
        get_recipe("nb101-108"),
        name=f"nb101-{epochs}",
        epochs=epochs,
        batch_size=config["batch_size"],
        learning_rate=config["learning_rate"] * config["tpu_num_shards"],
        momentum=config["momentum"],
        weight_decay=config["weight_decay"],
        channels=config["stem_filter_size"],
        cells_per_stage=config["num_modules_per_stack"],
    )


def evaluate(
    spec: ModelSpec, index: int, config: Mapping[str, Any], folder: str | os.PathLike[str], seed: int
) -> dict[str, Any]:
    """Train a module and return its final numbers in the form of a query; see `nasgym.compat.nasbench.api.NASBench`."""
    from nasgym.training import Trainer

    recipe, space, start = recipe_of(config), NB101(), time.perf_counter()
    path, genotype = Path(folder), space.from_index([index])
    path.mkdir(parents=True, exist_ok=True)
    trained = Trainer(space, "cifar10", recipe, checkpoints=path)(genotype[0], seed)
    data = DATASETS["cifar10"]
    macro = recipe.macro(data.classes, data.channels, data.resolution)
    points = [_point(trained, epoch) for epoch in sorted({recipe.epochs // 2, recipe.epochs} - {0})]
    metadata = {
        "trainable_params": int(space.parameters(genotype, macro)[0]),
        "total_time": time.perf_counter() - start,
        "evaluation_results": points,
    }
    (path / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")
    return {
        "module_adjacency": spec.matrix,
        "module_operations": spec.ops,
        "trainable_parameters": metadata["trainable_params"],
        **{name: points[-1][name] for name in _POINT},
    }


def _point(trained: Evaluation, epoch: int) -> dict[str, Any]:
    """Return the numbers after some epochs."""
    return {"current_epoch": epoch} | {name: trained.value(metric, epoch) for name, metric in _POINT.items()}
