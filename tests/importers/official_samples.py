"""Official records for tests: made up, of the published shape, from a seed. And the real ones, where they are."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np

from nasgym.importers.official_names import OFFICIAL_DATASETS
from nasgym.spaces import get_space

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "nats-bench-samples"
TRAIN_IMAGES = {"cifar10-valid": 25_000, "cifar10": 50_000, "cifar100": 50_000, "ImageNet16-120": 151_700}
SEEDS = {
    ("nb201", "12"): {name: [777, 111] if name == "cifar10-valid" else [111] for name in OFFICIAL_DATASETS},
    ("nb201", "200"): dict.fromkeys(OFFICIAL_DATASETS, [999, 777, 888]),
    ("nats-sss", "01"): dict.fromkeys(OFFICIAL_DATASETS, [777]),
    ("nats-sss", "12"): dict.fromkeys(OFFICIAL_DATASETS, [777, 888, 999]),
    ("nats-sss", "90"): dict.fromkeys(OFFICIAL_DATASETS, [777]),
}
HPS = {"nb201": ("12", "200"), "nats-sss": ("01", "12", "90")}


def averaged(rng, n, low, high, images, batch=256):
    """Averages over an epoch as the files have them: of float32 values, weighted with the sizes of their batches."""
    sizes = np.full(-(-images // batch), batch)
    sizes[-1] = images - batch * (len(sizes) - 1)
    curve = np.linspace(low, high, n)[:, None] * rng.uniform(0.95, 1.05, (n, len(sizes)))
    return (curve.astype(np.float32).astype(np.float64) * sizes).sum(axis=1) / images


def counted(rng, n, low, high, images):
    """Accuracies in percent of whole images."""
    return [float(c) * 100.0 / images for c in (np.linspace(low, high, n) + rng.normal(0, 0.5, n)) / 100 * images // 1]


def trial(rng, dataset, seed, hp, config, *, params=0.129306, flop=15.64737, times=True):
    """One ``ResultsCount.state_dict()``."""
    epochs, images = int(hp), TRAIN_IMAGES[dataset]
    second = float(rng.uniform(5, 20)) * images / 25_000
    sizes = {"x-valid": 25_000 if dataset == "cifar10-valid" else 5_000, "x-test": 5_000, "ori-test": 10_000}
    state = {
        "name": dataset,
        "net_state_dict": None,
        "train_acc1es": dict(enumerate(averaged(rng, epochs, 30, 95, images).tolist())),
        "train_acc5es": dict(enumerate(counted(rng, epochs, 80, 99, images))) if hp != "200" else None,
        "train_losses": dict(enumerate(averaged(rng, epochs, 2.0, 0.01, images).tolist())),
        "train_times": OrderedDict((e, second) for e in range(epochs)) if times else None,
        "arch_config": config,
        "params": np.float64(params),
        "flop": flop,
        "seed": f"{seed:04d}",
        "epochs": epochs,
        "latency": [np.float64(rng.uniform(0.01, 0.02))],
        "eval_names": [],
        "eval_acc1es": {},
        "eval_times": {},
        "eval_losses": {},
    }
    for name in OFFICIAL_DATASETS[dataset].splits:
        first = epochs - 1 if hp == "200" and _only_last(dataset, name) else 0
        state["eval_names"].append(name)
        for what, values in (
            ("eval_acc1es", counted(rng, epochs, 25, 90, sizes[name])),
            ("eval_losses", averaged(rng, epochs, 2.0, 0.5, sizes[name]).tolist()),
        ):
            state[what] |= {f"{name}@{e}": v for e, v in enumerate(values) if e >= first}
        if times:
            state["eval_times"] |= dict.fromkeys([f"{name}@{e}" for e in range(epochs)], second * sizes[name] / images)
    return state


def _only_last(dataset, name):
    return name == "ori-test" if dataset == "cifar10-valid" else dataset != "cifar10" and name != "ori-test"


def arch_state(rng, space, index, hp, seeds=None, **how):
    """One ``ArchResults.state_dict()``; ``seeds`` is data set -> seeds, in the order of the file."""
    found = get_space(space)
    text = found.to_str(found.from_index([index]))[0]
    wanted = SEEDS[space, hp] if seeds is None else seeds
    results = {}
    for dataset, of_dataset in wanted.items():
        known = OFFICIAL_DATASETS[dataset]
        macro, genotypes = known.macro(space), found.from_index([index])
        config = {"channel": 16, "num_cells": 5, "arch_str": text, "class_num": known.classes}
        if space == "nats-sss":
            cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
            config = {"name": "infer.shape.tiny", "channels": text, "arch_str": text, "genotype": cell}
            config["class_num"] = known.classes
        for seed in of_dataset:
            costs = {
                "params": found.parameters(genotypes, macro)[0] / 1e6,
                "flop": float(found.flops(genotypes, macro)[0] / 1e6),
            }
            results[dataset, seed] = trial(rng, dataset, seed, hp, config, **costs, **how)
    return {
        "arch_index": index,
        "arch_str": text,
        "all_results": results,
        "dataset_seed": {dataset: sorted(of_dataset) for dataset, of_dataset in wanted.items()},
        "clear_net_done": True,
    }
