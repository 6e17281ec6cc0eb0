"""How long the import of NAS-Bench-101's whole file takes, in what memory, how large the store is and how it opens.

The file is made up, from a seed, in the published form: for each cell 4, 12, 36 and 108 epochs, three times, accuracies
of 9,984 images in 32-bit floats, seconds in thousandths. The import runs in a process of its own. Beside it a part of
the same file is read the plain way, record by record into nested dictionaries, as the published loader does.

    python benchmarks/nb101_import.py --cells 21181 --keep FOLDER    # a twentieth
    python benchmarks/nb101_import.py --keep FOLDER                  # all 423,624 cells, 2 GB
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import platform
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nasgym.benchmark import Benchmark
from nasgym.importers import import_nasbench101
from nasgym.importers.nasbench101 import TABLES
from nasgym.spaces import NB101
from nasgym.store import Store
from tests.importers.nb101_records import EPOCHS, Maker, framed, varint

CHUNK = 2048
"""Cells that are made up at once."""
PLAIN = 200_000
"""Records that are read the plain way."""


def write(path: Path, cells: int) -> None:
    """Write the file; one that is there with the right number of cells is kept."""
    note, maker = path.with_suffix(".cells"), Maker()
    if path.exists() and note.exists() and note.read_text() == str(cells):
        return
    indices = np.linspace(0, maker.space.size - 1, cells).astype(np.int64)
    with path.open("wb") as file:
        for at in range(0, cells, CHUNK):
            file.write(framed(list(payloads(maker, indices[at : at + CHUNK], at))))
    note.write_text(str(cells))


def payloads(maker: Maker, indices: np.ndarray, seed: int) -> Iterator[bytes]:
    """Make up the records of some cells, all of them at once."""
    rng = np.random.default_rng(seed)
    genotypes = maker.space.from_index(indices)
    names, cells = maker.space.hash(genotypes), maker.space.cells(indices)
    counts = maker.space.parameters(genotypes, maker.macro).tolist()
    heads = []
    for name, cell in zip(names, cells, strict=True):
        matrix = "".join(map(str, cell.matrix.ravel().tolist()))
        operations = ",".join(["input", *cell.operations, "output"])
        heads.append((f'["{name}", '.encode(), f', "{matrix}", "{operations}", "'.encode()))
    points, total = numbers(rng, len(indices))
    entry = np.zeros((*points.shape[:-1],), dtype=[("head", "u1", 2), ("points", [("tag", "u1"), ("value", "<f8")], 5)])
    entry["head"], entry["points"]["tag"], entry["points"]["value"] = (0x0A, 45), (9, 17, 25, 33, 41), points
    size, whole, totals = 3 * entry.itemsize, entry.tobytes(), total.astype("<f8").tobytes()
    at = 0
    for (begin, middle), count in zip(heads, counts, strict=True):
        digits = b"\x10" + varint(count) + b"\x19"
        for epochs in EPOCHS:
            for _ in range(3):
                message = whole[at * size : (at + 1) * size] + digits + totals[at * 8 : at * 8 + 8]
                coded = b"".join(binascii.b2a_base64(message[i : i + 57]) for i in range(0, len(message), 57))
                yield begin + b"%d" % epochs + middle + coded.replace(b"\n", b"\\n") + b'"]'
                at += 1


def numbers(rng: np.random.Generator, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Make up ``points[cells, 4, 3, 3, 5]`` and ``total[cells, 4, 3]``."""
    epochs = np.array(EPOCHS)[None, :, None]
    best = 0.95 - 0.5 / np.sqrt(epochs) - 0.05 * rng.random((cells, 1, 1))
    points = np.empty((cells, 4, 3, 3, 5))
    points[..., 0] = epochs[..., None] * [0, 0.5, 1]
    seconds = np.rint(1000 * epochs * (5 + 20 * rng.random((cells, 1, 1))) * (1 + 0.01 * rng.random((cells, 4, 3))))
    points[..., 1] = np.float32(seconds[..., None] / 1000 * [0, 0.502, 1])
    accuracy = np.stack([np.full_like(best, 0.1), 0.6 * best, best], axis=-1)[..., None] - [-0.03, 0, 0.004]
    accuracy = accuracy + 0.004 * rng.standard_normal(points[..., 2:].shape)
    points[..., 2:] = np.float32(np.rint(np.clip(accuracy, 0, 1) * 9984) / 9984)
    return points, 1.3 * seconds / 1000 + 300 + rng.random((cells, 4, 3))


def measure(path: Path, folder: Path) -> dict[str, float]:
    """Import, in this process, and return what it took."""
    NB101().table  # noqa: B018 - opened before the clock runs: it is made once for a user
    wall, cpu = time.perf_counter(), time.process_time()
    store, peaks = Store(folder), [0.0]
    report = import_nasbench101(store, path, progress=lambda done, size: peaks.append(own_memory()))
    took = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return took | {
        "records": report.trainings,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "own_mb": max(peaks),
        "store_mb": store.size_on_disk / 1e6,
        "file_mb": path.stat().st_size / 1e6,
    }


