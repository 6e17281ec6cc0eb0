"""Write the figures of docs/tables.md and docs/nb101.md and draw their pictures, from the embedded tables alone.

python docs/embedded_table.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.stats import spearmanr

from nasgym.benchmark import Benchmark
from nasgym.recipes import DATASETS, get_recipe
from nasgym.results import TableKey
from nasgym.spaces import get_space
from nasgym.store import open_store
from nasgym.tables import PackedTable, embedded_table

PAGES = (
    (TableKey("nb201", "cluttered-digits", "cluttered-digits-10"), "tables.md", "table"),
    (TableKey("nb101-5", "cluttered-digits", "nb101-digits"), "nb101.md", "table-nb101-5"),
)
"""Each embedded table, the page of its figures, and how the names of its pictures begin."""
BEGIN, END = "<!-- figures: written by docs/embedded_table.py -->\n", "<!-- end of figures -->\n"
DOCS = Path(__file__).parent
PURPLE, ORANGE, GREY = "#4b2e83", "#d9730d", "#8a8a8a"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """An embedded table, as arrays over the architectures that answer for themselves or for an equal one."""

    key: TableKey
    packed: PackedTable
    benchmark: Benchmark

    def values(self, metric: str, epoch: int | None = None) -> Floats:
        """Return ``float64[S, T]``: every seed of the architectures that were trained with all of them."""
        return self.packed.values(metric, epoch)[:, self.trained]

    @cached_property
    def trained(self) -> NDArray[np.int64]:
        """Indices of the architectures that were trained with every seed, ``int64[T]``."""
        return np.flatnonzero(self.packed.stored().all(axis=0))

    @cached_property
    def connected(self) -> NDArray[np.bool_]:
        """``bool[T]``: those whose output depends on the image, as what they have learnt shows."""
        return self.values("valid_accuracy").mean(axis=0) > 1.05 / DATASETS[self.key.dataset].classes

    def mean(self, metric: str, epoch: int | None = None) -> Floats:
        """Return the mean over seeds of every architecture of the space, ``float64[N]``."""
        return self.benchmark.view((metric,), epoch).means(metric)


def main() -> None:
    """Rewrite the figures of the pages, and the pictures."""
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3})
    for key, page, pictures in PAGES:
        rewrite(key, DOCS / page, pictures)


def rewrite(key: TableKey, page: Path, pictures: str) -> None:
    """Rewrite the figures of one table, and draw its pictures."""
    packed = embedded_table(key)
    assert packed is not None, f"there is no embedded table {key}"
    look = Look(key, packed, Benchmark(get_space(key.space), key, open_store(DOCS / "no-such-store")))
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(before + BEGIN + "\n".join(["", *figures(look), "", END]) + after, encoding="utf-8")
    for name, draw in (("accuracies", accuracies), ("epochs", epochs), ("cost", cost)):
        figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
        draw(look, *axes)
        figure.savefig(DOCS / "images" / f"{pictures}-{name}.png", dpi=110)
        plt.close(figure)


def figures(look: Look) -> Iterator[str]:
    """Yield the lines of the table of figures."""
    space, valid, test = look.benchmark.space, look.mean("valid_accuracy"), look.mean("test_accuracy")
    seconds = look.benchmark.view(("valid_accuracy", "train_seconds")).means("train_seconds")
    seeds = len(look.packed.seeds)
    size = sum(file.stat().st_size for file in look.packed.path.iterdir()) / 1e6
    yield "| what | value |"
    yield "|---|---|"
    with_seeds = "one seed" if seeds == 1 else f"{seeds} seeds"
    trainings = int(look.packed.made["trainings"])
    yield f"| trainings | {trainings:,}: {len(look.trained):,} architectures, {with_seeds} |"
    yield f"| architectures that answer | {int((~np.isnan(valid)).sum()):,} of {space.size:,} |"
    yield f"| size | {size:.2f} MB |"
    yield f"| made by | `{look.packed.made['command']}` |"
    made = look.packed.made
    yield f"| versions, hardware | nasgym {made['nasgym']}, torch {made['torch']}; {made['device']} |"
    yield f"| dates | {look.packed.made['dates']} |"
    yield f"| valid accuracy, whole space | {_quantiles(valid)} |"
    yield f"| test accuracy, whole space | {_quantiles(test)} |"
    yield f"| seconds of a training, whole space | {_quantiles(seconds, 1, '')} |"
    for metric, values in (("valid", valid), ("test", test)):
        i = int(np.nanargmax(values))
        yield f"| best by {metric} accuracy | {i}, `{_name(look, i)}`: valid {valid[i]:.2%}, test {test[i]:.2%} |"
    yield f"| valid and test accuracy rank alike | Spearman's rho {_rho(valid, test):.3f} |"
    yield f"| parameters and valid accuracy | Spearman's rho {_rho(_parameters(look), valid):.3f} |"
    yield from _noise(look)


def _noise(look: Look) -> Iterator[str]:
    """Yield what two seeds say of each other, where there are two."""
    values = look.values("valid_accuracy")[:, look.connected]
    if len(values) < 2:
        return
    spread = values.std(axis=0, ddof=1)
    upper = values.mean(axis=0) >= np.median(values.mean(axis=0))
    rhos = [spearmanr(a, b).statistic for a, b in combinations(values, 2)]
    halves = [spearmanr(a[upper], b[upper]).statistic for a, b in combinations(values, 2)]
    pooled = [100 * np.sqrt(np.mean(spread[half] ** 2)) for half in (upper, ~upper)]
    yield f"| deviation of a seed | {pooled[0]:.2f} points in the upper half, {pooled[1]:.2f} in the lower |"
    yield f"| two seeds rank alike | Spearman's rho {np.mean(rhos):.3f}, upper half {np.mean(halves):.3f} |"


def accuracies(look: Look, left: Axes, right: Axes) -> None:
    """Draw how accuracies are distributed, and what a second seed says."""
    bins = np.linspace(0.05, 0.85, 81)
    for metric, colour in (("valid_accuracy", PURPLE), ("test_accuracy", ORANGE)):
        left.hist(
            100 * look.mean(metric),
            100 * bins,
            histtype="step",
            linewidth=1.6,
            color=colour,
            label=metric.partition("_")[0],
        )
    left.set(
        xlabel="accuracy, %",
        ylabel="architectures",
        title=f"All {look.benchmark.space.size:,} architectures",
        yscale="log",
    )
    left.legend(frameon=False)
    values = look.values("valid_accuracy")
    if len(values) > 1:
        right.scatter(*(100 * values[:2]), s=2, color=PURPLE, alpha=0.35, linewidths=0)
        right.set(xlabel="seed 0, valid %", ylabel="seed 1, valid %", title="The noise of a seed")
    else:
        right.scatter(
            100 * values[0], 100 * look.values("test_accuracy")[0], s=2, color=PURPLE, alpha=0.35, linewidths=0
        )
        right.set(xlabel="valid %", ylabel="test %", title="Valid and test accuracy of one training")


def epochs(look: Look, left: Axes, right: Axes) -> None:
    """Draw learning curves, and how well early epochs rank."""
    count = np.arange(1, look.packed.epochs + 1)
    connected = look.connected
    curves = np.stack([look.values("valid_accuracy", int(e)).mean(axis=0)[connected] for e in count])
    for low, high, alpha in ((0.05, 0.95, 0.2), (0.25, 0.75, 0.35)):
        band = 100 * np.quantile(curves, [low, high], axis=1)
        left.fill_between(count, *band, color=PURPLE, alpha=alpha, linewidth=0, label=f"{low:.0%} to {high:.0%}")
    left.plot(count, 100 * np.median(curves, axis=1), color=PURPLE, linewidth=2, label="median")
    left.set(xlabel="epoch", ylabel="valid %", title="Learning curves")
    left.legend(frameon=False, loc="lower right")
    final = look.values("valid_accuracy")[:, connected]
    upper = final.mean(axis=0) >= np.median(final.mean(axis=0))
    for mask, colour, label in ((np.ones_like(upper), PURPLE, "all cells that learn"), (upper, ORANGE, "upper half")):
        rhos = [_early(look, int(e), final, connected, mask) for e in count]
        right.plot(count, rhos, marker="o", color=colour, label=label)
    right.set(xlabel="epoch", ylabel="Spearman's rho with the end", title=_early_title(final), ylim=(-0.05, 1.05))
    right.legend(frameon=False, loc="lower right")


def _early(look: Look, epoch: int, final: Floats, connected: NDArray[np.bool_], mask: NDArray[np.bool_]) -> float:
    """Return how one seed at an epoch ranks like the end of the other seeds (of itself where there is one)."""
    early = look.values("valid_accuracy", epoch)[:, connected]
    others = [np.delete(final, s, axis=0).mean(axis=0) if len(final) > 1 else final[0] for s in range(len(final))]
    return float(np.mean([spearmanr(e[mask], o[mask]).statistic for e, o in zip(early, others, strict=True)]))


def _early_title(final: Floats) -> str:
    return (
        "An epoch against the end of the other seeds" if len(final) > 1 else "An epoch against the same training's end"
    )


def cost(look: Look, left: Axes, right: Axes) -> None:
    """Draw accuracy against seconds and against parameters."""
    view = look.benchmark.view(("valid_accuracy", "train_seconds"))
    valid = 100 * look.mean("valid_accuracy")
    for axis, values, label in (
        (left, view.means("train_seconds"), "seconds of a training, by the cost model"),
        (right, _parameters(look).astype(np.float64) / 1e3, "thousand parameters"),
    ):
        axis.scatter(values, valid, s=2, color=PURPLE, alpha=0.3, linewidths=0)
        order = np.lexsort((-valid, values))[: int((~np.isnan(valid)).sum())]  # what is unknown comes last
        front = order[np.diff(np.maximum.accumulate(np.concatenate([[-np.inf], valid[order]]))) > 0]
        axis.plot(
            values[front], valid[front], color=ORANGE, marker="o", markersize=3, linewidth=1, label="Pareto front"
        )
        axis.set(xlabel=label, ylabel="valid %")
        axis.legend(frameon=False, loc="lower right")


def _parameters(look: Look) -> NDArray[np.int64]:
    space, data = look.benchmark.space, DATASETS[look.key.dataset]
    macro = get_recipe(look.key.recipe).macro(data.classes, data.channels, data.resolution)
    return space.parameters(space.from_index(np.arange(space.size)), macro)


def _name(look: Look, index: int) -> str:
    return look.benchmark.space.to_str(look.benchmark.space.from_index([index]))[0].replace("|", "\\|")


def _quantiles(values: Floats, factor: float = 100, unit: str = "%") -> str:
    low, first, middle, third, high = factor * np.nanquantile(values, [0, 0.25, 0.5, 0.75, 1])
    return f"{low:.2f} to {high:.2f}{unit}; quartiles {first:.2f}, {middle:.2f}, {third:.2f}"


def _rho(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    return float(spearmanr(a, b, nan_policy="omit").statistic)


if __name__ == "__main__":
    main()
