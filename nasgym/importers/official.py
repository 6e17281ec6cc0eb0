"""One trial of the official files as an `Evaluation` and back, every value bit for bit.

The files keep a trial as a ``ResultsCount.state_dict()`` of 16 fields, and the trials of an architecture under one
recipe as an ``ArchResults.state_dict()``. `evaluations_of` and `arch_state_of` turn the second kind over, and
`evaluation_of` and `state_of` the first; each pair are inverses. What is where:

==========================  ==============================================================================
the files                   here
==========================  ==============================================================================
``train_acc1es``            ``train_accuracy`` in percent; epoch ``e`` of the files is ``e + 1`` here
``train_acc5es``            ``train_accuracy5``, absent where the file has None
``train_losses``            ``train_loss``
``train_times``             ``train_seconds``: summed up to and with each epoch, from left to right
``eval_acc1es``             ``{split}_accuracy``; splits as in `OFFICIAL_DATASETS`, other sets by their own name
``eval_losses``             ``{split}_loss``
``eval_times``              ``{split}_seconds``: the mean of one pass up to and with each epoch, as it is charged
``params``, ``flop``        ``params``, ``flops``: millions, at epoch 0
``latency``                 ``latency_seconds`` at epoch 0; of a list of several their mean, and ``latency_batches``
``epochs``                  ``epochs`` of the evaluation
``seed``                    seed of the evaluation (``"0777"`` is 777)
``eval_names``              provenance ``sets``, in their order, with commas
place in ``all_results``    provenance ``place``
==========================  ==============================================================================

Seconds of the files are one constant per trial. Where they are not, the measured ones stand beside the sums as
``train_epoch_seconds`` and ``{split}_epoch_seconds``, and where an epoch is missing, alone. Whatever else differs from
the form of nearly all trials is JSON under the provenance ``official``; weights are left out. Known faults are named
under ``faults``: ``params`` (see `nasgym.importers.official_costs.corrected_costs`) and ``seconds``
(`corrected_seconds_share`).
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nasgym.errors import InvalidArchive
from nasgym.importers import official_fields as fields
from nasgym.importers.official_costs import corrected_costs
from nasgym.importers.official_names import OfficialDataset, architecture_string, dataset_of, hp_of, table_of
from nasgym.results import Evaluation, Series, TableKey, Unit
from nasgym.spaces.nats_sss import CELL

__all__ = ["ARCH_FIELDS", "TRIAL_FIELDS", "arch_state_of", "evaluation_of", "evaluations_of", "state_of"]

TRIAL_FIELDS = (
    "name", "net_state_dict", "train_acc1es", "train_acc5es", "train_losses", "train_times", "arch_config", "params",
    "flop", "seed", "epochs", "latency", "eval_names", "eval_acc1es", "eval_times", "eval_losses",
)  # fmt: skip
"""The fields of a trial, in the order of the class that writes them."""
ARCH_FIELDS = ("arch_index", "arch_str", "all_results", "dataset_seed", "clear_net_done")
_MAX_EPOCHS = 10_000


def evaluations_of(
    state: Mapping[str, Any], *, space: str, index: int, hp: str, source: Mapping[str, str]
) -> list[tuple[TableKey, Evaluation]]:
    """Return the trials of one architecture under one recipe.

    Args:
        state: An ``ArchResults.state_dict()``.
        space: The search space, ``"nb201"`` or ``"nats-sss"``.
        index: The architecture that the file says it is.
        hp: What the files call the recipe, ``"12"``.
        source: Provenance of every evaluation.

    Raises:
        InvalidArchive: The state has not this form, or is another architecture's.
    """
    where = f"architecture {index}, {hp} epochs"
    fields.check_names(state, ARCH_FIELDS, where)
    if type(state["arch_index"]) is not int or state["arch_index"] != index:
        raise InvalidArchive(f"{where}: the record is of another architecture.")
    if state["arch_str"] != architecture_string(space, index):
        raise InvalidArchive(f"{where}: its string is not {architecture_string(space, index)} as published.")
    fields.check_seeds(state["all_results"], state["dataset_seed"], where)
    extra = {} if state["clear_net_done"] is True else {"clear_net_done": bool(state["clear_net_done"])}
    found = []
    for place, ((dataset, seed), trial) in enumerate(state["all_results"].items()):
        key = table_of(space, dataset, hp)
        found.append((key, evaluation_of(trial, key, index, seed, place=place, source=source, extra=extra)))
    return found


def arch_state_of(key: TableKey, index: int, trials: Iterable[tuple[TableKey, Evaluation]]) -> dict[str, Any]:
    """Return the ``ArchResults.state_dict()`` of trials of one architecture under one recipe.

    Args:
        key: One of their tables; it says space and recipe.
        index: The architecture.
        trials: Their tables and evaluations, in any order.
    """
    rows = sorted(trials, key=lambda row: int(row[1].provenance["place"]))
    seeds: dict[str, list[int]] = {}
    for table, trial in rows:
        seeds.setdefault(dataset_of(table).name, []).append(int(trial.seed))
    cleared = all(_extra(trial).get("clear_net_done", True) for _, trial in rows)
    return {
        "arch_index": index,
        "arch_str": architecture_string(key.space, index),
        "all_results": {(dataset_of(table).name, int(trial.seed)): state_of(table, trial) for table, trial in rows},
        "dataset_seed": {dataset: sorted(found) for dataset, found in seeds.items()},
        "clear_net_done": cleared,
    }


def evaluation_of(
    state: Mapping[str, Any],
    key: TableKey,
    index: int,
    seed: int,
    *,
    place: int,
    source: Mapping[str, str],
    extra: Mapping[str, Any] = fields.NOTHING,
) -> Evaluation:
    """Return one trial.

    Args:
        state: A ``ResultsCount.state_dict()``.
        key: Its table.
        index: Its architecture.
        seed: Its seed.
        place: Where it stands among the trials of the architecture under this recipe.
        source: Provenance to begin with.
        extra: What to remember under ``official``.

    Raises:
        InvalidArchive: The state has not the form described above.
    """
    known = dataset_of(key)
    where = f"architecture {index}, {known.name}, {hp_of(key)} epochs, seed {seed}"
    fields.check_names(state, TRIAL_FIELDS, where)
    epochs = state["epochs"]
    if type(epochs) is not int or not 1 <= epochs <= _MAX_EPOCHS:
        raise InvalidArchive(f"{where}: epochs is a number from 1 to {_MAX_EPOCHS}.")
    reader = fields.Reader(where)
    series = _series(reader, state, known)
    odd = {**extra, **reader.odd, **_odd_names(state, key, index, seed, reader)}
    faults = _faults(key, index, series)
    provenance = {**source, "sets": ",".join(reader.names(state["eval_names"])), "place": str(place)}
    provenance |= {"faults": ",".join(faults)} if faults else {}
    provenance |= {"official": json.dumps(odd, sort_keys=True, separators=(",", ":"))} if odd else {}
    losses = series.get("train_loss")
    diverged = losses is not None and not bool(np.isfinite(losses.values).all())
    return Evaluation(index, seed, epochs, series, diverged, provenance)


def state_of(key: TableKey, evaluation: Evaluation) -> dict[str, Any]:
    """Return the ``ResultsCount.state_dict()`` of one trial, without weights."""
    known, odd, seed = dataset_of(key), _extra(evaluation), int(evaluation.seed)
    writer = fields.Writer(evaluation.series, odd)
    text = evaluation.provenance["sets"]
    names = text.split(",") if text else []
    splits = {name: known.splits.get(name, name) for name in [*names, *odd.get("more_sets", ())]}
    train_times = writer.times("train", writer.by_epoch("train_times", "train_epoch_seconds"), "train_times")
    return {
        "name": odd.get("name", known.name),
        "net_state_dict": None,
        "train_acc1es": writer.field("train_acc1es", writer.by_epoch("train_acc1es", "train_accuracy"), {}),
        "train_acc5es": writer.field("train_acc5es", writer.by_epoch("train_acc5es", "train_accuracy5"), None),
        "train_losses": writer.field("train_losses", writer.by_epoch("train_losses", "train_loss"), {}),
        "train_times": OrderedDict(train_times) if train_times else writer.field("train_times", {}, None),
        "arch_config": odd.get("arch_config", _arch_config(key, evaluation.index)),
        "params": writer.number("params", "params", "float64"),
        "flop": writer.number("flop", "flops", "float"),
        "seed": odd.get("seed", f"{seed:04d}"),
        "epochs": evaluation.epochs,
        "latency": odd["latency"] if "latency" in odd else writer.latency(),
        "eval_names": names,
        "eval_acc1es": writer.field("eval_acc1es", writer.by_set("eval_acc1es", splits, "accuracy"), {}),
        "eval_times": writer.field("eval_times", writer.eval_times(splits), {}),
        "eval_losses": writer.field("eval_losses", writer.by_set("eval_losses", splits, "loss"), {}),
    }


def _series(reader: fields.Reader, state: Mapping[str, Any], known: OfficialDataset) -> dict[str, Series]:
    """Read the numbers of a trial."""
    series = {
        "train_accuracy": reader.curve(state, "train_acc1es", "percent", usual={}),
        "train_accuracy5": reader.curve(state, "train_acc5es", "percent", usual=None),
        "train_loss": reader.curve(state, "train_losses", "nats", usual={}),
        **reader.train_seconds(state),
    }
    kinds: tuple[tuple[str, str, Unit], ...] = (("eval_acc1es", "accuracy", "percent"), ("eval_losses", "loss", "nats"))
    for field, what, unit in kinds:
        for name, found in reader.curves_by_set(state, field, unit).items():
            series[f"{known.splits.get(name, name)}_{what}"] = found
    for name, found in reader.curves_by_set(state, "eval_times", "seconds").items():
        series |= fields.mean_seconds(known.splits.get(name, name), found)
    series |= reader.costs(state)
    return {name: found for name, found in series.items() if found is not None}


def _odd_names(
    state: Mapping[str, Any], key: TableKey, index: int, seed: int, reader: fields.Reader
) -> dict[str, object]:
    """Return the names of a trial that are not as in nearly all of them."""
    odd: dict[str, object] = {}
    usual = {"name": dataset_of(key).name, "seed": f"{seed:04d}", "arch_config": _arch_config(key, index)}
    for field, value in usual.items():
        if state[field] != value:
            odd[field] = reader.plain(state, field)
    if state["net_state_dict"] is not None:
        odd["weights"] = "left out"
    return odd


def _arch_config(key: TableKey, index: int) -> dict[str, Any]:
    """Return the usual configuration of an architecture, as the files have it."""
    text, classes = architecture_string(key.space, index), dataset_of(key).classes
    if key.space == "nb201":
        return {"channel": 16, "num_cells": 5, "arch_str": text, "class_num": classes}
    return {"name": "infer.shape.tiny", "channels": text, "arch_str": text, "genotype": CELL, "class_num": classes}


def _faults(key: TableKey, index: int, series: Mapping[str, Series]) -> list[str]:
    """Name the known faults of a trial."""
    faults = []
    if "params" in series and "flops" in series:
        stored = float(series["params"].values[0]), float(series["flops"].values[0])
        faults += [] if corrected_costs(key, index).agrees(*stored) else ["params"]
    if dataset_of(key).resolution != 32 and "train_seconds" in series and key.space == "nb201":
        faults.append("seconds")
    return faults


def _extra(evaluation: Evaluation) -> dict[str, Any]:
    text = evaluation.provenance.get("official")
    found: dict[str, Any] = {} if text is None else json.loads(text)
    return found
