"""The printed forms of the originals, so that what scripts print stays the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from nasgym.compat.arch_results import ArchResults

__all__ = ["Printer", "information", "show_one", "time_string"]

Printer = Callable[..., list[str]]
"""Takes an `ArchResults` and what else to say of it, and returns lines."""


def time_string() -> str:
    """Return the time of day as the originals print it, in UTC."""
    return f"[{time.strftime('%Y-%m-%d %X', time.gmtime())}]"


def information(
    results: ArchResults, extra_info: Any = None, show: bool = False, *, joint: str = " & ", sized: bool = False
) -> list[str]:
    """Return the lines that describe an architecture: costs, losses and accuracies of every data set.

    Args:
        results: Its trials under one recipe.
        extra_info: What else to say.
        show: Print the lines as well.
        joint: What stands between loss and accuracy.
        sized: Whether the test set of ``cifar10-valid`` is shown, as of the size search space.
    """
    names = results.get_dataset_names()
    lines = [results.arch_str, f"datasets : {names}, extra-info : {extra_info}"]
    for name in names:
        lines += [_costs(name, results.get_compute_costs(name)), _accuracies(name, results, joint, sized)]
    if show:
        print("\n".join(lines))
    return lines


def _costs(name: str, costs: dict[str, Any]) -> str:
    latency = costs["latency"]
    shown = f"{latency * 1000:.2f}" if latency is not None and latency > 0 else None
    return f"{name:14s} FLOP={costs['flops']:6.2f} M, Params={costs['params']:.3f} MB, latency={shown} ms."


def _accuracies(name: str, results: ArchResults, joint: str, sized: bool) -> str:
    sets = [("train :", "train")]
    if name == "cifar10-valid":
        sets += [("valid :", "x-valid"), *([("test :", "ori-test")] if sized else [])]
    elif name == "cifar10":
        sets += [("test  :", "ori-test")]
    else:
        sets += [("valid :", "x-valid"), ("test :", "x-test")]
    found = [(label, results.get_metrics(name, setname)) for label, setname in sets]
    parts = [f"{label} [loss = {info['loss']:.3f}{joint}top1 = {info['accuracy']:.2f}%]" for label, info in found]
    return f"{name:14s} {', '.join(parts)}"


def show_one(infos: dict[str, ArchResults], printer: Printer) -> None:
    """Print an architecture under all its recipes."""
    for results in infos.values():
        lines = printer(results)
        print(">" * 40 + f" {results.get_total_epoch():03d} epochs " + ">" * 40)
        print("\n".join(lines))
    print("<" * 40 + "------------" + "<" * 40)
