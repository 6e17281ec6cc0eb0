"""The parts below the compiled kernels: maps of pixels, programs, and the compilation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from nasgym.networks.initial import seeded_network
from nasgym.recipes import get_recipe
from nasgym.spaces import Macro
from nasgym.training import bundle_compiler
from nasgym.training.bundle_compiler import load_kernels
from nasgym.training.bundle_maps import mean_links, window_links
from nasgym.training.bundle_native import NativeNetwork, lanes_of
from nasgym.training.bundle_nb201 import nb201_program
from nasgym.training.bundle_program import LANES

MACRO = Macro(channels=3, cells_per_stage=2, classes=7, in_channels=2, resolution=9)


def _rows(table: NDArray[np.int32], count: int) -> list[list[tuple[int, int]]]:
    pairs = table[count + 1 :].reshape(-1, 2).tolist()
    return [[(a, b) for a, b in pairs[table[k] : table[k + 1]]] for k in range(count)]


def test_a_window_in_the_corner_reads_what_lies_in_the_plane() -> None:
    links = window_links(side=3, kernel=3, stride=1, padding=1)
    forward = _rows(links.forward(9), 9)
    assert forward[0] == [(0, 4), (1, 5), (3, 7), (4, 8)]
    assert [pixel for pixel, _ in forward[4]] == list(range(9))
    assert _rows(links.by_tap(9), 9)[8] == [(0, 4), (1, 5), (3, 7), (4, 8)]  # one down, one right


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.sampled_from([(3, 1, 1), (1, 1, 0), (3, 2, 1), (2, 2, 0)]), st.integers(0, 1000))
def test_maps_are_the_convolution_and_its_gradient(side: int, window: tuple[int, int, int], seed: int) -> None:
    kernel, stride, padding = window
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(1, 1, side, side, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(1, 1, kernel, kernel, generator=generator, dtype=torch.float64)
    edge = kernel == 2 and side % 2  # PyTorch rounds that one down: give it the missing row and column
    out = functional.conv2d(functional.pad(image, (0, 1, 0, 1)) if edge else image, weight, None, stride, padding)
    upstream = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(out, image, upstream)
    links = window_links(side, *window)
    x, w, g = image.detach().flatten().numpy(), weight.flatten().numpy(), upstream.flatten().numpy()
    forward = [sum(x[q] * w[t] for q, t in row) for row in _rows(links.forward(g.size), g.size)]
    backward = [sum(g[p] * w[t] for p, t in row) for row in _rows(links.backward(x.size), x.size)]
    np.testing.assert_allclose(forward, out.detach().flatten().numpy(), atol=1e-12)
    np.testing.assert_allclose(backward, gradient.flatten().numpy(), atol=1e-12)


def test_shares_of_a_pooling_add_up_to_one() -> None:
    for links, outputs in ((window_links(5, 3, 1, 1), 25), (window_links(5, 2, 2, 0), 9), (mean_links(5), 1)):
        table, shares = links.forward(outputs), links.shares()
        sums = np.add.reduceat(shares, table[:outputs])
        np.testing.assert_allclose(sums, 1.0, rtol=1e-6)
        assert links.shares_backward().sum() == pytest.approx(outputs, rel=1e-6)


@pytest.mark.parametrize("cell", [[3] * 6, [0] * 6, [2, 0, 4, 1, 0, 3]])
def test_a_program_holds_the_weights_that_the_network_has(cell: list[int]) -> None:
    network = seeded_network("nb201", np.array(cell), MACRO, 0)
    program = nb201_program(cell, MACRO, LANES)
    for name, place in program.parameters.items():
        assert tuple(network.state_dict()[name].shape) == place.shape
    spans = sorted((p.at, p.at + int(np.prod(p.shape))) for p in program.parameters.values())
    assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))
    assert spans[-1][1] <= len(program.state)
    assert any(name.startswith("cells.0") for name in program.parameters) == (cell != [0] * 6)


@pytest.mark.skipif(load_kernels() is None, reason="there is no C compiler here")
def test_one_step_gives_every_weight_its_value() -> None:
    """All weights and statistics after one step, against PyTorch; a cell with every kind of work, odd sides."""
    recipe = get_recipe("cluttered-digits-10")
    kernels = load_kernels()
    assert kernels is not None
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(37, 2, 9, 9, generator=generator), torch.randint(7, (37,), generator=generator)
    for cell in ([3, 2, 4, 1, 3, 2], [1, 0, 3, 4, 0, 1]):
        network = seeded_network("nb201", np.array(cell), MACRO, 1)
        native = NativeNetwork(kernels, nb201_program(cell, MACRO, lanes_of(recipe)), MACRO, recipe)
        native.load(network.state_dict())
        network.train()
        optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
        loss = functional.cross_entropy(network(images), labels)
        torch.autograd.backward(loss)
        optimizer.step()
        (score,) = native.train_epoch([(images[None], labels[None])], rate=0.1)
        assert score.loss == pytest.approx(float(loss.detach()), rel=1e-5)
        state = network.state_dict()
        for name, tensor in native.tensors().items():
            torch.testing.assert_close(torch.tensor(tensor), state[name], rtol=1e-4, atol=1e-5, msg=f"{cell} {name}")


def test_a_compiler_that_fails_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NASGYM_HOME", str(tmp_path))
    for compiler in ("false", "a-compiler-that-does-not-exist"):
        monkeypatch.setenv("CC", compiler)
        load_kernels.cache_clear()
        assert load_kernels() is None
    load_kernels.cache_clear()
    assert not list((tmp_path / "kernels").glob("*.so"))


@pytest.mark.skipif(load_kernels() is None, reason="there is no C compiler here")
def test_kernels_are_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NASGYM_HOME", str(tmp_path))
    load_kernels.cache_clear()
    try:
        assert load_kernels() is not None
        load_kernels.cache_clear()
        monkeypatch.setattr(bundle_compiler, "_compile", lambda *_: pytest.fail("compiled again"))
        assert load_kernels() is not None
        assert [file.suffix for file in (tmp_path / "kernels").iterdir()] == [".so"]
    finally:
        load_kernels.cache_clear()