def own_memory() -> float:
    """Return the memory of this process without the pages of files that it maps, MB; 0 where that is not told."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def opening(folder: Path) -> dict[str, float]:
    """Return milliseconds from nothing to the first answer of a store, for one cell and for the whole table."""
    space, key, found = NB101(), TABLES[108], {}
    questions = {
        "one": lambda table: table.query(0, seed=0),
        "view": lambda table: table.view(["valid_accuracy", "train_seconds"]),
    }
    for name, ask in questions.items():
        wall, cpu = time.perf_counter(), time.process_time()
        ask(Benchmark(space, key, Store(folder, readonly=True)))
        found[f"{name}_ms"] = 1000 * (time.perf_counter() - wall)
        found[f"{name}_cpu_ms"] = 1000 * (time.process_time() - cpu)
    return found


def plain(path: Path, most: int) -> dict[str, float]:
    """Read records into nested dictionaries, without looking at checksums, hashes or matrices."""
    cpu, fixed, computed, count = time.process_time(), dict[str, object](), dict[str, dict[int, list[object]]](), 0
    with path.open("rb") as file:
        for record in islice(plain_records(file), most):
            name, epochs, matrix, operations, coded = json.loads(record)
            metrics = base64.b64decode(coded)
            evaluations, parameters = plain_metrics(metrics)
            side = int(len(matrix) ** 0.5)
            if name not in fixed:
                fixed[name] = {
                    "module_adjacency": np.array(list(map(int, matrix)), dtype=np.int8).reshape(side, side),
                    "module_operations": operations.split(","),
                    "trainable_parameters": parameters,
                }
            point = {}
            for moment, entry in (("halfway", evaluations[1]), ("final", evaluations[2])):
                for tag, what in enumerate(
                    ("training_time", "train_accuracy", "validation_accuracy", "test_accuracy"), 2
                ):
                    point[f"{moment}_{what}"] = entry[tag]
            computed.setdefault(name, {}).setdefault(epochs, []).append(point)
            count += 1
    seconds = time.process_time() - cpu
    return {"plain_records": count, "plain_cpu_seconds": seconds}


def plain_records(file) -> Iterator[bytes]:  # noqa: ANN001 - an open file
    """Iterate over the records of a file."""
    while head := file.read(12):
        data = file.read(struct.unpack_from("<Q", head)[0])
        file.read(4)
        yield data


def plain_metrics(data: bytes) -> tuple[list[dict[int, float]], int]:
    """Read a message of the published layout."""
    evaluations = []
    for at in (0, 47, 94):
        evaluations.append({tag: struct.unpack_from("<d", data, at + 9 * tag - 6)[0] for tag in range(1, 6)})
    parameters, shift, at = 0, 0, 142
    while True:
        parameters |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return evaluations, parameters
        shift, at = shift + 7, at + 1


def in_a_process(*words: str) -> dict[str, float]:
    """Run a part of this script in a process of its own and return what it measured."""
    done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=NB101().size)
    parser.add_argument("--keep", type=Path, help="a folder for the file, which is used again")
    parser.add_argument("--measure", choices=["import", "open", "plain"], help=argparse.SUPPRESS)
    parser.add_argument("paths", type=Path, nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        parts = {"import": measure, "open": opening, "plain": lambda path: plain(path, PLAIN)}
        print(json.dumps(parts[given.measure](*given.paths)))
        return
    with tempfile.TemporaryDirectory(dir=given.keep) as scratch:
        path = (given.keep or Path(scratch)) / f"made-up-{given.cells}" / "nasbench_full.tfrecord"
        path.parent.mkdir(exist_ok=True)
        write(path, given.cells)
        store = str(Path(scratch) / "store")
        found = in_a_process("--measure", "import", str(path), store)
        for opened in (in_a_process("--measure", "open", store) for _ in range(5)):
            found |= {name: min(value, found.get(name, value)) for name, value in opened.items()}
        found |= in_a_process("--measure", "plain", str(path))
    show(found)


def show(found: dict[str, float]) -> None:
    """Print what was measured."""
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"file                      {found['file_mb']:9,.0f} MB, {found['records']:,} records")
    print(f"import                    {found['seconds']:9,.1f} s wall, {found['cpu_seconds']:,.1f} s of processor")
    print(f"records per cpu second    {found['records'] / found['cpu_seconds']:9,.0f}")
    print(
        f"plain dictionaries        {found['plain_records'] / found['plain_cpu_seconds']:9,.0f} records per cpu second"
    )
    print(f"peak memory               {found['peak_mb']:9,.0f} MB, of which its own at most {found['own_mb']:,.0f} MB")
    print(f"store                     {found['store_mb']:9,.0f} MB")
    for name, what in (("one", "open and answer one cell"), ("view", "open and read the table")):
        wall, cpu = found[f"{name}_ms"], found[f"{name}_cpu_ms"]
        print(f"{what:25} {wall:9,.1f} ms wall, {cpu:,.1f} ms of processor (best of 5)")


if __name__ == "__main__":
    main()
