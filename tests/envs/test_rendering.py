"""Cells as text and pictures: what must be seen is there."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from nasgym.envs.bars import is_sized
from nasgym.envs.construct import ConstructEnv
from nasgym.envs.rendering import DEAD, _figure, _line, _live_nodes, picture, save_cell_picture, text
from nasgym.spaces import CellGraph, Space, get_space
from nasgym.testing import synthetic_task

NB201, SIZES = get_space("nb201"), get_space("nats-sss")
OPEN = np.array([3, 0, -1, 1, -1, -1])
DONE = np.array([3, 0, 1, 1, 2, 4])


def test_text_has_a_line_per_edge_and_the_string_of_a_complete_cell() -> None:
    lines = text(NB201, OPEN, "caption").splitlines()
    assert len(lines) == 7 and lines[-1] == "caption"
    assert "in ── nor_conv_3x3 ──▶ 1" in lines[0] and "1 ── ? ─────────────▶ 2" in lines[2]
    assert text(NB201, DONE).splitlines()[-1] == NB201.to_str(DONE[None])[0]


def test_sizes_are_lines_of_bars_as_long_as_they_are_large() -> None:
    lines = text(SIZES, np.array([0, 7, 2, -1, -1]), "caption").splitlines()
    assert lines[0] == f"cell 1  ▶ {'█' * 4} 8" and lines[1] == f"block 1 ▶ {'█' * 32} 64"
    assert lines[2] == f"cell 2  ▶ {'█' * 12} 24" and lines[3:] == ["block 2 ▶ ?", "cell 3  ▶ ?", "caption"]
    assert text(SIZES, np.array([0, 7, 2, 1, 0])).splitlines()[-1] == "8:64:24:16:8"


def test_only_options_that_are_numbers_are_drawn_as_bars() -> None:
    assert is_sized(SIZES) and not is_sized(NB201)


def _coloured_rows(size: int) -> int:
    """Return how many rows of the picture the bar of the last layer fills."""
    frame = picture(SIZES, np.array([0, 0, 0, 0, size])).astype(int)
    columns = frame[:, frame.shape[1] * 5 // 6 :]  # past the bar of the layer before it
    return int((np.ptp(columns, axis=2) > 60).any(axis=1).sum())


def test_a_bar_is_as_high_as_its_size() -> None:
    heights = np.array([_coloured_rows(size) for size in range(8)])
    assert heights[7] > 150
    assert np.abs(heights - heights[7] * np.arange(1, 9) / 8).max() < 2, "proportional, but for pixels at the edge"


@pytest.mark.parametrize(
    ("space", "cells"),
    [
        (NB201, (OPEN, DONE, np.full(6, -1), np.zeros(6, dtype=int))),
        (SIZES, (np.full(5, -1), np.array([0, 7, 2, -1, -1]), np.array([0, 7, 2, 1, 0]), np.array([0, 7, 2, 1, 1]))),
    ],
)
def test_pictures_of_different_cells_differ(space: Space, cells: tuple[np.ndarray, ...]) -> None:
    pictures = [picture(space, cell) for cell in cells]
    assert all(p.dtype == np.uint8 and p.shape == pictures[0].shape for p in pictures)
    for i, one in enumerate(pictures):
        assert all((one != other).any() for other in pictures[i + 1 :])
    assert np.array_equal(picture(space, cells[1]), pictures[1]), "the same cell, the same picture"


@pytest.mark.parametrize("operation", ["conv3x3-bn-relu", "maxpool3x3"])
def test_straight_edges_lead_from_the_edge_of_a_node_to_that_of_the_next(operation: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    space = get_space("nb101")
    chain = "/".join("0" * (v + 1) + "1" + "0" * (5 - v) for v in range(6)) + "/0000000"
    cell = space.from_str(["+".join([chain, *[operation] * 5])])[0]
    figure = _figure(space, cell, "")
    FigureCanvasAgg(figure).draw()
    to_data = figure.axes[0].transData.inverted()
    boxes = [to_data.transform_bbox(t.get_bbox_patch().get_window_extent()) for t in figure.axes[0].texts[-7:]]
    for source, target in zip(range(6), range(1, 7), strict=True):
        start, end = _line(space.graph(cell), source, target).vertices[:, 0]
        assert boxes[source].x1 - 0.03 < start < end - 0.1 and end < boxes[target].x0 + 0.03


def test_what_cannot_reach_the_output_is_dead() -> None:
    graph = CellGraph(
        ("in", "1", "2", "out"), ((0, 1, "none"), (0, 2, "a"), (1, 2, "a"), (0, 3, "?"), (1, 3, "a"), (2, 3, "none"))
    )
    assert "none" in DEAD and _live_nodes(graph) == {0, 3}


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_picture_is_saved(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"cell.{ending}"
    save_cell_picture(NB201, DONE, path, caption="a caption")
    head = path.read_bytes()[:200]
    assert head.startswith(b"\x89PNG") if ending == "png" else b"<?xml" in head


def test_the_caption_tells_the_result_only_of_the_cell_that_is_drawn() -> None:
    env = ConstructEnv(task=synthetic_task(budget=1000.0), render_mode="ansi")
    env.reset()
    for choice in DONE.tolist():
        env.step(choice)
    assert "accuracy" in env.render() and "10 of 1,000 s simulated" in env.render()
    env.reset()
    assert "accuracy" not in env.render() and "best" in env.render() and "1 evaluation " in env.render()


def test_a_window_needs_pygame_and_says_so() -> None:
    try:
        import pygame  # noqa: F401
    except ImportError:
        env: gymnasium.Env[np.ndarray, int]
        with pytest.warns(UserWarning, match="HumanRendering"):
            env = gymnasium.make("nasgym/NB201-v0", task=synthetic_task(), render_mode="human")
        with pytest.raises(gymnasium.error.DependencyNotInstalled, match="pygame"):
            env.reset()
    else:
        pytest.skip("pygame is installed: a window would open")
