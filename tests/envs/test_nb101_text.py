"""A cell whose operations occur twice, as text."""

from __future__ import annotations

from nasgym.envs.rendering import text
from nasgym.spaces import NB101


def test_vertices_with_one_operation_are_told_apart() -> None:
    space = NB101(5)
    chain = space.from_str(["0100/0010/0001/0000+maxpool3x3+maxpool3x3"])[0]
    lines = [line.strip() for line in text(space, chain, "").splitlines()]
    assert lines[:2] == ["in ──────▶ 1 maxpool3x3", "1 maxpool3x3 ──────▶ 2 maxpool3x3"]
    assert lines[2] == "2 maxpool3x3 ──────▶ out" and lines[3] == "0100/0010/0001/0000+maxpool3x3+maxpool3x3"
