"""What all tests share: a home of their own, one thread, no windows, and real data where it is at hand."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are imported
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("NASGYM_CACHE", str(Path(__file__).resolve().parent.parent / ".pytest_cache" / "nasgym"))
"""Where the cells of NAS-Bench-101 are kept between runs: enumerating them takes half a minute."""

# A shell ignores interrupts for what it runs in the background, and its children inherit that; the tests send some.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test, and the processes it starts, away from the user's store, and from embedded tables."""
    monkeypatch.setenv("NASGYM_HOME", str(tmp_path_factory.mktemp("nasgym-home")))
    monkeypatch.setenv("NASGYM_EMBEDDED", "0")  # tests of them set it to 1


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real results; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real results is not beside this checkout")
    return SHARED_DATA


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked ``gpu`` where there is no CUDA device."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
