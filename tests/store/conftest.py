from collections.abc import Iterator
from pathlib import Path

import pytest

from nasgym.store import Store
from tests.store.samples import KEY


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store", map_size=1 << 16) as opened:
        opened.ensure_table(KEY, 1000)
        yield opened
