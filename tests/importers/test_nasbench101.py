"""NAS-Bench-101's file into the store and out again, number for number."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nasgym.compact import VERSION
from nasgym.errors import InvalidArchive, ResultConflict
from nasgym.importers import import_nasbench101
from nasgym.importers.nasbench101 import TABLES
from nasgym.results import encode
from nasgym.spaces import NB101
from nasgym.store import Store
from tests.importers import nb101_records as records

ROOT = Path(__file__).resolve().parents[2]


def contents(store):
    return {key: list(store.scan(key)) for key in store.keys()}


def numbers(found):
    """``points[3, 5]``, total and parameters of an evaluation, as the file has them."""
    names = ("train_seconds", "train_accuracy", "valid_accuracy", "test_accuracy")
    points = np.stack([found.series["train_seconds"].epochs, *(found.series[name].values for name in names)], axis=1)
    return points, found.series["total_seconds"].values[0], round(found.series["params"].values[0] * 1e6)


def test_the_writer_writes_the_published_bytes():
    written = records.framed([records.REAL])
    assert written[:8] == (401).to_bytes(8, "little")
    assert (written[8:12], written[-4:]) == records.REAL_SUMS
    name, epochs, matrix, operations, metrics = json.loads(records.REAL)
    import base64

    assert records.payload(name, epochs, matrix, operations, base64.b64decode(metrics)) == records.REAL


def test_the_real_record_gives_its_published_numbers(tmp_path):
    (tmp_path / "nasbench_full.tfrecord").write_bytes(records.framed([records.REAL]))
    store = Store(tmp_path / "store")
    report = import_nasbench101(store, tmp_path / "nasbench_full.tfrecord")
    assert (report.trainings, report.cells, report.faults) == (1, 1, {})
    found = store.get(TABLES[4], 0, 0)
    points, total, parameters = numbers(found)
    assert points.tolist() == [
        [0.0, 0.0, 0.1002604141831398, 0.09775640815496445, 0.09985977411270142],
        [2.0, 45.152000427246094, 0.10166265815496445, 0.10526842623949051, 0.10436698794364929],
        [4.0, 89.90399932861328, 0.3498597741127014, 0.3489583432674408, 0.3504607379436493],
    ]
    assert (total, parameters) == (413.7015450000763, 8_555_530)
    assert found.provenance == {"tool": "nasgym import nasbench101", "source": "nasbench_full.tfrecord"}
    assert found.value("valid_accuracy", epoch=2) == 0.10526842623949051
    assert encode(found)[2] == VERSION  # what is exported and merged stays small


def test_every_number_comes_out_as_it_went_in(tmp_path):
    indices = [0, 5, 423_623, 77_777]
    path, store = records.write(tmp_path / "made.tfrecord", indices), Store(tmp_path / "store")
    steps = []
    report = import_nasbench101(store, path, progress=lambda *at: steps.append(at))
    assert (report.trainings, report.cells, report.size) == (48, 4, 5_083_488)
    assert steps[-1] == (path.stat().st_size,) * 2
    maker = records.Maker()
    parameters = maker.space.parameters(maker.space.from_index(indices), maker.macro)
    for index, count in zip(indices, parameters.tolist(), strict=True):
        for epochs, key in TABLES.items():
            assert store.seeds(key, index) == [0, 1, 2]
            points, total = maker.numbers(index, epochs)
            for seed in range(3):
                found = numbers(store.get(key, index, seed))
                assert found[0].tobytes() == points[seed].tobytes()
                assert found[1:] == (total[seed], count)
    assert store.verify() == []


def test_columns_agree_with_single_trainings(tmp_path):
    indices = list(range(0, 423_624, 3000))
    store = Store(tmp_path / "store")
    import_nasbench101(store, records.write(tmp_path / "made.tfrecord", indices, epochs=(12,)))
    for epoch in (None, 0, 6, 12, 7):
        columns = store.columns(TABLES[12], ["valid_accuracy", "train_seconds", "total_seconds", "params"], epoch)
        assert columns.seeds == (0, 1, 2)
        for metric, values in columns.values.items():
            for index in indices[::20]:
                single = [store.get(TABLES[12], index, seed).value(metric, epoch) for seed in range(3)]
                expected = [np.nan if value is None else value for value in single]
                assert np.array_equal(values[:, index], expected, equal_nan=True), (metric, epoch)
    assert int(columns.stored.sum()) == 3 * len(indices)


def test_the_order_of_the_file_does_not_matter_but_that_of_repeats_does(tmp_path):
    made = list(records.Maker().records([9, 4]))
    shuffled = [made[at] for at in np.random.default_rng(1).permutation(len(made))]
    (tmp_path / "a.tfrecord").write_bytes(records.framed(shuffled))
    store = Store(tmp_path / "store")
    import_nasbench101(store, tmp_path / "a.tfrecord")
    name = NB101().hash(NB101().from_index([9]))[0].encode()
    mine = [json.loads(data)[4] for data in shuffled if name in data and b'", 36, "' in data]
    repeats = [json.loads(data)[4] for data in made if name in data and b'", 36, "' in data]
    totals = records.Maker().numbers(9, 36)[1]
    for seed in range(3):
        assert numbers(store.get(TABLES[36], 9, seed))[1] == totals[repeats.index(mine[seed])]


def test_only_108_epochs(tmp_path):
    store = Store(tmp_path / "store")
    report = import_nasbench101(store, records.write(tmp_path / "only.tfrecord", [1, 2], epochs=(108,)))
    assert (report.trainings, report.size, store.keys()) == (6, 1_270_872, [TABLES[108]])


def test_importing_again_changes_nothing(tmp_path):
    path, store = records.write(tmp_path / "made.tfrecord", range(5)), Store(tmp_path / "store")
    import_nasbench101(store, path)
    before, generations = contents(store), [store.generation(key) for key in store.keys()]
    report = import_nasbench101(store, path)
    assert report.trainings == 60 and all(table.written == 0 for table in report.tables.values())
    assert contents(store) == before and [store.generation(key) for key in store.keys()] == generations


def test_other_results_are_an_error_unless_told_otherwise(tmp_path):
    store = Store(tmp_path / "store")
    import_nasbench101(store, records.write(tmp_path / "a.tfrecord", [3]))
    before, other = contents(store), records.write(tmp_path / "b.tfrecord", [3], seed=1)
    with pytest.raises(ResultConflict):
        import_nasbench101(store, other)
    import_nasbench101(store, other, on_conflict="keep")
    assert contents(store) == before
    import_nasbench101(store, other, on_conflict="replace")
    assert numbers(store.get(TABLES[4], 3, 2))[1] == records.Maker(1).numbers(3, 4)[1][2]


def test_export_and_merge_keep_every_number(tmp_path):
    store, other = Store(tmp_path / "store"), Store(tmp_path / "other")
    import_nasbench101(store, records.write(tmp_path / "a.tfrecord", [3, 8]))
    store.export(tmp_path / "all.results")
    other.merge(tmp_path / "all.results")
    assert contents(other) == contents(store)
    assert (tmp_path / "all.results").stat().st_size < 24 * 130 + 4000


def test_what_came_before_a_broken_record_stays_and_the_import_goes_on(tmp_path):
    path = records.write(tmp_path / "made.tfrecord", range(6))
    whole = path.read_bytes()
    broken = bytearray(whole)
    at = len(records.framed(list(records.Maker().records(range(4)))))
    broken[at + 60] ^= 1
    path.write_bytes(broken)
    store, once = Store(tmp_path / "store"), Store(tmp_path / "once")
    with pytest.raises(InvalidArchive, match=f"checksum of the data of the record at byte {at:,} is wrong"):
        import_nasbench101(store, path)
    assert [len(rows) for rows in contents(store).values()] == [12] * 4
    path.write_bytes(whole)
    report = import_nasbench101(store, path)
    assert {table.written for table in report.tables.values()} == {6}
    import_nasbench101(once, path)
    assert contents(store) == contents(once) and store.verify() == []


SCRIPT = """
import sys
from nasgym.importers import import_nasbench101, tfrecord
from nasgym.store import Store
tfrecord.BLOCK = 20_000
import_nasbench101(Store(sys.argv[2]), sys.argv[1], progress=lambda done, size: print(done, flush=True))
"""


@pytest.mark.slow
def test_a_killed_import_goes_on_and_ends_with_the_same_store(tmp_path):
    path = records.write(tmp_path / "made.tfrecord", range(200))
    store, once = tmp_path / "store", tmp_path / "once"
    rng = np.random.default_rng(0)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, path, store], stdout=subprocess.PIPE, cwd=ROOT)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    import_nasbench101(Store(store), path)
    import_nasbench101(Store(once), path)
    assert contents(Store(store)) == contents(Store(once))
    assert Store(store).verify() == []
