"""Evaluations to put into stores."""

from collections.abc import Sequence

from nasgym.results import Evaluation, Seed, Series, TableKey

KEY = TableKey("nb201", "cifar10", "nb201-12")
OTHER = TableKey("nb201", "imagefolder:/data/my flowers", "nb201-200")


def evaluation(
    index: int, seed: Seed = 0, accuracy: float = 63.364, *, blob: str = "", epochs: Sequence[int] = (12,)
) -> Evaluation:
    series = {
        "valid_accuracy": Series.of([accuracy + e / 1000 for e in range(len(epochs))], epochs, "percent"),
        "train_seconds": Series.of([7.5 * e for e in epochs], epochs, "seconds"),
    }
    return Evaluation(index, seed, epochs[-1], series, provenance={"tool": "test", "blob": blob})
