"""`nasgym costs`: the seconds that the simulated clock charges for a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasgym.cli import show
from nasgym.cli.options import Device, StorePath, TaskName
from nasgym.errors import InvalidSetting, StoreDamaged, StoreError
from nasgym.task.making import DEFAULT_TASK

if TYPE_CHECKING:
    from nasgym.benchmark import Benchmark
    from nasgym.costs import CostModel

__all__ = ["costs"]


def costs(
    task: TaskName = DEFAULT_TASK,
    recipe: Annotated[str | None, typer.Option(help="The training recipe.  [default: the data set's]")] = None,
    cells: Annotated[int, typer.Option(min=2, help="Random architectures to measure.")] = 300,
    steps: Annotated[int, typer.Option(min=1, help="Steps per architecture and round; their median counts.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured; the median counts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Draws the architectures and their order.")] = 0,
    device: Device = "auto",
    into: Annotated[
        Path | None, typer.Option("--into", metavar="FILE", help="A JSON file for the model, instead of the store.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Keep the model of such a file; nothing is measured.")
    ] = None,
    only_show: Annotated[bool, typer.Option("--show", help="Show the stored model; nothing is measured.")] = False,
    store: StorePath = None,
) -> None:
    """Measure what training costs on this machine and keep it with a table: its simulated clock charges it from then.

    Random architectures train for a few steps, one alone at a time, and a linear model is fitted to what they
    compute. Let nothing else run on the machine meanwhile.

    \b
    Examples:
      nasgym costs --task nb201/cluttered-digits
      nasgym costs --cells 1000 --into costs.json
      nasgym costs --from costs.json
      nasgym costs --show
    """  # noqa: D301 - \b keeps the lines of an example apart
    from nasgym.task import make_benchmark

    if sum((into is not None, source is not None, only_show)) > 1:
        raise InvalidSetting("--into, --from and --show exclude each other: give one of them, or none.")
    if into is not None and store is not None:
        raise InvalidSetting("the model goes into a store or into a file: give --store or --into, not both.")
    if into is not None and not into.absolute().parent.is_dir():
        raise InvalidSetting(f"there is no folder {into.absolute().parent} for {into.name}: make it first.")
    benchmark = make_benchmark(task, recipe=recipe, on_missing="error", store=store)
    if only_show:
        _tell(_stored(benchmark))
    elif source is not None:
        _keep(benchmark, _read(source, benchmark))
    else:
        model = _measured(benchmark, cells, steps, rounds, seed, device, keep=into is None)
        _tell(model)
        if into is None:
            _keep(benchmark, model)
        else:
            into.write_text(json.dumps(model.to_json(), indent=1) + "\n")
            show.fact("written to", into)


def _measured(
    benchmark: Benchmark, cells: int, steps: int, rounds: int, seed: int, device: str, *, keep: bool
) -> CostModel:
    """Measure; a table that does not fit, or cannot be written to, is found before."""
    from nasgym.recipes import get_recipe
    from nasgym.training import load_dataset
    from nasgym.training.cost_fit import measure_costs

    key, recipe = benchmark.key, get_recipe(benchmark.key.recipe)
    data = load_dataset(key.dataset, image_size=recipe.image_size, split=recipe.split)
    if keep:
        _make_table(benchmark, data.fingerprint)
    with show.counter(f"measuring {key}", total=1.0) as advance:
        return measure_costs(
            *(benchmark.space, key.dataset, recipe),
            cells=cells,
            steps=steps,
            rounds=rounds,
            seed=seed,
            device=device,
            data=data,
            on_progress=lambda done, total: advance(done / total, f"{done:,} of {total:,} measurements"),
        )


def _make_table(benchmark: Benchmark, fingerprint: str | None = None) -> None:
    from dataclasses import asdict

    from nasgym.recipes import get_recipe

    benchmark.store.ensure_table(
        benchmark.key,
        benchmark.space.size,
        recipe=asdict(get_recipe(benchmark.key.recipe)),
        fingerprint=fingerprint,
    )


def _keep(benchmark: Benchmark, model: CostModel) -> None:
    _make_table(benchmark)
    benchmark.store.set_costs(benchmark.key, model.to_json())
    show.fact("kept with", f"{benchmark.key} in {benchmark.store.path}")


def _stored(benchmark: Benchmark) -> CostModel:
    """Return the model that a table has; raises `StoreError` where it has none."""
    from nasgym.costs import CostModel

    found = benchmark.store.meta(benchmark.key).costs if benchmark.key in benchmark.store else None
    if found is None:
        task = f"{benchmark.key.space}/{benchmark.key.dataset}"
        raise StoreError(f"the table {benchmark.key} has no cost model: measure one with `nasgym costs --task {task}`.")
    return CostModel.from_json(found)


def _read(file: Path, benchmark: Benchmark) -> CostModel:
    """Return the model of a file; raises `StoreDamaged`, or `InvalidSetting` where it is not one of the table."""
    from nasgym.costs import CostModel
    from nasgym.results import TableKey

    try:
        record = json.loads(file.read_bytes())
    except ValueError as error:
        raise StoreDamaged(f"{file} holds no cost model ({error}).") from error
    model = CostModel.from_json(record)
    measured = TableKey(model.space, model.dataset, model.recipe)
    if measured != benchmark.key:
        raise InvalidSetting(
            f"the cost model in {file} is of {measured}, not of {benchmark.key}: say --task, --recipe."
        )
    model.check_space(benchmark.space)
    return model


def _tell(model: CostModel) -> None:
    """Print a model: milliseconds by operation, errors, machine."""
    from nasgym.costs import PARTS

    by = model.measured
    show.fact("table", f"{model.space}/{model.dataset}/{model.recipe}")
    show.fact("machine", f"{by.machine}, {by.threads} thread{'' if by.threads == 1 else 's'}, engine {by.engine}")
    show.fact("measured", f"{by.cells:,} architectures, {by.rounds} rounds of {by.steps} steps, {by.date[:10]}")
    show.fact("versions", f"nasgym {by.nasgym}, torch {by.torch}")
    typer.echo()
    names = ("every network", *model.features)
    rows = [
        [name, *(f"{1000 * seconds:.4g}" for seconds in each)]
        for name, *each in zip(names, *(model.coefficients[part] for part in PARTS), strict=True)
    ]
    show.table(["milliseconds", "one epoch", "validation", "test"], rows)
    typer.echo()
    found = [(part, model.errors[part]) for part in PARTS]
    errors = [[part, f"{e.r2:.4f}", f"{100 * e.median:.1f}", f"{100 * e.p95:.1f}"] for part, e in found]
    show.table(["cells held out", "R²", "median error %", "95th percentile %"], errors)
