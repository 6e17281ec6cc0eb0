"""A device that is not there is named when a task is made, not at its first missing result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest

from nasgym.errors import InvalidSetting
from nasgym.task import make_benchmark, make_task

ABSENT = "cuda:977"  # whether or not there is a GPU


@pytest.mark.parametrize("device", [ABSENT, "gpu", "cuda:x"])
def test_a_device_that_is_not_there_is_refused_at_once(device: str, tmp_path: Path) -> None:
    for make in (make_task, make_benchmark):
        with pytest.raises(InvalidSetting, match=f"device '{device}' cannot be used here.*Take 'auto' or 'cpu'"):
            make(device=device, store=tmp_path / "store")
    with pytest.raises(InvalidSetting, match=device):
        gym.make("nasgym/NB201-v0", device=device, store=tmp_path / "store")


def test_where_nothing_is_trained_the_device_does_not_matter(tmp_path: Path) -> None:
    assert make_benchmark(device=ABSENT, on_missing="error", store=tmp_path / "store").on_missing == "error"


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_device_that_is_always_there_costs_no_import(device: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom nasgym.task import make_task\n"
        f"make_task(device={device!r}, store={str(tmp_path / 'store')!r})\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_task_tells_agents_its_device_and_refuses_one_that_is_not_there_also_where_nothing_is_missing(
    tmp_path: Path,
) -> None:
    assert make_task(device="cpu", store=tmp_path / "store").device == "cpu"
    assert make_task(store=tmp_path / "store").device == "auto"
    with pytest.raises(InvalidSetting, match=f"device '{ABSENT}' cannot be used here"):
        make_task(device=ABSENT, on_missing="error", store=tmp_path / "store")
