"""`nasgym query` and `nasgym train`: one architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nasgym.cli import show
from nasgym.cli.options import Device, ShareEqual, StorePath, TaskName, seed_policy
from nasgym.task.making import DEFAULT_TASK

if TYPE_CHECKING:
    from nasgym.benchmark import Benchmark, SeedPolicy
    from nasgym.results import Evaluation
    from nasgym.store import Store
    from nasgym.training import EpochReport

__all__ = ["fetch", "query", "train"]

Architecture = Annotated[str, typer.Argument(metavar="ARCH", help="An architecture string (in quotes) or an index.")]
Dataset = Annotated[str | None, typer.Option(help="The data set, instead of that of --task.")]
Recipe = Annotated[str | None, typer.Option(help="The training recipe.")]
_METRICS = ("train_accuracy", "valid_accuracy", "test_accuracy", "train_seconds")


def query(
    architecture: Architecture,
    task: TaskName = DEFAULT_TASK,
    dataset: Dataset = None,
    recipe: Recipe = None,
    seed: Annotated[str | None, typer.Option(metavar="mean|N", help="One stored training.  [default: all]")] = None,
    epoch: Annotated[int | None, typer.Option(min=1, help="After so many epochs.  [default: the last]")] = None,
    share_equal: ShareEqual = None,
    store: StorePath = None,
) -> None:
    """Show what is known of one architecture: accuracies, seconds, parameters, FLOPs. Nothing is trained.

    \b
    Examples:
      nasgym query 6111 --task nb201/cifar10
      nasgym query "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|" \\
          --task nb201/cifar10 --recipe nb201-200
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.store import open_store
    from nasgym.task import make_benchmark

    opened, name, policy = open_store(store), _task_name(task, dataset), seed_policy(seed)
    recipes: list[str | None] = [recipe] if recipe else [*_stored_recipes(opened, name)]
    found = [
        make_benchmark(name, recipe=r, on_missing="error", share_equal=share_equal, store=opened)
        for r in recipes or [None]
    ]
    index = found[0].index_of(_parsed(architecture))
    answers = [(b, e.stopped_at(epoch)) for b in found for e in _stored(b, index, policy)]
    if not answers:
        found[0].query(index, policy or "mean")  # raises with what can be done
    _describe(found[0], index)
    rows = [[b.key.recipe, str(e.seed), str(e.epochs), *_figures(e)] for b, e in answers]
    show.table(["recipe", "seed", "epochs", "train %", "valid %", "test %", "seconds"], rows)


def train(
    architecture: Architecture,
    task: TaskName = DEFAULT_TASK,
    dataset: Dataset = None,
    recipe: Recipe = None,
    seed: Annotated[int, typer.Option(help="The seed of the training.")] = 0,
    device: Device = "auto",
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set first (cifar10, cifar100).")] = False,
    store: StorePath = None,
) -> None:
    """Train one architecture, show its progress, and keep the result. What is stored already is not trained again.

    \b
    Examples:
      nasgym train 6111
      nasgym train 6111 --dataset cifar10 --recipe nb201-12 --seed 777 --download
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.task import make_benchmark

    name = _task_name(task, dataset)
    with show.counter("training", total=1.0) as advance:

        def on_epoch(report: EpochReport) -> None:
            note = f"epoch {report.epoch} of {report.epochs}, valid {report.valid_accuracy:.2%}"
            advance(report.epoch / report.epochs, note)

        benchmark = make_benchmark(
            name, recipe=recipe, on_missing="train", device=device, store=store, on_epoch=on_epoch
        )
        index = benchmark.index_of(_parsed(architecture))
        known = benchmark.store.get(benchmark.key, index, seed) is not None
        if download and not known:
            fetch(benchmark.key.dataset)
        evaluation = benchmark.query(index, seed)
    if known:
        show.status("already stored; nothing was trained.")
    _describe(benchmark, index)
    _print_epochs(evaluation)
    if evaluation.diverged:
        typer.secho("the training diverged: its accuracies are those of guessing.", fg="yellow", err=True)


def _task_name(task: str, dataset: str | None) -> str:
    return task if dataset is None else f"{task.partition('/')[0]}/{dataset}"


def _parsed(architecture: str) -> str | int:
    return int(architecture) if architecture.lstrip("-").isdecimal() else architecture


def _stored_recipes(store: Store, task: str) -> list[str]:
    from nasgym.recipes import check_dataset

    space, _, dataset = task.partition("/")
    return [key.recipe for key in store.keys() if (key.space, key.dataset) == (space, check_dataset(dataset))]


def _stored(benchmark: Benchmark, index: int, seed: SeedPolicy | None) -> list[Evaluation]:
    """Return what is stored of one training, or of all and their mean; nothing where nothing is."""
    if seed is not None:
        return _known(benchmark, index, seed)
    if benchmark.key not in benchmark.store:
        return []
    seeds = benchmark.store.info(benchmark.key).seeds
    every = [e for s in seeds if s != "mean" for e in _known(benchmark, index, s)]
    return every if len(every) == 1 else [*every, *_known(benchmark, index, "mean")]


def _known(benchmark: Benchmark, index: int, seed: SeedPolicy) -> list[Evaluation]:
    from nasgym.errors import MissingResult

    try:
        return [benchmark.query(index, seed)]
    except MissingResult:
        return []


def _describe(benchmark: Benchmark, index: int) -> None:
    """Print what an architecture is, whether it was trained or not."""
    from nasgym.recipes import DATASETS, get_recipe

    space, genotype = benchmark.space, benchmark.space.from_index([index])
    show.fact("architecture", space.to_str(genotype)[0])
    show.fact("index", f"{index} of {space.name}, {space.size:,} architectures")
    canonical = int(space.canonical(genotype)[0])
    same = "" if canonical == index else f": {space.to_str(space.from_index([canonical]))[0]}"
    show.fact("class of equal cells", f"{canonical}{same}")
    data = DATASETS.get(benchmark.key.dataset)
    if data is not None:
        macro = get_recipe(benchmark.key.recipe).macro(data.classes, data.channels, data.resolution)
        parameters, flops = int(space.parameters(genotype, macro)[0]), int(space.flops(genotype, macro)[0])
        show.fact("parameters", f"{parameters:,}")
        show.fact("FLOPs", f"{flops:,} multiply-accumulates per image")


def _figures(evaluation: Evaluation) -> list[str]:
    return [_text(evaluation.value(metric), 100 if "accuracy" in metric else 1) for metric in _METRICS]


def _print_epochs(evaluation: Evaluation) -> None:
    epochs = sorted({int(e) for s in evaluation.series.values() for e in s.epochs})
    rows = []
    for epoch in epochs:
        values = [evaluation.value(metric, epoch) for metric in _METRICS]
        rows.append([str(epoch), *(_text(v, 100 if "acc" in m else 1) for m, v in zip(_METRICS, values, strict=True))])
    show.table(["epoch", "train %", "valid %", "test %", "seconds"], rows)


def _text(value: float | None, factor: float) -> str:
    return "—" if value is None else f"{factor * value:.2f}"


def fetch(dataset: str) -> None:
    """Download a data set, and say where it lies."""
    from nasgym.training import download

    show.status(f"fetching {dataset} ...")
    show.status(f"{dataset} lies in {download(dataset)}")
