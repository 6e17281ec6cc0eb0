"""Zero-cost proxies beside trained accuracies: rank correlations, and what a score costs.

    python benchmarks/proxies.py
    python benchmarks/proxies.py --task nb201/cifar10 --store STORE --proxies flops,parameters,synflow

Scores architectures that are drawn uniformly and differ as networks, and correlates the scores with the validation
accuracies of the table. Prints the table of docs/agents-zero-cost.md: Spearman's rho and Kendall's tau with their
standard errors by resampling, rho among the better half alone, and processor seconds per architecture on one thread.
A line of proxies joined by + is their vote: the mean of their ranks.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata, spearmanr

from nasgym.recipes import get_recipe
from nasgym.spaces import Genotypes
from nasgym.task import Task, make_task
from nasgym.training.proxies import PROXIES, ProxyScorer

NAMES = ("flops", "parameters", *PROXIES)
VOTES = ("synflow+naswot", "flops+synflow+naswot")
RESAMPLES = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="nb201/cluttered-digits")
    parser.add_argument("--store", help="where the results are; the user's store if not given")
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=1, help="of first weights and minibatches; figures are means")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--proxies", default=",".join((*NAMES, *VOTES)))
    given = parser.parse_args()
    torch.set_num_threads(1)
    task = make_task(given.task, store=given.store, on_missing="error")
    rows = drawn(task, given.cells)
    accuracies = task.evaluate(rows).accuracies
    print(f"{len(rows)} architectures of {given.task}, {given.seeds} seeds, {given.images} images\n")
    print("| proxy | Spearman's rho | Kendall's tau | rho, better half | CPU milliseconds per architecture |")
    print("|---|---|---|---|---:|")
    known: dict[str, tuple[NDArray[np.float64], float]] = {}
    for name in given.proxies.split(","):
        for part in name.split("+"):
            if part not in known:
                known[part] = scored(task, part, rows, given.seeds, given.images)
        parts = [known[part] for part in name.split("+")]
        votes = np.mean([rankdata(scores, axis=1) for scores, _ in parts], axis=0) if len(parts) > 1 else parts[0][0]
        print(line(name, votes, accuracies, sum(seconds for _, seconds in parts)), flush=True)


def drawn(task: Task, n: int) -> Genotypes:
    """Return up to ``n`` architectures, drawn uniformly, of which no two are equal networks."""
    rows = task.space.sample(np.random.default_rng(0), 4 * n)
    _, first = np.unique(task.space.canonical(rows), return_index=True)
    return rows[np.sort(first)[:n]]


def scored(task: Task, proxy: str, rows: Genotypes, seeds: int, images: int) -> tuple[NDArray[np.float64], float]:
    """Return the scores ``float64[seeds, n]`` and the processor seconds per architecture."""
    key = task.benchmark.key
    recipe = get_recipe(key.recipe)
    began = time.process_time()
    if proxy not in PROXIES:
        macro = ProxyScorer(task.space, key.dataset, recipe).macro
        count = task.space.flops if proxy == "flops" else task.space.parameters
        scores = count(rows, macro).astype(np.float64)[None]
        return scores, (time.process_time() - began) / len(rows)
    scores, seconds = np.zeros((seeds, len(rows))), 0.0
    for seed in range(seeds):
        scorer = ProxyScorer(task.space, key.dataset, recipe, seed=seed, images=images, device="cpu")
        scorer(proxy, rows[0])  # what is loaded once is no cost of an architecture
        began = time.process_time()
        scores[seed] = [scorer(proxy, row) for row in rows]
        seconds += time.process_time() - began
    return scores, seconds / scores.size


def line(name: str, scores: NDArray[np.float64], accuracies: NDArray[np.float64], seconds: float) -> str:
    """Return a proxy's row of the table."""
    better = accuracies >= np.median(accuracies)
    rho = with_error(lambda s, a: float(spearmanr(s, a)[0]), scores, accuracies)
    tau = with_error(lambda s, a: float(kendalltau(s, a)[0]), scores, accuracies)
    top = np.mean([spearmanr(s[better], accuracies[better])[0] for s in scores])
    return f"| `{name}` | {rho} | {tau} | {top:.2f} | {1000 * seconds:.2f} |"


def with_error(statistic, scores, accuracies) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Return the mean over seeds, and the standard deviation over resampled architectures of the first seed."""
    rng = np.random.default_rng(1)
    value = np.mean([statistic(s, accuracies) for s in scores])
    again = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(accuracies), len(accuracies))
        again.append(statistic(scores[0][chosen], accuracies[chosen]))
    return f"{value:.2f} ± {np.std(again):.2f}"


if __name__ == "__main__":
    main()
