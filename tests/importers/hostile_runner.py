"""Imports hostile and mutated files in a process with little memory, and prints what came of each as JSON lines.

python -m tests.importers.hostile_runner hostile FOLDER everywhere|somewhere
python -m tests.importers.hostile_runner fuzz FOLDER FIRST COUNT
"""

from __future__ import annotations

import bz2
import json
import pickle
import resource
import shutil
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

from nasgym.errors import NasgymError
from nasgym.importers import import_official
from nasgym.importers.official_names import tables_of
from nasgym.store import Store
from tests.importers import hostile
from tests.importers import official_archives as archives

LITTLE = 1 << 30  # bytes beside what the interpreter and its libraries have mapped already


def limit_memory():
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + LITTLE, mapped + LITTLE))


def attempt(name, path, space, store):
    """Import one file and say what came of it; the store is as before after an error."""
    began = time.process_time()  # the machine may be busy
    try:
        import_official(store, path, space=space)
        outcome = "imported"
    except NasgymError as error:
        outcome = f"{type(error).__name__}: {error}"[:400]
    except BaseException as error:
        outcome = f"UNNAMED {type(error).__name__}: {error}"[:400]
    seconds = time.process_time() - began
    found = {"name": name, "outcome": outcome, "seconds": seconds, "tables": len(store.keys())}
    print(json.dumps(found), flush=True)


def containers(folder, payload):
    """The same pickle in each container."""
    heads = b"".join(pickle.dumps(part, 2) for part in (archives.MAGIC, archives.PROTOCOL, {"little_endian": True}))
    (folder / "folder").mkdir()
    (folder / "folder" / "000001.pickle.pbz2").write_bytes(bz2.compress(payload, 1))
    (folder / "single.pickle.pbz2").write_bytes(bz2.compress(payload, 1))
    (folder / "legacy.pth").write_bytes(heads + payload + pickle.dumps([], 2))
    with zipfile.ZipFile(folder / "zip.pth", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", payload)
    return [folder / name for name in ("folder", "single.pickle.pbz2", "legacy.pth", "zip.pth")]


def run_hostile(folder, everywhere):
    """Try every case in every container, or each in one of them by turns."""
    store = Store(folder / "store")
    cases = [*hostile.calls(), *hostile.bombs(), ("endless", hostile.endless_architectures())]
    for number, (name, payload) in enumerate(cases):
        here = folder / "case"
        here.mkdir()
        paths = containers(here, payload)
        for path in paths if everywhere else paths[number % 4 : number % 4 + 1]:
            attempt(f"{name} ({path.name})", path, "nb201", store)
        shutil.rmtree(here)
    for name, packed in hostile.endless():
        path = folder / "endless.pickle.pbz2"
        path.write_bytes(packed)
        attempt(name, path, "nb201", store)


def mutated(data, rng):
    """Change, drop, double or cut off some bytes."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 40))
        kind = rng.integers(6)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.integers(256))
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = bytes(rng.integers(0, 256, length, dtype=np.uint8))
        elif kind == 4:
            source = int(rng.integers(len(data)))
            data[at:at] = data[source : source + length]
        else:
            del data[max(at, 1) :]
    return bytes(data)


def run_fuzz(folder, first, count):
    """Sample ``n`` is made from the seed ``n`` alone; every fourth is changed in its container, not in its pickle."""
    states = archives.by_recipe("nats-sss", 77, hps=("01",))
    small = pickle.dumps(states, 4)
    full = pickle.dumps(archives.by_recipe("nb201", 77, hps=("12",)), 4)
    single = pickle.dumps({"arch2infos": {77: states}}, 4)
    old = pickle.dumps({"arch2infos": {77: {"less": archives.by_recipe("nb201", 77, hps=("12",))["12"]}}}, 2)
    for sample in range(first, first + count):
        rng = np.random.default_rng(sample)
        space, payload = [("nats-sss", small), ("nb201", full), ("nats-sss", single), ("nb201", old)][sample % 4]
        here = folder / f"{sample}"
        here.mkdir()
        whole = sample % 16 >= 12  # then the container is changed
        paths = containers(here, payload if whole else mutated(payload, rng))
        path = paths[[0, 0, 1, 2 + sample % 8 // 4][sample % 4]]
        if whole:
            file = path / "000001.pickle.pbz2" if path.is_dir() else path
            file.write_bytes(mutated(file.read_bytes(), rng))
        if path.is_dir():
            (path / "000001.pickle.pbz2").rename(path / "000077.pickle.pbz2")
        attempt(str(sample), path, space, Store(here / "store"))
        shutil.rmtree(here)


if __name__ == "__main__":
    for space in ("nb201", "nats-sss"):
        tables_of(space)
        archives.published(space)
    limit_memory()
    if sys.argv[1] == "hostile":
        run_hostile(Path(sys.argv[2]), sys.argv[3] == "everywhere")
    else:
        run_fuzz(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
