"""Benchmarks by name, where nothing can be trained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nasgym.results import TableKey
from nasgym.store import Store

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from nasgym.errors import StoreReadOnly
from nasgym.store import Store
from nasgym.task import make_benchmark

try:
    make_benchmark("nb201/cluttered-digits", store=Store(sys.argv[1], readonly=True)).query(5, 0)
except StoreReadOnly as error:
    print(error, "torch" in sys.modules)
"""


def test_a_read_only_store_says_what_to_do_before_anything_is_loaded(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        store.ensure_table(TableKey("nb201", "cifar10", "nb201-12"), 15_625)
    command = [sys.executable, "-c", CODE, str(tmp_path / "store")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"the store {tmp_path / 'store'} is read-only, and trainings have to be stored: ")
    assert done.stdout.endswith('use another store, or on_missing="error". False\n')
