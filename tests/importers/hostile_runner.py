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
        problems = store.verify()
        outcome = f"UNSOUND {problems[0]}" if problems else "imported"
    except NasgymError as error:
        outcome = f"{type(error).__name__}: {error}"[:400]
    except BaseException as error:
        outcome = f"UNNAMED {type(error).__name__}: {error}"[:400]
    seconds = time.process_time() - began
    found = {"name": name, "outcome": outcome, "seconds": seconds, "tables": len(store.keys())}
    print(json.dumps(found), flush=True)


KINDS = ("folder", "single.pickle.pbz2", "legacy.pth", "zip.pth")


def contained(folder, kind, payload, index=1):
    """Write a pickle into one of the containers and return its path."""
    path = folder / kind
    if kind == "folder":
        path.mkdir()
        (path / f"{index:06d}.pickle.pbz2").write_bytes(bz2.compress(payload, 1))
    elif kind == "single.pickle.pbz2":
        path.write_bytes(bz2.compress(payload, 1))
    elif kind == "legacy.pth":
        heads = b"".join(pickle.dumps(part, 2) for part in (archives.MAGIC, archives.PROTOCOL, {"little_endian": True}))
        path.write_bytes(heads + payload + pickle.dumps([], 2))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("archive/data.pkl", payload)
    return path


def run_hostile(folder, everywhere):
    """Try every case in every container, or each in one of them by turns."""
    store = Store(folder / "store")
    cases = [*hostile.calls(), *hostile.bombs(), ("endless", hostile.endless_architectures())]
    for number, (name, payload) in enumerate(cases):
        here = folder / "case"
        here.mkdir()
        for kind in KINDS if everywhere else [KINDS[number % 4]]:
            attempt(f"{name} ({kind})", contained(here, kind, payload), "nb201", store)
        shutil.rmtree(here)
    for name, packed in hostile.endless():
        path = folder / "endless.pickle.pbz2"
        path.write_bytes(packed)
        attempt(name, path, "nb201", store)


def mutated(data, rng):
    """Change, drop, double or cut off some bytes."""
    data = bytearray(data)
    for _ in range(int(rng.geometric(0.6))):  # mostly one change
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
    """Sample ``n`` is made from the seed ``n`` alone; a quarter is changed in its container, not in its pickle."""
    little = {"cifar10": [111]}
    tiny = archives.by_recipe("nats-sss", 77, hps=("01",), seeds={"cifar100": [777]})
    small = archives.by_recipe("nb201", 77, hps=("12",), seeds=little)
    samples = [
        ("nats-sss", "folder", pickle.dumps(tiny, 4)),
        ("nb201", "folder", pickle.dumps(small, 4)),
        ("nats-sss", "single.pickle.pbz2", pickle.dumps({"arch2infos": {77: tiny}}, 4)),
        ("nb201", "legacy.pth", pickle.dumps({"arch2infos": {77: {"less": small["12"]}}}, 2)),
        ("nb201", "zip.pth", pickle.dumps({"arch2infos": {77: {"less": small["12"]}}}, 2)),
    ]
    for sample in range(first, first + count):
        rng = np.random.default_rng(sample)
        space, kind, payload = samples[sample % len(samples)]
        here = folder / f"{sample}"
        here.mkdir()
        in_container = rng.random() < 0.25
        path = contained(here, kind, payload if in_container else mutated(payload, rng), 77)
        if in_container:
            file = path / "000077.pickle.pbz2" if path.is_dir() else path
            file.write_bytes(mutated(file.read_bytes(), rng))
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
