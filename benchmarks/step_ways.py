"""Ways to take a training step of one network or of a bundle; `training_alternatives.py` measures them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

import nasgym.networks.bundle as bundle_room
from nasgym.networks.bundle import BundleNetwork
from nasgym.networks.initial import seeded_network
from nasgym.recipes import DATASETS, Recipe
from nasgym.spaces import NB201, Macro
from nasgym.training.bundle_compiler import load_kernels
from nasgym.training.bundle_spaces import native_network
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
