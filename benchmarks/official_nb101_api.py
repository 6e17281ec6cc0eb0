"""The facade of NAS-Bench-101 beside the published way: all records in nested dictionaries of one process.

    python benchmarks/official_nb101_api.py --cells 2000 --out nasbench.json
    python benchmarks/official_nb101_api.py --path nasbench_full.tfrecord --limit 24000

The original needs TensorFlow 1, so its peer here is the published way in plain Python: it reads a file record by
record, hashes each spec by the published rule, copies all that is known of its module and draws a repeat. Opening: a
process of its own for each measurement, from the call of the constructor to the first answer, importing not counted;
the facade has imported the file before. Asking: both in one process, interleaved, medians of rounds. All in processor
time.
"""

from __future__ import annotations

import argparse
import base64
import copy
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.nb101_import import plain_metrics, plain_records, write
from nasgym.compat.nasbench.api import ModelSpec, NASBench
from nasgym.compat.nasbench.lib.config import build_config
from nasgym.compat.nasbench.results import NAMES
from nasgym.store import Store

RECORDS = 423_624 * 12  # of the published file
KEYS = ("training_time", "train_accuracy", "validation_accuracy", "test_accuracy")


class Dictionaries:
    """The published way, without TensorFlow."""

    def __init__(self, path: Path, seed: int, most: int | None = None) -> None:
        random.seed(seed)
        self.config = build_config()
        self.fixed: dict[str, dict[str, Any]] = {}
        self.computed: dict[str, dict[int, list[dict[str, float]]]] = {}
        self.records = 0
        start = time.process_time()
        with path.open("rb") as file:
            for record in islice(plain_records(file), most):
                self._add(*json.loads(record))
        self.load_seconds = time.process_time() - start
        self.spent, self.epochs = 0.0, 0

    def _add(self, name: str, epochs: int, matrix: str, operations: str, coded: str) -> None:
        evaluations, parameters = plain_metrics(base64.b64decode(coded))
        if name not in self.fixed:
            side = int(np.sqrt(len(matrix)))
            self.fixed[name] = {
                "module_adjacency": np.array([int(e) for e in matrix], dtype=np.int8).reshape(side, side),
                "module_operations": operations.split(","),
                "trainable_parameters": parameters,
            }
        run = [evaluations[moment][tag] for moment in (1, 2) for tag in (2, 3, 4, 5)]
        self.computed.setdefault(name, {}).setdefault(epochs, []).append(dict(zip(NAMES, run, strict=True)))
        self.records += 1

    def get_metrics_from_hash(self, name: str) -> tuple[dict[str, Any], dict[int, list[dict[str, float]]]]:
        """Return copies of all that is known of a module."""
        return copy.deepcopy(self.fixed[name]), copy.deepcopy(self.computed[name])

    def is_valid(self, spec: ModelSpec) -> bool:
        """Tell whether a module is in the space."""
        config = self.config
        return (
            spec.valid_spec
            and len(spec.ops) <= config["module_vertices"]
            and np.sum(spec.matrix) <= config["max_edges"]
            and spec.ops[0] == "input"
            and spec.ops[-1] == "output"
            and all(op in config["available_ops"] for op in spec.ops[1:-1])
        )

    def query(self, spec: ModelSpec, epochs: int = 108) -> dict[str, Any]:
        """Draw one training of a module and charge it."""
        assert self.is_valid(spec)
        fixed, computed = self.get_metrics_from_hash(spec.hash_spec(self.config["available_ops"]))
        run = computed[epochs][random.randint(0, self.config["num_repeats"] - 1)]
        answer = dict(fixed)
        for key in KEYS:
            answer[key] = run[f"final_{key}"]
        self.spent += answer["training_time"]
        self.epochs += epochs
        return answer


def api_of(kind: str, path: Path, store: Path, most: int | None) -> Any:
    return Dictionaries(path, 1, most) if kind == "dictionaries" else NASBench(path, 1, store=Store(store))


