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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", tempfile.mkdtemp())  # every compilation is paid for, none remembered
os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

import nasgym.networks.bundle as bundle_room
from nasgym.errors import DeviceMemoryExhausted
from nasgym.networks.bundle import BundleNetwork
from nasgym.networks.initial import seeded_network
from nasgym.recipes import DATASETS, RECIPES, Recipe, get_recipe
from nasgym.spaces import NB201, Macro
from nasgym.training.bundle_compiler import load_kernels
from nasgym.training.bundle_spaces import native_network
from nasgym.training.devices import memory_guard
from nasgym.training.loop import make_optimizer

Step = Callable[[], object]
Maker = Callable[[NDArray[np.int8]], Step]
SPACE = NB201()
REFERENCE, REFERENCE_OF_ONE_CELL = "eager, channels last", "one cell, one by one"
COMPILE = "torch.compile"


class Setting(NamedTuple):
    """What all ways have in common."""

    recipe: Recipe
    macro: Macro
    steps: int  # of a whole training
    device: torch.device
    threads: int  # of the way that takes several

    @classmethod
    def of(cls, recipe: Recipe, device: torch.device, threads: int, side: int | None) -> Setting:
        """Return the setting of a recipe on its data set, or on images of another size."""
        data = next(d for d in DATASETS.values() if d.recipe == recipe.name)
        steps = recipe.epochs * -(-data.sizes[0] // recipe.batch_size)
        return cls(recipe, recipe.macro(data.classes, data.channels, side or data.resolution), steps, device, threads)

    def batch(self, members: int) -> tuple[Tensor, Tensor]:
        """Return made-up images ``[m, b, c, h, w]`` and labels ``[m, b]``."""
        generator, macro = torch.Generator().manual_seed(0), self.macro
        shape = (members, self.recipe.batch_size)
        images = torch.randn(*shape, macro.in_channels, macro.resolution, macro.resolution, generator=generator)
        return images.to(self.device), torch.randint(macro.classes, shape, generator=generator).to(self.device)


def torch_step(setting: Setting, network: nn.Module, images: Tensor, labels: Tensor, half: bool = False) -> Step:
    """Return a step of one network or of a bundle."""
    network.train()
    optimizer, size = make_optimizer(network, setting.recipe), labels.shape[-1]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(setting.device.type, torch.bfloat16, enabled=half):
            logits = network(images)
        flat = logits.float().flatten(0, -2)
        torch.autograd.backward(functional.cross_entropy(flat, labels.flatten(), reduction="sum") / size)
        optimizer.step()

    return step


def graphed(step: Step) -> Step:
    """Return the step as a captured CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


# ---- one network alone


def solo(
    setting: Setting,
    row: NDArray[np.int8],
    layout: torch.memory_format = torch.channels_last,
    half: bool = False,
    mode: str | None = None,
) -> Step:
    network = seeded_network(SPACE, row, setting.macro, 0).to(setting.device, memory_format=layout)
    images, labels = setting.batch(1)
    made = torch.compile(network, mode=mode) if mode else network
    return torch_step(setting, made, images[0].to(memory_format=layout), labels[0], half)


def kernels(setting: Setting, row: NDArray[np.int8]) -> Step:
    library = load_kernels()
    assert library is not None, "there is a C compiler"
    network = native_network(library, SPACE, row, 0, setting.macro, setting.recipe)
    batch = setting.batch(1)
    return lambda: network.train_epoch([batch], setting.recipe.learning_rate)


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_threads(step: Step, count: int) -> Step:
    def run() -> None:
        with threads(count):
            step()

    return run


def solo_ways(setting: Setting) -> dict[str, Maker]:
    """Return the ways of one cell, ``int8[1, 6]``; the first is the reference."""
    last = torch.channels_last
    ways: dict[str, Maker] = {
        REFERENCE: lambda rows: solo(setting, rows[0]),
        "eager, channels first": lambda rows: solo(setting, rows[0], torch.contiguous_format),
        "eager, bfloat16 autocast": lambda rows: solo(setting, rows[0], half=True),
    }
    if setting.device.type == "cpu":
        if setting.threads > 1:
            ways[f"eager, {setting.threads} threads"] = lambda rows: on_threads(solo(setting, rows[0]), setting.threads)
        if load_kernels() is not None:
            ways["compiled kernels"] = lambda rows: kernels(setting, rows[0])
    if setting.device.type == "cuda":
        ways["eager, CUDA graph"] = lambda rows: graphed(solo(setting, rows[0]))
        ways["eager, bfloat16, CUDA graph"] = lambda rows: graphed(solo(setting, rows[0], half=True))
    ways[COMPILE] = lambda rows: solo(setting, rows[0], last, mode="default")
    ways[f"{COMPILE}, reduce-overhead"] = lambda rows: solo(setting, rows[0], last, mode="reduce-overhead")
    return ways


# ---- many networks at once


class Vmapped(nn.Module):
    """Networks of one cell by `torch.vmap` over their stacked weights; running statistics are stacked, too."""

    def __init__(self, setting: Setting, row: NDArray[np.int8], members: int) -> None:
        super().__init__()
        models = [seeded_network(SPACE, row, setting.macro, seed).to(setting.device) for seed in range(members)]
        parameters, self._statistics = torch.func.stack_module_state(models)
        self._names, self.stacked = list(parameters), nn.ParameterList(parameters.values())
        self._base = [models[0].to("meta")]  # in a list: its parameters are not this module's

    def forward(self, images: Tensor) -> Tensor:
        """Map ``[m, b, c, h, w]`` to logits ``[m, b, classes]``."""
        weights = dict(zip(self._names, self.stacked, strict=True))

        def one(own: dict[str, Tensor], statistics: dict[str, Tensor], x: Tensor) -> Tensor:
            return torch.func.functional_call(self._base[0].train(), (own, statistics), (x,))

        return torch.vmap(one)(weights, self._statistics, images)


def products(
    x: Tensor, weight: Tensor, bias: None = None, stride: int = 1, padding: int = 0, groups: int = 1
) -> Tensor:
    """Return a grouped convolution as batched matrix products over unfolded patches."""
    kernel = weight.shape[-1]
    patches = functional.unfold(x, kernel, padding=padding, stride=stride)
    patches = patches.view(len(x), groups, -1, patches.shape[-1]).transpose(0, 1)  # [g, b, i, pixels]
    rows = weight.view(groups, 1, weight.shape[0] // groups, -1)
    side = (x.shape[-1] + 2 * padding - kernel) // stride + 1
    return (rows @ patches).transpose(0, 1).reshape(len(x), -1, side, side)


def by_products(step: Step) -> Step:
    """Return a step of a bundle whose convolutions are matrix products."""
    names = ("relu", "batch_norm", "avg_pool2d")
    other = SimpleNamespace(conv2d=products, **{name: getattr(functional, name) for name in names})

    def run() -> None:
        bundle_room.functional = other  # type: ignore[assignment]
        try:
            step()
        finally:
            bundle_room.functional = functional

    return run


def bundle_ways(setting: Setting, members: int) -> dict[str, Maker]:
    """Return the ways of a bundle, ``int8[members, 6]``; the first is the reference: one network after the other."""
    images, labels = setting.batch(members)

    def stacked(rows: NDArray[np.int8], half: bool = False, mode: str | None = None, last: bool = False) -> Step:
        network: nn.Module = BundleNetwork(rows, setting.macro, range(members)).to(setting.device)
        network = network.to(memory_format=torch.channels_last) if last else network
        return torch_step(setting, torch.compile(network, mode=mode) if mode else network, images, labels, half)

    def one_by_one(rows: NDArray[np.int8]) -> Step:
        alone = [solo(setting, row) for row in rows]
        return lambda: [step() for step in alone]

    def same(rows: NDArray[np.int8]) -> NDArray[np.int8]:
        return np.repeat(rows[:1], members, axis=0)

    def vmapped(rows: NDArray[np.int8]) -> Step:
        return torch_step(setting, Vmapped(setting, rows[0], members), images, labels)

    ways: dict[str, Maker] = {
        f"{REFERENCE}, one by one": one_by_one,
        "stacked": stacked,
        "stacked, weights channels last": lambda rows: stacked(rows, last=True),
        "stacked, bfloat16 autocast": lambda rows: stacked(rows, half=True),
        "stacked, products of unfolded patches": lambda rows: by_products(stacked(rows)),
        REFERENCE_OF_ONE_CELL: lambda rows: one_by_one(same(rows)),
        "one cell, stacked": lambda rows: stacked(same(rows)),
        "one cell, vmap": vmapped,
    }
    if setting.device.type == "cuda":
        ways["stacked, CUDA graph"] = lambda rows: graphed(stacked(rows))
        ways["stacked, bfloat16, CUDA graph"] = lambda rows: graphed(stacked(rows, half=True))
    ways[f"stacked, {COMPILE}"] = lambda rows: stacked(rows, mode="default")
    return ways


# ---- measuring


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
