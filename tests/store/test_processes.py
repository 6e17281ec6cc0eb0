"""Several processes and threads on one store: forks, claims, growth seen by others."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nasgym.store import Cell, Store
from nasgym.store.claims import Owner
from tests.store.samples import KEY, OTHER, evaluation

ROOT = Path(__file__).parents[2]


def in_child(work: object) -> int:
    """Fork, run ``work`` in the child, and return its exit status: 0 when it raised nothing."""
    pid = os.fork()
    if pid == 0:
        try:
            work()  # type: ignore[operator]
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, env=environment, cwd=ROOT, text=True
    )


def test_both_sides_of_a_fork_go_on(store: Store) -> None:
    store.put(KEY, [evaluation(1)])

    def child() -> None:
        assert store.get(KEY, 1, 0) == evaluation(1)
        store.put(KEY, [evaluation(i, 1, blob=os.urandom(500).hex()) for i in range(300)])  # grows
        assert store.claim(KEY, 5, 5, 60)
        store.close()

    assert in_child(child) == 0
    assert store.get(KEY, 299, 1) is not None
    assert store.claim(KEY, 5, 5, 60), "the child that held the claim has ended"
    store.put(KEY, [evaluation(2)])
    assert in_child(lambda: store.put(KEY, [evaluation(3)])) == 0
    assert store.info(KEY).rows == 303
    assert store.verify() == []


def test_a_fork_while_another_thread_writes(store: Store) -> None:
    done = threading.Event()

    def write() -> None:
        index = 0
        while not done.is_set():
            store.put(KEY, [evaluation(index % 1000, index // 1000)])
            index += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for round_ in range(5):
            assert in_child(lambda n=round_: store.put(KEY, [evaluation(n, "mean")])) == 0
    finally:
        done.set()
        thread.join()
    assert [store.seeds(KEY, n)[-1] for n in range(5)] == ["mean"] * 5
    assert store.verify() == []


def test_readers_in_a_child_do_not_disturb_the_parent(store: Store) -> None:
    store.put(KEY, [evaluation(i) for i in range(400)])
    chunk = iter(store.scan(KEY))
    next(chunk)
    assert in_child(lambda: store.columns(KEY, ["valid_accuracy"])) == 0
    assert sum(1 for _ in chunk) == 399


TRAINER = """
import random, sys, time
from nasgym.store import Store
from tests.store.samples import KEY, evaluation
store = Store(sys.argv[1])
cells = list(range(40))
random.Random(int(sys.argv[2])).shuffle(cells)
for index in cells:
    if store.claim(KEY, index, 0, 60):
        time.sleep(0.002)
        store.put(KEY, [evaluation(index)])
        print(index, flush=True)
"""


def test_two_processes_share_the_work(store: Store) -> None:
    workers = [run(TRAINER, str(store.path), str(seed)) for seed in (1, 2)]
    trained = [worker.communicate()[0].split() for worker in workers]
    counts = Counter(int(index) for lines in trained for index in lines)
    assert counts == dict.fromkeys(range(40), 1)
    assert all(trained), "one process did all the work"


HOLDER = """
import sys, time
from nasgym.store import Store
from tests.store.samples import KEY
store = Store(sys.argv[1])
print(store.claim(KEY, 1, 0, 3600), flush=True)
time.sleep(600)
"""


def test_the_claim_of_a_killed_process_is_void(store: Store) -> None:
    with run(HOLDER, str(store.path)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not store.claim(KEY, 1, 0, 60)
        holder.kill()
    assert store.claim(KEY, 1, 0, 60)


GROWER = """
import sys
from nasgym.store import Store
from tests.store.samples import KEY, evaluation
store = Store(sys.argv[1], map_size=1 << 16)
for start in range(0, 1000, 100):
    store.put(KEY, [evaluation(i, 7, blob=f"{i * 7919:d}" * 300) for i in range(start, start + 100)])
print(store.info(KEY).rows)
"""


def test_growth_by_another_process_is_followed(store: Store) -> None:
    store.put(KEY, [evaluation(1)])
    with run(GROWER, str(store.path)) as grower:
        assert grower.communicate()[0].strip() == "1001"
    assert store.size_on_disk > 1 << 16
    assert store.get(KEY, 999, 7) is not None
    store.put(KEY, [evaluation(2)])
    assert store.verify() == []


def test_threads_read_and_write_while_the_store_grows(store: Store) -> None:
    store.ensure_table(OTHER, 1000)

    def write(seed: int) -> None:
        for start in range(0, 100, 10):
            store.put(KEY, [evaluation(i, seed, blob=os.urandom(1000).hex()) for i in range(start, start + 10)])

    def read(_: int) -> int:
        seen = 0
        for _ in range(60):
            seen = max(seen, sum(1 for _ in store.scan(KEY)))
            store.columns(KEY, ["valid_accuracy"])
            store.claim_all(OTHER, [Cell(1, 1)], 5)
        return seen

    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(write, seed) for seed in range(3)] + [pool.submit(read, n) for n in range(3)]
        for job in jobs:
            job.result()
    assert store.info(KEY).rows == 300
    assert store.verify() == []


IMPORTS = """
import json, sys
import nasgym.store, nasgym.results_file, nasgym.importers
before = "lmdb" in sys.modules
nasgym.store.Store(sys.argv[1]).keys()
print(json.dumps([before, "lmdb" in sys.modules, "torch" in sys.modules]))
"""


def test_lmdb_is_imported_on_opening_and_torch_never(store: Store) -> None:
    with run(IMPORTS, str(store.path)) as process:
        assert json.loads(process.communicate()[0]) == [False, True, False]


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="the system does not tell when a process was started")
def test_a_claim_is_void_where_its_process_number_is_used_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(store.path) as other:
        assert other.claim(KEY, 1, 0, 3600)
        assert not store.claim(KEY, 1, 0, 60)
        claims = "nasgym.store.claims."
        monkeypatch.setattr(claims + "_boot", lambda: "another boot")
        assert store.claim(KEY, 1, 0, 60), "the computer was started anew, and this process has the old one's number"
    assert Owner(pid=1).is_dead, "process 1 is not the one that started when this one did"
    assert not Owner(pid=1, started=None).is_dead, "where nothing is known, a process of that number counts"