def opening(kind: str, path: Path, store: Path, most: int | None, spec: ModelSpec) -> dict[str, float]:
    """Return seconds of the clock and the processor to open and to answer the first query, in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    api = api_of(kind, path, store, most)
    opened = time.process_time()
    api.query(spec)
    done = time.process_time()
    return {"wall": time.perf_counter() - wall, "open": opened - cpu, "first": done - opened}


def in_a_process(words: Sequence[str]) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def seconds_each(call: Callable[[Any], Any], arguments: Sequence[Any]) -> float:
    """Return the processor seconds of one call, over many arguments."""
    start = time.process_time()
    for argument in arguments:
        call(argument)
    return (time.process_time() - start) / len(arguments)


def asking(path: Path, store: Path, most: int | None, rounds: int) -> tuple[list[dict[str, Any]], Dictionaries]:
    """Return what one question takes on either side, in microseconds."""
    there = Dictionaries(path, 1, most)
    names = list(there.fixed)
    known = [(there.fixed[name]["module_adjacency"], there.fixed[name]["module_operations"]) for name in names]
    specs = [ModelSpec(*module) for module in known]
    one, hashes = specs[len(specs) // 2], [names[len(specs) // 2]] * len(specs)
    questions: dict[str, tuple[Callable[[Any, Any], Any], Sequence[Any]]] = {
        "query, one module again and again": (lambda api, spec: api.query(spec), [one] * len(specs)),
        "query, every module once": (lambda api, spec: api.query(spec), specs),
        "is_valid": (lambda api, spec: api.is_valid(spec), specs),
        "get_metrics_from_hash, one again": (lambda api, name: api.get_metrics_from_hash(name), hashes),
        "get_metrics_from_hash, each once": (lambda api, name: api.get_metrics_from_hash(name), names),
    }
    rows = []
    for what, (ask, arguments) in questions.items():
        pairs = []
        for _ in range(rounds):
            here = NASBench(path, 1, store=Store(store))  # nothing is remembered
            here.query(specs[0])
            pairs.append([seconds_each(lambda a, api=api, f=ask: f(api, a), arguments) for api in (there, here)])
        sides = [1e6 * statistics.median(side) for side in zip(*pairs, strict=True)]
        ratio = statistics.median(a / b for a, b in pairs)
        rows.append({"call": what, "dictionaries_us": sides[0], "facade_us": sides[1], "times": ratio})
    return rows, there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=2000, help="of a file that is made up")
    parser.add_argument("--path", type=Path, help="a file to read instead")
    parser.add_argument("--limit", type=int, help="records that the dictionaries take of it; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--opening", nargs=2, metavar=("KIND", "SPEC"), help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help="a store that has the file, or is to have it")
    given = parser.parse_args()
    if given.opening:
        kind, spec = given.opening
        print(json.dumps(opening(kind, given.path, given.store, given.limit, ModelSpec(*json.loads(spec)))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        path, store = given.path or Path(scratch) / "made-up.tfrecord", given.store or Path(scratch) / "store"
        if given.path is None:
            write(path, given.cells)
        show(measure(path, store, given), given.out)


def measure(path: Path, store: Path, given: argparse.Namespace) -> dict[str, Any]:
    start = time.process_time()
    NASBench(path, 1, store=Store(store))
    imported = time.process_time() - start
    rows, there = asking(path, store, given.limit, given.rounds)
    fixed = next(iter(there.fixed.values()))
    spec = json.dumps([fixed["module_adjacency"].tolist(), fixed["module_operations"]])
    words = ["--path", str(path), "--store", str(store)] + (["--limit", str(given.limit)] if given.limit else [])
    cold: dict[str, Any] = {}
    for kind in ("dictionaries", "facade"):
        found = [in_a_process([*words, "--opening", kind, spec]) for _ in range(given.rounds)]
        cold[kind] = {name: 1e3 * statistics.median(one[name] for one in found) for name in ("wall", "open", "first")}
    return {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}",
        "records": there.records,
        "dictionaries_records_per_second": there.records / there.load_seconds,
        "import_seconds": imported,
        "warm": rows,
        "cold_ms": cold,
    }


def show(found: dict[str, Any], out: Path | None) -> None:
    rate = found["dictionaries_records_per_second"]
    print(f"{found['machine']}; {found['records']:,} records")
    print(
        f"dictionaries read {rate:,.0f} records a second: the published file takes {RECORDS / rate:,.0f} s, every time"
    )
    print(f"facade: imported once in {found['import_seconds']:.1f} s (0 where the store had it)")
    for kind, row in found["cold_ms"].items():
        print(
            f"{kind:12s} opens in {row['open']:,.1f} ms, first query {row['first']:.1f} ms of the processor "
            f"({row['wall']:,.1f} ms of the clock together)"
        )
    for row in found["warm"]:
        print(
            f"{row['call']:34s} dictionaries {row['dictionaries_us']:8.1f} us, facade {row['facade_us']:7.1f} us, "
            f"{row['times']:6.1f} times"
        )
    if out:
        out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
