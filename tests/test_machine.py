"""How many cores a process may use: where it may run, and what its control group is given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nasgym.executors import cores, machine


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up tree of control groups; the process is in ``/batch/job``."""
    (tmp_path / "own").write_text("9:name=systemd:/\n4:cpu,cpuacct:/batch/job\n0::/batch/job\n")
    (tmp_path / "groups/batch/job").mkdir(parents=True)
    (tmp_path / "groups/cpu/batch/job").mkdir(parents=True)
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "_OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    return tmp_path / "groups"


def test_without_a_limit_all_cores_of_the_affinity(groups: Path) -> None:
    assert cores() == 16
    (groups / "batch/job/cpu.max").write_text("max 100000\n")
    assert cores() == 16


@pytest.mark.parametrize(("quota", "expected"), [("400000 100000", 4), ("150000 100000", 2), ("1000 100000", 1)])
def test_the_limit_of_a_control_group_holds_rounded_up(groups: Path, quota: str, expected: int) -> None:
    (groups / "batch/job/cpu.max").write_text(quota + "\n")
    assert cores() == expected


def test_the_least_limit_on_the_way_up_holds(groups: Path) -> None:
    (groups / "batch/job/cpu.max").write_text("800000 100000\n")
    (groups / "batch/cpu.max").write_text("300000 100000\n")
    assert cores() == 3


def test_the_older_files_are_read_too(groups: Path) -> None:
    (groups / "cpu/cpu.cfs_quota_us").write_text("500000\n")
    (groups / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert cores() == 5
    (groups / "cpu/cpu.cfs_quota_us").write_text("-1\n")  # no limit
    assert cores() == 16


def test_this_machine_has_at_least_one() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
