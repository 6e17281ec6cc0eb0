"""One made-up store for all tests of studies; nothing writes to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.samples import fill


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("filled") / "store")
