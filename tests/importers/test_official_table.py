"""Official files into the store: every container, bit for bit, resumable, and refused by name where they are wrong."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nasgym.errors import InvalidArchive, ResultConflict
from nasgym.importers import import_official
from nasgym.importers.official import arch_state_of
from nasgym.importers.official_names import tables_of
from nasgym.results import TableKey
from nasgym.store import Store
from tests.importers import official_archives as archives
from tests.importers.official_samples import REAL
from tests.importers.test_official import FOLDERS, assert_same, real


def stored_states(store, space, index):
    """The official records of an architecture, rebuilt from the store, by recipe."""
    found = {}
    for key, (_, hp) in tables_of(space).items():
        for seed in store.seeds(key, index) if key in store else []:
            found.setdefault(hp, []).append((key, store.get(key, index, seed)))
    return {hp: arch_state_of(rows[0][0], index, rows) for hp, rows in found.items()}


def contents(store):
    return {key: list(store.scan(key)) for key in store.keys()}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("space", ["nb201", "nats-sss"])
def test_a_folder_comes_out_as_it_went_in(tmp_path, space, workers):
    path = archives.folder(tmp_path / "archive", space, [0, 7, 300], padded=workers == 0)
    store, steps = Store(tmp_path / "store"), []
    report = import_official(store, path, space=space, workers=workers, progress=lambda *at: steps.append(at))
    assert (report.architectures, report.skipped) == (3, 0)
    assert steps[-1][0] == 3
    for index in (0, 7, 300):
        assert_same(dict(archives.by_recipe(space, index)), stored_states(store, space, index))
    assert store.verify() == []


@pytest.mark.parametrize("space", ["nb201", "nats-sss"])
def test_a_single_file_comes_out_as_it_went_in(tmp_path, space):
    path = archives.single(tmp_path / "archive.pickle.pbz2", space, [5, 2, 9])
    store = Store(tmp_path / "store")
    assert import_official(store, path, space=space, workers=1).architectures == 3
    for index in (5, 2, 9):
        assert_same(dict(archives.by_recipe(space, index)), stored_states(store, space, index))


@pytest.mark.parametrize("version", ["v1_0", "v1_1"])
@pytest.mark.parametrize("write", [archives.legacy, archives.zipped])
def test_old_files_come_out_as_they_went_in(tmp_path, write, version):
    value = archives.old_content([3, 1, 4], version=version)
    store = Store(tmp_path / "store")
    assert import_official(store, write(tmp_path / "old.pth", value), space="nb201").architectures == 3
    for index, states in value["arch2infos"].items():
        assert_same({"12": states["less"], "200": states["full"]}, stored_states(store, "nb201", index))


@pytest.mark.parametrize("zipped", [False, True])
def test_files_that_torch_writes_are_read_without_torch(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    value = archives.old_content([8, 6])
    torch.save(value, tmp_path / "old.pth", _use_new_zipfile_serialization=zipped)
    store = Store(tmp_path / "store")
    assert import_official(store, tmp_path / "old.pth", space="nb201").architectures == 2
    assert_same(value["arch2infos"][6]["full"], stored_states(store, "nb201", 6)["200"])


def test_weights_are_left_out(tmp_path):
    torch = pytest.importorskip("torch")

    def with_weights(states):
        for state in states.values():
            for trial in state["all_results"].values():
                trial["net_state_dict"] = torch.nn.Sequential(
                    torch.nn.Conv2d(3, 64, 9), torch.nn.BatchNorm2d(64)
                ).state_dict()
            state["clear_net_done"] = False
        return states

    path = archives.folder(tmp_path / "archive-full", "nb201", [3], hps=("12",), change=with_weights)
    store = Store(tmp_path / "store")
    import_official(store, path, space="nb201")
    wanted = archives.by_recipe("nb201", 3, hps=("12",))["12"] | {"clear_net_done": False}
    assert_same({"12": wanted}, stored_states(store, "nb201", 3))
    found = store.get(TableKey("nb201", "cifar100", "nb201-12"), 3, 111)
    assert '"weights":"left out"' in found.provenance["official"]


@pytest.mark.parametrize("space", list(FOLDERS))
def test_the_real_folders_come_out_as_they_went_in(tmp_path, space):
    if not (REAL / FOLDERS[space]).is_dir():
        pytest.skip("the real records are not here")
    store = Store(tmp_path / "store")
    report = import_official(store, REAL / FOLDERS[space], space=space)
    assert report.architectures == 3
    for index in (0, 11, 284):
        assert_same(dict(real(space, index)), stored_states(store, space, index))


def test_an_import_goes_on_where_it_stopped(tmp_path):
    path = archives.folder(tmp_path / "archive", "nb201", range(4), hps=("12",))
    half = tmp_path / "half" / "archive"  # the name tells that it is the same
    half.mkdir(parents=True)
    for name in ("meta", "000000", "000002"):
        shutil.copy(path / f"{name}.pickle.pbz2", half)
    store, once = Store(tmp_path / "store"), Store(tmp_path / "once")
    import_official(store, half, space="nb201")
    report = import_official(store, path, space="nb201")
    assert (report.architectures, report.skipped) == (2, 2)
    import_official(once, path, space="nb201")
    assert contents(store) == contents(once)


def test_contradicting_results_are_an_error_unless_told_otherwise(tmp_path):
    store = Store(tmp_path / "store")
    import_official(store, archives.folder(tmp_path / "one", "nb201", [1], hps=("12",)), space="nb201")
    other = archives.folder(tmp_path / "two", "nb201", [1], hps=("12",), seed=1)
    before = contents(store)
    with pytest.raises(ResultConflict):
        import_official(store, other, space="nb201")
    assert contents(store) == before
    import_official(store, other, space="nb201", on_conflict="replace")
    assert_same(dict(archives.by_recipe("nb201", 1, 1, hps=("12",))), stored_states(store, "nb201", 1))


def damaged(kind, tmp_path):
    """A wrong file and what must be said of it."""
    good = archives.single(tmp_path / "good.pickle.pbz2", "nb201", [1])
    old = archives.legacy(tmp_path / "old.pth", archives.old_content([1]))
    packed = archives.zipped(tmp_path / "packed.pth", archives.old_content([1]))
    target = tmp_path / "target"
    if kind in ("cut bz2", "cut legacy", "cut zip"):
        source = {"cut bz2": good, "cut legacy": old, "cut zip": packed}[kind]
        target.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
        return target, "cut off"
    if kind == "wrong md5":
        return good.rename(tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"), "its name says that it ends in 3ffb9"
    if kind == "foreign":
        target.write_bytes(b"hello" * 100)
        return target, "no official file"
    if kind == "missing":
        return tmp_path / "nothing", "nothing at"
    if kind == "empty folder":
        target.mkdir()
        return target, "no official folder"
    if kind == "other space":
        return archives.single(target, "nats-sss", [1], hps=("01",)), "as published"
    if kind == "other dictionary":
        return archives.write_bz2(target, {"a": 1}), "no dictionary of architectures"
    if kind == "other order":
        value = archives.whole("nb201", {1: archives.by_recipe("nb201", 1)}, {1})
        return archives.write_bz2(target, value | {"meta_archs": value["meta_archs"][::-1]}), "in their order"
    if kind == "other version":
        states = archives.by_recipe("nb201", 1)
        del next(iter(states["12"]["all_results"].values()))["eval_times"]
        return archives.write_bz2(target, archives.whole("nb201", {1: states}, {1})), "without eval_times"
    path = archives.folder(target, "nb201", [1, 2])
    file = path / "000002.pickle.pbz2"
    file.write_bytes(file.read_bytes()[:5000])
    return path, "000002.pickle.pbz2"


KINDS = ["cut bz2", "cut legacy", "cut zip", "wrong md5", "foreign", "missing", "empty folder", "other space"]
KINDS += ["other dictionary", "other order", "other version", "half a folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_file_is_refused_by_name_and_the_store_stays(tmp_path, kind):
    path, says = damaged(kind, tmp_path)
    store = Store(tmp_path / "store")
    with pytest.raises(InvalidArchive, match=says) as caught:
        import_official(store, path, space="nb201")
    assert "ownload" in str(caught.value) or kind in ("other space", "other version")
    assert store.keys() == []


def test_an_error_in_another_process_arrives(tmp_path):
    path, says = damaged("half a folder", tmp_path)
    with pytest.raises(InvalidArchive, match=says):
        import_official(Store(tmp_path / "store"), path, space="nb201", workers=2)


SCRIPT = """
import sys
from nasgym.importers import import_official, official_table
from nasgym.store import Store
official_table._COMMIT = 2
import_official(Store(sys.argv[2]), sys.argv[1], space="nb201", progress=lambda done, size: print(done, flush=True))
"""


@pytest.mark.slow
def test_a_killed_import_goes_on_and_ends_with_the_same_store(tmp_path):
    path = archives.folder(tmp_path / "archive", "nb201", range(40), hps=("12",))
    store, once = tmp_path / "store", tmp_path / "once"
    rng = np.random.default_rng(0)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, path, store], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    import_official(Store(store), path, space="nb201")
    import_official(Store(once), path, space="nb201")
    assert contents(Store(store)) == contents(Store(once))
    assert Store(store).verify() == []


def test_the_pickles_of_tests_are_as_the_real_ones():
    """The same steps of the machine, so that the tests test what the files hold."""
    import pickletools

    if not (REAL / FOLDERS["nb201"]).is_dir():
        pytest.skip("the real records are not here")
    real_steps = {op.name for op, _, _ in pickletools.genops(pickle.dumps(real("nb201", 0), protocol=4))}
    made = pickle.dumps(archives.by_recipe("nb201", 0), protocol=4)
    assert {op.name for op, _, _ in pickletools.genops(made)} == real_steps
