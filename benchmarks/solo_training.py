"""What makes one training on one CPU core fast: memory layout, dead edges, evaluation batch, threads.

Prints the least seconds of several passes (other programs only add to them) over the splits of ``cluttered-digits``.

    OMP_NUM_THREADS=1 python benchmarks/solo_training.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from nasgym.networks.nb201 import NB201Network
from nasgym.recipes import DATASETS, get_recipe
from nasgym.spaces import NB201
from nasgym.training import load_dataset
from nasgym.training.augment import Pixels, TrainPixels, plan_epoch
from nasgym.training.loop import evaluate, make_optimizer, train_epoch

REPEATS = 5
RANDOM_CELLS = 12
DATA = load_dataset("cluttered-digits")
RECIPE = get_recipe(DATASETS["cluttered-digits"].recipe)
TRAIN = TrainPixels(DATA, torch.device("cpu"), 0)
VALID = Pixels(DATA.valid, DATA, torch.device("cpu"))
SPACE = NB201()


def least(work: Callable[[], object]) -> float:
    """Return the least seconds of several calls, after one that does not count."""
    work()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def network(index: int, layout: torch.memory_format, skip_dead: bool) -> nn.Module:
    torch.manual_seed(0)
    macro = RECIPE.macro(len(DATA.classes), DATA.channels, DATA.resolution)
    return NB201Network(SPACE.from_index([index])[0], macro, skip_dead).to(memory_format=layout)


def train_pass(index: int, layout: torch.memory_format = torch.channels_last, skip_dead: bool = True) -> float:
    net = network(index, layout, skip_dead)
    optimizer = make_optimizer(net, RECIPE)
    plan = plan_epoch(len(TRAIN), 0, 0, 0, False)

    return least(lambda: train_epoch(net, optimizer, TRAIN.planned(plan, RECIPE.batch_size), RECIPE.learning_rate))


def main() -> None:
    torch.set_num_threads(1)
    cells = SPACE.index(SPACE.sample(np.random.default_rng(0), RANDOM_CELLS)).tolist()
    print(f"torch {torch.__version__}, one epoch of {len(TRAIN)} images, mean of {RANDOM_CELLS} random cells, seconds")
    variants: dict[str, tuple[torch.memory_format, bool]] = {
        "as it is (channels last, dead edges left out)": (torch.channels_last, True),
        "channels first": (torch.contiguous_format, True),
        "dead edges computed": (torch.channels_last, False),
    }
    for name, (layout, skip_dead) in variants.items():
        print(f"  {name:46} {np.mean([train_pass(i, layout, skip_dead) for i in cells]):.3f}")
    net = network(cells[0], torch.channels_last, True)
    for size in (125, 250, 500, 1000, 3000):
        print(f"  validation, batches of {size:4}: {least(lambda size=size: evaluate(net, VALID.batches(size))):.3f}")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        print(f"  an epoch of the cell of 3x3 convolutions with {threads} threads: {train_pass(1462):.3f}")


if __name__ == "__main__":
    main()
