"""Ways to take a training step, side by side: what the engines do, and what they might do instead.

    OMP_NUM_THREADS=1 python benchmarks/training_alternatives.py
    python benchmarks/training_alternatives.py --device cuda --recipe nb201-12 --members 16 64 --rounds 3 --steps 2

Every way takes whole steps (forward, backward, optimiser) of the same random cells on the same made-up images. One way
is built, measured and freed after the other, and its row is printed then: a run that is cut off keeps what it printed,
and a way that needs more memory than there is has a row that says so. Each way takes turns with the reference, round by
round, so that a machine with other work treats both alike. On a CPU the seconds are those of its cores (children
included: a compiler is one), on a GPU those between two events. "First" is making the way ready and its first step, and
so pays for compilation and capture; "a training" is that and all other steps of the recipe, without evaluations.
"Against" is the median of the ratio to the eager step of as many networks in the same round. What bfloat16 does to
accuracies, `bfloat16_accuracy.py` measures.

It needs torch, numpy and the training rooms of nasgym, nothing else.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", tempfile.mkdtemp())  # every compilation is paid for, none remembered
os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from step_ways import COMPILE, REFERENCE_OF_ONE_CELL, SPACE, Maker, Setting, Step, bundle_ways, solo_ways

from nasgym.errors import DeviceMemoryExhausted
from nasgym.recipes import RECIPES, get_recipe
from nasgym.training.devices import memory_guard


def seconds(step: Step, count: int, device: torch.device) -> float:
    """Return the seconds of one step, mean of ``count``."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(count):
            step()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1000 / count
    before = cpu_seconds()
    for _ in range(count):
        step()
    return (cpu_seconds() - before) / count


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    return time.process_time() + sum(os.times()[2:4])


def first(make: Callable[[], Step], device: torch.device) -> tuple[Step, float]:
    """Return a way that is ready, and the seconds until its first step was taken."""
    if device.type != "cuda":
        before = cpu_seconds()
        (step := make())()
        return step, cpu_seconds() - before
    start = time.perf_counter()
    (step := make())()
    torch.cuda.synchronize()
    return step, time.perf_counter() - start


class Result(NamedTuple):
    """One way on one cell or bundle, in seconds."""

    first: float  # until the first step was taken
    rounds: list[float]  # of a step, in each round
    reference: list[float]  # of a step of the reference, in the same rounds


class Pace(NamedTuple):
    """How often is measured."""

    rounds: int
    steps: int
    compiled: int  # cells on which torch.compile is tried


def measure(make: Maker, reference: Maker, rows: NDArray[np.int8], pace: Pace, device: torch.device) -> Result:
    """Build a way and its reference, and time them in turns; what was built is freed when this returns."""
    other = None if make is reference else reference(rows)
    step, start = first(lambda: make(rows), device)
    found = Result(start, [], [])
    for warm in (step, other) if other is not None else (step,):
        seconds(warm, 2, device)
    for _ in range(pace.rounds):
        found.rounds.append(seconds(step, pace.steps, device))
        found.reference.append(found.rounds[-1] if other is None else seconds(other, pace.steps, device))
    return found


def table(ways: dict[str, Maker], bundles: Sequence[NDArray[np.int8]], setting: Setting, pace: Pace) -> None:
    """Measure one way after the other and print its row, all figures per network."""
    print("| way | n | step, ms | against | first, s | a training, s | images per second |")
    print("|---|---|---|---|---|---|---|")
    for name, make in ways.items():
        reference = ways[REFERENCE_OF_ONE_CELL if name.startswith("one cell") else next(iter(ways))]
        chosen = bundles[: pace.compiled] if COMPILE in name else bundles
        try:
            with memory_guard(name):
                found = [measure(make, reference, rows, pace, setting.device) for rows in chosen]
        except DeviceMemoryExhausted:
            print(f"| {name} | 0 | does not fit | | | | |", flush=True)
        else:
            if found:
                report(name, found, setting, len(bundles[0]))
        free(setting.device)


def free(device: torch.device) -> None:
    """Give back what a way held: graphs and compiled code, too."""
    torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def report(name: str, own: Sequence[Result], setting: Setting, members: int) -> None:
    """Print the row of a way."""
    ratio = [a / b for r in own for a, b in zip(r.rounds, r.reference, strict=True)]
    step = statistics.mean(statistics.median(r.rounds) for r in own) / members
    start = statistics.mean(r.first for r in own) / members
    n, whole = sum(len(r.rounds) for r in own), start + (setting.steps - 1) * step
    figures = f"{step * 1e3:.3g} | {statistics.median(ratio):.2f} | {start:.3g} | {whole:.3g}"
    print(f"| {name} | {n} | {figures} | {setting.recipe.batch_size / step:,.0f} |", flush=True)


def hardware(device: torch.device) -> str:
    """Return the device, the number of cores, and the versions that matter."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    card = f"{torch.cuda.get_device_name(device)}; " if device.type == "cuda" else ""
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{card}{name}, {os.cpu_count()} cores{load}; torch {torch.__version__}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--recipe", choices=list(RECIPES), default="cluttered-digits-10")
    parser.add_argument("--side", type=int, help="of the images, in pixels; else that of the recipe's data set")
    parser.add_argument("--cells", type=int, default=4, help="random cells trained alone; bundles are this often made")
    parser.add_argument("--members", type=int, nargs="*", default=[4], help="networks of a bundle; none: no bundles")
    parser.add_argument("--compile", type=int, default=1, help="of how many cells torch.compile is tried")
    parser.add_argument("--threads", type=int, default=2, help="of one way on a CPU; 1: without it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="per round")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    setting = Setting.of(get_recipe(chosen.recipe), torch.device(chosen.device), chosen.threads, chosen.side)
    print(f"{hardware(setting.device)}, {torch.get_num_threads()} threads")
    stream, pace = np.random.default_rng(chosen.seed), Pace(chosen.rounds, chosen.steps, chosen.compile)
    name, batch = setting.recipe.name, setting.recipe.batch_size
    print(f"\n{name}, batch {batch}: one network alone, {chosen.cells} random cells\n")
    table(solo_ways(setting), [row[None] for row in SPACE.sample(stream, chosen.cells)], setting, pace)
    for members in chosen.members:
        print(f"\nBundles of {members} random cells; figures are shares of one network\n")
        bundles = [SPACE.sample(stream, members) for _ in range(max(chosen.cells // members, 1))]
        table(bundle_ways(setting, members), bundles, setting, pace)


if __name__ == "__main__":
    main()
