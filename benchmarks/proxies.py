"""Zero-cost proxies beside trained accuracies: rank correlations, and what a score costs.

    python benchmarks/proxies.py
    python benchmarks/proxies.py --task nb201/cifar10 --store STORE --proxies flops,parameters,synflow
    python benchmarks/proxies.py --search 100
    python benchmarks/proxies.py --predictor

The first two lines score architectures that are drawn uniformly and differ as networks, and correlate the scores with
the validation accuracies of the table: Spearman's rho and Kendall's tau with their standard errors by resampling, rho
among the better half alone, and processor seconds per architecture on one thread. A row of proxies joined by + is their
vote: the mean of their ranks. The third line searches for so many simulated seconds with proxies and without, scores
charged by their operations. The fourth asks whether parameters and FLOPs help a predictor that has the counts of
operations: Kendall's tau on architectures that it has not seen, with the standard error over runs. All print tables of
docs/agents-zero-cost.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata, spearmanr

from nasgym.agents import get_agent
from nasgym.agents._predictors import Predictor
from nasgym.agents._proxies import different
from nasgym.recipes import get_recipe
from nasgym.spaces import Genotypes
from nasgym.study.scoring import score_tables
from nasgym.task import Task, make_task
from nasgym.training.proxies import PROXIES, ProxyScorer

NAMES = ("flops", "parameters", *PROXIES)
VOTES = ("synflow+naswot", "flops+synflow+naswot")
SEARCHES = (
    "random_search",
    "regularized_evolution",
    "regularized_evolution:warm",
    "regularized_evolution:warm-synflow",
    "zero_cost:flops",
    "zero_cost:synflow",
)
EVALUATIONS = (20, 50, 100)
RESAMPLES = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="nb201/cluttered-digits")
    parser.add_argument("--store", help="where the results are; the user's store if not given")
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=1, help="of first weights and minibatches; figures are means")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--proxies", default=",".join((*NAMES, *VOTES)))
    parser.add_argument("--search", type=float, metavar="SECONDS", help="search with so many simulated seconds")
    parser.add_argument("--predictor", action="store_true")
    parser.add_argument("--runs", type=int, default=100, help="of a search or a predictor")
    parser.add_argument("--scored-runs", type=int, default=5, help="of a search that runs networks; 0: leave those out")
    given = parser.parse_args()
    torch.set_num_threads(1)
    task = make_task(given.task, store=given.store, budget=given.search, on_missing="error")
    if given.search:
        return search(task, given.runs, given.scored_runs)
    if given.predictor:
        return predictor(task, given.runs)
    rank(task, drawn(task, given.cells), given)


def rank(task: Task, rows: Genotypes, given: argparse.Namespace) -> None:
    """Print the table of proxies."""
    accuracies = score_tables(task)[0].of(task.space.index(rows))
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
    return different(task.space, task.space.sample(np.random.default_rng(0), 4 * n))[:n]


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


def with_error(
    statistic: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    scores: NDArray[np.float64],
    accuracies: NDArray[np.float64],
) -> str:
    """Return the mean over seeds, and the standard deviation over resampled architectures of the first seed."""
    rng = np.random.default_rng(1)
    value = np.mean([statistic(s, accuracies) for s in scores])
    again = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(accuracies), len(accuracies))
        again.append(statistic(scores[0][chosen], accuracies[chosen]))
    return f"{value:.2f} ± {np.std(again):.2f}"


def search(task: Task, runs: int, scored_runs: int) -> None:
    """Print the table of searches, with the mean over the stored seeds of what they settle on."""
    known = score_tables(task)[0]
    print("| agent | runs | evaluations | valid | CPU seconds per run |\n|---|---:|---:|---|---:|")
    for spec in SEARCHES:
        scores = "synflow" in spec
        if scores and not scored_runs:
            continue
        agent = get_agent(spec, clock="operations") if scores else get_agent(spec)
        found, evaluations, began = [], [], time.process_time()
        for seed in range(scored_runs if scores else runs):
            task.restart(seed)
            agent.search(task, seed)
            if task.incumbent is not None:
                found.append(task.incumbent.index)
            evaluations.append(task.evaluations)
        seconds = (time.process_time() - began) / len(found)
        valid = 100 * known.of(np.array(found, dtype=np.int64))
        figures = f"{np.mean(evaluations):.1f} | {valid.mean():.2f} ± {valid.std(ddof=1):.2f} | {seconds:.2f}"
        print(f"| `{spec}` | {len(found)} | {figures} |", flush=True)


def predictor(task: Task, runs: int) -> None:
    """Print the table of predictors: fitted to evaluations, compared with means over the stored seeds."""
    known = score_tables(task)[0]
    print("| evaluations | without | with parameters and FLOPs |\n|---:|---|---|")
    for n in EVALUATIONS:
        taus: list[list[float]] = [[], []]
        for seed in range(runs):
            rows = different(task.space, task.space.sample(np.random.default_rng(seed), 1500 + n))
            seen, unseen = task.evaluate(rows[:n]).accuracies, known.of(task.space.index(rows[n:]))
            for features, own in zip(("", "parameters+flops"), taus, strict=True):
                made = Predictor(task.space, "forest", 30, features)
                made.fit(np.random.default_rng(seed), rows[:n], seen)
                own.append(float(kendalltau(made.predict(rows[n:]).mean(axis=0), unseen)[0]))
        figures = " | ".join(f"{np.mean(own):.3f} ± {np.std(own) / len(own) ** 0.5:.3f}" for own in taus)
        print(f"| {n} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
