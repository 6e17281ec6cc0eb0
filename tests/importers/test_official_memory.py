"""A large file is imported in little memory: one architecture at a time."""

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from nasgym.store import Store, TableKey
from tests.importers import official_archives as archives

ROOT = Path(__file__).resolve().parents[2]
COUNT = 400
SCRIPT = """
import json, resource, sys
from pathlib import Path
from nasgym.importers import import_official
from nasgym.store import Store
from tests.importers import official_archives as archives
archives.published("nb201")
mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + (1 << 29), mapped + (1 << 29)))
report = import_official(Store(sys.argv[2]), sys.argv[1], space="nb201")
print(json.dumps({"architectures": report.architectures}))
"""


def without_memo(value):
    """The steps that put a value on the stack and refer to nothing before them."""
    out = io.BytesIO()
    pickler = pickle.Pickler(out, protocol=2)
    pickler.fast = True
    pickler.dump(value)
    return out.getvalue()[2:-1]


def write_large(path):
    """A file as of 2020, whose objects would take some 700 MB."""
    templates = [archives.old_content([index])["arch2infos"][index] for index in range(3)]
    with path.open("wb") as file:
        for part in (archives.MAGIC, archives.PROTOCOL, {"little_endian": True}):
            pickle.dump(part, file, protocol=2)
        file.write(b"\x80\x02}(" + without_memo("arch2infos") + b"}(")
        for index in range(COUNT):
            states = templates[index % 3]
            for state in states.values():
                state |= {"arch_index": index, "arch_str": archives.published("nb201")[index]}
            file.write(without_memo(index) + without_memo(states))
        file.write(b"u")
        for name, value in archives.whole("nb201", None, list(range(COUNT))).items():
            if name != "arch2infos":
                file.write(without_memo(name) + without_memo(value))
        file.write(b"u.")
        pickle.dump([], file, protocol=2)
    return path


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_large_file_is_imported_in_half_a_gigabyte(tmp_path):
    path = write_large(tmp_path / "large.pth")
    assert path.stat().st_size > 100 << 20
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, "-c", SCRIPT, str(path), str(tmp_path / "store")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == {"architectures": COUNT}
    assert Store(tmp_path / "store").seeds(TableKey("nb201", "cifar100", "nb201-200"), COUNT - 1) == [777, 888, 999]
