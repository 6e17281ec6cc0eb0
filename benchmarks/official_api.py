"""The facades beside the originals: one question again and again, and the first question of a fresh process.

    python benchmarks/official_api.py PATH/TO/NATS-tss-v1_0-3ffb9-simple --out compat.json

PATH is a folder of official records, whole or a few files of it. It is imported into a store of its own first. The
original (`pip install nats_bench`) runs in fast mode, its quickest. Warm: one architecture asked again and again, both
interleaved, medians of rounds, in processor time. Cold: a new process for each measurement, from the call of `create`
to the first answer, importing not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

CALLS: dict[str, Callable[[Any, int, str], Any]] = {
    "simulate_train_eval": lambda api, index, hp: api.simulate_train_eval(index, "cifar10", hp=hp),
    "get_more_info": lambda api, index, hp: api.get_more_info(index, "cifar10-valid", hp=hp),
    "get_more_info, mean": lambda api, index, hp: api.get_more_info(index, "cifar10", hp=hp, is_random=False),
    "get_cost_info": lambda api, index, hp: api.get_cost_info(index, "cifar100", hp=hp),
    "query_by_index": lambda api, index, hp: api.query_by_index(index, "cifar10", hp=hp),
    "query_index_by_arch": lambda api, index, hp: api.query_index_by_arch(api[index]),
}
# Runs in a process of its own: where, index, hp and the store (empty for the original) -> seconds to open and to ask
COLD = """
import sys, time
path, index, hp, store = sys.argv[1:]
if store:
    from nasgym.compat.nats_bench import create
    options = {"store": store}
else:
    from nats_bench import create
    options = {}
start = time.perf_counter()
api = create(path, "tss", fast_mode=True, verbose=False, **options)
opened = time.perf_counter()
api.simulate_train_eval(int(index), "cifar10", hp=hp)
print(opened - start, time.perf_counter() - opened)
"""


def seconds_of(call: Callable[[], Any], at_least: float) -> float:
    """Return the processor seconds of one call, from as many as take ``at_least`` seconds, ten at a time."""
    count, start = 0, time.process_time()
    while (spent := time.process_time() - start) < at_least:
        for _ in range(10):
            call()
        count += 10
    return spent / count


def warm(original: Any, facade: Any, index: int, rounds: int) -> list[dict[str, Any]]:
    rows = []
    for name, call in CALLS.items():
        for hp in ("12", "200"):
            call(original, index, hp), call(facade, index, hp)
            pairs = [
                [seconds_of(lambda api=api, c=call, h=hp: c(api, index, h), 0.05) for api in (original, facade)]
                for _ in range(rounds)
            ]
            there, here = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            rows.append({"call": name, "hp": hp, "original_us": there * 1e6, "facade_us": here * 1e6, "times": ratio})
    return rows


def cold(path: Path, store: Path, index: int, rounds: int) -> list[dict[str, Any]]:
    rows = []
    for hp in ("12", "200"):
        found: dict[str, list[tuple[float, float]]] = {"original": [], "facade": []}
        for _ in range(rounds):
            for side, where in (("original", ""), ("facade", str(store))):
                words = [sys.executable, "-c", COLD, str(path), str(index), hp, where]
                done = subprocess.run(words, capture_output=True, text=True, check=True)
                opening, asking = map(float, done.stdout.split())
                found[side].append((opening, asking))
        totals = [sum(a) / sum(b) for a, b in zip(found["original"], found["facade"], strict=True)]
        row: dict[str, Any] = {"hp": hp, "times": statistics.median(totals)}
        for side, pairs in found.items():
            row[f"{side}_open_ms"], row[f"{side}_ask_ms"] = (
                1e3 * statistics.median(p) for p in zip(*pairs, strict=True)
            )
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="a folder of official records of the topology space")
    parser.add_argument("--index", type=int, default=11, help="an architecture that is in it")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    import nats_bench

    from nasgym.compat.nats_bench import create

    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "store"
        facade = create(options.path, "tss", fast_mode=True, verbose=False, store=store)
        original = nats_bench.create(str(options.path), "tss", fast_mode=True, verbose=False)
        found = {
            "machine": f"{platform.machine()}, Python {platform.python_version()}, nats_bench {version('nats_bench')}",
            "warm": warm(original, facade, options.index, options.rounds),
            "cold": cold(options.path, store, options.index, options.rounds),
        }
    for row in found["warm"]:
        print(
            f"{row['call']:22s} hp {row['hp']:3s} original {row['original_us']:10.1f} us, "
            f"facade {row['facade_us']:8.1f} us, {row['times']:8.0f} times"
        )
    for row in found["cold"]:
        print(
            f"fresh process, hp {row['hp']:3s}: original {row['original_open_ms']:.1f} + "
            f"{row['original_ask_ms']:.1f} ms, facade {row['facade_open_ms']:.2f} + {row['facade_ask_ms']:.2f} ms, "
            f"{row['times']:.0f} times"
        )
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
