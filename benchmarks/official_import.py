"""How long an import of a topology archive of full shape takes, in what memory, and how large the store becomes.

The archive is made up, from a seed: as many trials per architecture as the published files have on average, curves of
the published shape and precision, and random values. Every measured number is printed with what it becomes for all
15,625 architectures. The import runs in a process of its own, whose memory is watched.

    python benchmarks/official_import.py --architectures 1000 --kind single --workers 1

With ``--records FOLDER`` the records of a real folder are measured instead, and what the whole space takes is worked
out from them: records of more than 2,038 bytes take pages of 4,096 bytes of their own, the others share pages.

    python benchmarks/official_import.py --records NATS-tss-v1_0-3ffb9-simple
"""

from __future__ import annotations

import argparse
import bz2
import json
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nasgym.executors import cores
from nasgym.importers import import_official
from nasgym.importers.archives import open_archive
from nasgym.importers.reading import read
from nasgym.results import TableKey, encode
from nasgym.store import Store
from tests.importers import official_archives as archives
from tests.importers.official_samples import SEEDS, arch_state

SIZE = 15_625
TRAINED = (2225, 5439, 7961)
"""Architectures of version 1.1 whose 200 epochs were trained once, twice and three times."""
TRIALS = 5 * SIZE + 4 * sum(count * trained for count, trained in enumerate(TRAINED, 1))
"""Trials in the published files: five of 12 epochs an architecture, and those of 200 epochs on four data sets."""
COLUMNS = 10 * (2 + 1 + 1 + 1 + 4 * 3) * SIZE * 8
"""Bytes of the columns of the eight tables, at most: ten for each seed, 8 bytes a value."""
PAGE, PAGE_HEAD, INLINE, NODE = 4096, 16, 2038, 32  # of LMDB, in bytes


def states(index: int) -> dict[str, object]:
    """Make up the record of an architecture with the published number of seeds."""
    rng = np.random.default_rng(index)
    count = 1 + int(np.searchsorted(np.cumsum(TRAINED), rng.integers(SIZE), side="right"))
    seeds = {dataset: found[:count] for dataset, found in SEEDS["nb201", "200"].items()}
    return {"12": arch_state(rng, "nb201", index, "12"), "200": arch_state(rng, "nb201", index, "200", seeds)}


def estimate(folder: Path) -> None:
    """Print the bytes of real records, and what the topology space takes at the published number of seeds."""
    archive = open_archive(folder, "nb201")
    sizes: dict[TableKey, list[int]] = {}
    for trials in read(archive, frozenset()):
        for key, evaluation in trials:
            sizes.setdefault(key, []).append(len(encode(evaluation)))
    total = 0.0
    seeds = (TRIALS / SIZE - 5) / 4
    for key, found in sizes.items():
        own_page = max(found) > INLINE
        trained = seeds if key.recipe == "nb201-200" else 2 if key.dataset == "cifar10" else 1
        each = -(-(max(found) + PAGE_HEAD) // PAGE) * PAGE + NODE if own_page else statistics.mean(found) + NODE
        total += trained * each
        print(f"{key!s:35} {statistics.mean(found):8,.0f} bytes (at most {max(found):,}), {trained:.3f} seeds")
    print(f"an architecture {total:,.0f} bytes, {SIZE:,} architectures {total * SIZE / 1e6:,.0f} MB in full pages")


def write(kind: str, folder: Path, count: int) -> Path:
    """Write the archive; a single file is pickled in one go, so its writer needs memory for all."""
    if kind == "folder":
        path, part = folder / "made-up-simple", folder / "made-up-simple.part"
        part.mkdir(exist_ok=True)
        with ProcessPoolExecutor(cores()) as pool:  # one at a time takes half an hour for all
            list(pool.map(partial(write_one, part), range(count), chunksize=50))
        return part.rename(path)
    infos = {index: states(index) for index in range(count)}
    path = folder / ("made-up.pickle.pbz2" if kind == "single" else "made-up.pth")
    if kind == "single":
        with bz2.open(path, "wb") as file:
            pickle.dump(archives.whole("nb201", infos, set(infos)), file, protocol=4)
        return path
    old = {index: {"full": found["200"], "less": found["12"]} for index, found in infos.items()}
    return archives.legacy(path, archives.whole("nb201", old, sorted(old)))


def write_one(folder: Path, index: int) -> None:
    """Write the record of one architecture; one that is there is kept."""
    path = folder / f"{index:06d}.pickle.pbz2"
    if not path.exists():
        beside = archives.write_bz2(path.with_suffix(".part"), states(index))
        beside.rename(path)


class Watched(Store):
    """A store that notes its size before its columns are built: they are as large for a part of the space."""

    records_bytes = 0

    def build_columns(self, key: TableKey, wanted: Sequence[tuple[str, int | None]] = ()) -> None:
        """Build columns."""
        self.records_bytes = self.records_bytes or self.size_on_disk
        super().build_columns(key, wanted)


def measure(archive: Path, store: Path, workers: int) -> dict[str, float]:
    """Import, in this process, and return what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    into = Watched(store)
    report = import_official(into, archive, space="nb201", workers=workers)
    trials = sum(table.rows for table in report.tables.values())
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu + children.ru_utime + children.ru_stime,
        "peak_mb": max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children.ru_maxrss) / 1024,
        "records_bytes": into.records_bytes,
        "store_bytes": into.size_on_disk,
        "architectures": report.architectures,
        "trials": trials,
    }


def main() -> None:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", type=int, default=500)
    parser.add_argument("--kind", choices=["folder", "single", "pth"], default="folder")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for archive and store; an archive in it is used again")
    parser.add_argument("--records", type=Path, help="a real folder whose records are measured instead")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.records:
        estimate(given.records)
        return
    if given.measure:
        print(json.dumps(measure(given.measure, given.into, given.workers)))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = given.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        names = {"folder": "made-up-simple", "single": "made-up.pickle.pbz2", "pth": "made-up.pth"}
        path = place / names[given.kind]
        path = path if path.exists() else write(given.kind, place, given.architectures)
        words = [sys.executable, __file__, "--measure", path, "--into", place / f"store-{time.time_ns()}"]
        words += ["--workers", given.workers]
        said = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout
    found = json.loads(said)
    share, by_trial = SIZE / found["architectures"], TRIALS / found["trials"]
    print(f"{found['architectures']:,} architectures, {found['trials']:,} trials, {given.workers} workers")
    for name, factor in (("seconds", share), ("cpu_seconds", share), ("records_bytes", by_trial)):
        print(f"{name:13} {found[name]:16,.1f}   for {SIZE:,}: {found[name] * factor:18,.1f}")
    print(f"whole store   {found['store_bytes']:16,.1f}   its columns take at most {COLUMNS:,} for {SIZE:,}")
    print(f"peak memory  {found['peak_mb']:16,.1f} MB of the largest process")


if __name__ == "__main__":
    main()
