"""What this machine lets this process use."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

__all__ = ["cores"]

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def cores() -> int:
    """Return how many processor cores this process may use, at least 1.

    Counted are the cores it may run on (``taskset``, a batch system), and on Linux no more than the share of time that
    its control group is given (``docker run --cpus``), rounded up.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, math.ceil(min(_quotas(_GROUPS, _OWN_GROUP), default=allowed))))


def _quotas(groups: Path, own_group: Path) -> list[float]:
    """Return the limits, in cores, of this process's control group and of those above it."""
    found = []
    for folder in _folders(groups, own_group):
        quota, period = _numbers(folder / "cpu.max")  # version 2: "max 100000" or "150000 100000"
        if quota is None:
            quota, period = _numbers(folder / "cpu.cfs_quota_us")[0], _numbers(folder / "cpu.cfs_period_us")[0]
        if quota is not None and period is not None and quota > 0 and period > 0:
            found.append(quota / period)
    return found


def _folders(groups: Path, own_group: Path) -> list[Path]:
    try:
        lines = own_group.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "cpu" in controllers.split(","):
            root = groups / "cpu" if controllers else groups
            inside = PurePosixPath(path.lstrip("/"))
            found += [root / parent for parent in (inside, *inside.parents)]
    return found


def _numbers(file: Path) -> tuple[float | None, float | None]:
    """Return the first two numbers of a file; None for what is absent or a word."""
    try:
        words = file.read_text().split()
    except OSError:
        words = []
    numbers = [float(word) if word.lstrip("-").isdigit() else None for word in words[:2]]
    return (*numbers, None, None)[:2]  # type: ignore[return-value]  # two, whatever the file held
