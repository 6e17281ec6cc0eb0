"""Made-up results: a complete table without a single training, for tests and for trying out agents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nasgym.recipes import DEFAULT_DATASET, default_recipe, get_recipe
from nasgym.results import Evaluation, Series
from nasgym.spaces import Space, get_space
from nasgym.store import Store, TableKey

__all__ = ["fill_synthetic", "synthetic_evaluations"]

_PROVENANCE = {"source": "synthetic: made-up numbers, not the result of any training"}


def synthetic_evaluations(
    space: Space, *, epochs: int = 12, seeds: Sequence[int] = (0, 1, 2), size: int | None = None, noise: float = 0.01
) -> Iterator[Evaluation]:
    """Yield made-up trainings of the first ``size`` architectures (None: all), always the same ones.

    The accuracy is a sum of one random worth per choice, so that search has something to find; seeds differ by
    Gaussian ``noise``. Training takes 5 to 15 seconds.

    Args:
        space: The search space.
        epochs: Epochs of the trainings; accuracies rise along them.
        seeds: One training per architecture and seed.
        size: How many architectures, in index order.
        noise: Standard deviation of the accuracy over seeds, a fraction.
    """
    n = space.size if size is None else size
    rng = np.random.default_rng(0)
    genotypes = space.from_index(np.arange(n))
    worth = rng.normal(size=(space.num_decisions, int(space.choices.max())))
    total = worth[np.arange(space.num_decisions), genotypes].sum(axis=1)
    level = 0.5 + 0.3 * np.tanh(total / np.sqrt(space.num_decisions) / 2)
    seconds = 5 + 10 * rng.random(n)
    rise = np.linspace(0.6, 1.0, epochs)
    every = np.arange(1, epochs + 1)
    for index in range(n):
        for seed in seeds:
            final = np.clip(level[index] + noise * rng.normal(size=3), 0.01, 0.99)
            yield Evaluation(
                index=index,
                seed=seed,
                epochs=epochs,
                series={
                    "train_accuracy": Series.of(final[0] * rise, every, "fraction"),
                    "valid_accuracy": Series.of(final[1] * rise, every, "fraction"),
                    "test_accuracy": Series.of(final[2] * rise, every, "fraction"),
                    "train_seconds": Series.of(seconds[index] * every / epochs, every, "seconds"),
                    "valid_seconds": Series.of(np.full(epochs, 0.1), every, "seconds"),
                },
                provenance=_PROVENANCE,
            )


def fill_synthetic(
    store: Store,
    *,
    space: str = "nb201",
    dataset: str = DEFAULT_DATASET,
    recipe: str | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    size: int | None = None,
) -> TableKey:
    """Fill a table of ``store`` with made-up results (see `synthetic_evaluations`) and return its key."""
    found, rules = get_space(space), get_recipe(recipe or default_recipe(dataset, space))
    key = TableKey(found.name, dataset, rules.name)
    store.ensure_table(key, found.size)
    store.put(key, synthetic_evaluations(found, epochs=rules.epochs, seeds=seeds, size=size))
    return key
