"""What bfloat16 autocast does to the accuracy and the seconds of whole trainings.

    OMP_NUM_THREADS=1 python benchmarks/bfloat16_accuracy.py --cells 12
    python benchmarks/bfloat16_accuracy.py --device cuda

Random cells of nb201/cluttered-digits are trained by PyTorch twice, in float32 and under autocast, with the same seed.
On a CPU the seconds are those of its cores, on a GPU those that go by. It needs torch, numpy and the training rooms of
nasgym, nothing else.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from nasgym.recipes import get_recipe
from nasgym.spaces import NB201
from nasgym.training import Trainer

SPACE = NB201()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="draws the cells")
    chosen = parser.parse_args()
    trainer = Trainer(
        SPACE, "cluttered-digits", get_recipe("cluttered-digits-10"), device=chosen.device, engine="eager"
    )
    print("| cell | float32 valid | bfloat16 valid | float32, s | bfloat16, s |\n|---|---|---|---|---|")
    table = np.array([pair(trainer, row) for row in SPACE.sample(np.random.default_rng(chosen.seed), chosen.cells)])
    difference = table[:, 1] - table[:, 0]
    error = difference.std(ddof=1) / np.sqrt(len(table)) if len(table) > 1 else np.nan
    print(f"mean difference of accuracy {difference.mean():+.4f}, standard error {error:.4f} (n={len(table)})")
    print(f"seconds under bfloat16 / in float32: {np.median(table[:, 3] / table[:, 2]):.2f} (median)")


def pair(trainer: Trainer, row: np.ndarray) -> tuple[float, ...]:
    """Train a cell both ways; return and print both accuracies, then both times in seconds."""
    clock = time.process_time if trainer.device.type == "cpu" else time.perf_counter
    values, spent = [], []
    for half in (False, True):
        start = clock()
        # without the cache: it would keep the first weights, cast, for as long as autocast is on
        with torch.autocast(trainer.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            values.append(float(trainer(row, 0).valid_accuracy or 0))
        spent.append(clock() - start)
    print(
        f"| {int(SPACE.index(row[None])[0])} | {' | '.join(f'{value:.4f}' for value in (*values, *spent))} |",
        flush=True,
    )
    return *values, *spent


if __name__ == "__main__":
    main()
