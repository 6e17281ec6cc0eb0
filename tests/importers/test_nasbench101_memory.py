"""A file of NAS-Bench-101 is imported block by block: what a block took is free when the next one comes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.importers import nb101_records as records

ROOT = Path(__file__).resolve().parents[2]
BLOCK = 1 << 18
CELLS = range(0, 423_624, 414)
SCRIPT = """
import json, sys
from pathlib import Path
from nasgym.importers import import_nasbench101, tfrecord
from nasgym.store import Store

def own():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024

tfrecord.BLOCK, seen = int(sys.argv[3]), []
import_nasbench101(Store(sys.argv[2]), sys.argv[1], progress=lambda done, size: seen.append(own()))
print(json.dumps(seen))
"""


def own_memory(path, store, block):
    """MB of the process's own memory after each block, without the pages of files that it maps."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, "-c", SCRIPT, str(path), str(store), str(block)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells no memory of its own")
def test_memory_does_not_grow_with_the_file(tmp_path):
    path = records.write(tmp_path / "made.tfrecord", CELLS)
    seen = own_memory(path, tmp_path / "store", BLOCK)
    assert path.stat().st_size > 5e6 and len(seen) > 15
    assert seen[-1] - seen[0] < 3  # of it 1.7, a byte for each cell and length that a file can have
