"""Where the results of `nasbench` come from: files, stores, what is missing or broken in them."""

import json
import pickle

import pytest

from nasgym.compat.engine import NotEvaluated
from nasgym.compat.imported import NOTES
from nasgym.compat.nasbench import api
from nasgym.errors import InvalidArchive, InvalidSetting
from nasgym.importers.nasbench101 import TABLES
from nasgym.results import Evaluation, Series
from nasgym.store import Store
from tests.compat.nasbench_modules import (
    INDICES,
    KEYS,
    SPACE,
)
from tests.importers import nb101_records as records


@pytest.mark.parametrize("content", [b"", b"no records at all", b"\0" * 100])
def test_what_is_no_such_file_is_named(content, tmp_path):
    path = tmp_path / "file.tfrecord"
    path.write_bytes(content)
    with pytest.raises((InvalidArchive, NotEvaluated)) as caught:
        api.NASBench(path, store=tmp_path / "store")
    assert isinstance(caught.value, ValueError)
    assert str(path) in str(caught.value) or str(tmp_path / "store") in str(caught.value)


def test_a_broken_record_is_named_with_its_offset(tmp_path, official):
    whole = official[0].read_bytes()
    path = tmp_path / "file.tfrecord"
    path.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    start = 12 + len(records.REAL) + 4
    second = start + 16 + int.from_bytes(whole[start : start + 8], "little")
    with pytest.raises(InvalidArchive, match=f"byte {second:,}|byte {second}"):
        api.NASBench(path, store=tmp_path / "store")


def test_missing_files_and_empty_stores_say_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="check the path"):
        api.NASBench(tmp_path / "missing.tfrecord", store=tmp_path / "store")
    with pytest.raises(InvalidSetting, match="is no nasgym store"):
        api.NASBench(tmp_path)
    with pytest.raises(NotEvaluated, match="nasgym import nasbench101 PATH"):
        api.NASBench(store=tmp_path / "store")
    with pytest.raises(InvalidSetting, match="got dict"):
        api.NASBench({}, store=tmp_path / "store")


def test_the_smaller_file_has_one_length(tmp_path):
    path = records.write(tmp_path / "nasbench_only108.tfrecord", INDICES[:3], epochs=(108,))
    nasbench = api.NASBench(str(path), store=tmp_path / "store")
    assert nasbench.valid_epochs == {108}
    name = next(iter(nasbench.hash_iterator()))
    assert list(nasbench.get_metrics_from_hash(name)[1]) == [108]
    spec = api.ModelSpec(*(nasbench.fixed_statistics[name][key] for key in KEYS[:2]))
    with pytest.raises(api.OutOfDomainError, match=r"must be one of \{108\}"):
        nasbench.query(spec, epochs=4)


def test_a_table_that_was_dropped_comes_back_from_the_file(tmp_path, capsys):
    path = records.write(tmp_path / "nasbench_full.tfrecord", [7])
    store = Store(tmp_path / "store")
    first = api.NASBench(path, store=store)
    store.drop(TABLES[108])
    again = api.NASBench(path, store=store)
    assert again.valid_epochs == {4, 12, 36, 108}
    (digits,) = again.hash_iterator()
    assert again.get_metrics_from_hash(digits)[1] == first.get_metrics_from_hash(digits)[1]
    api.NASBench(path, store=store)
    assert capsys.readouterr().err.count("importing") == 2


def test_a_note_without_tables_still_counts(official, capsys):
    """Versions before kept the size, the time and the space alone."""
    path, store = official
    notes = json.loads((store.path / NOTES).read_text())
    (store.path / NOTES).write_text(json.dumps({name: note[:3] for name, note in notes.items()}))
    api.NASBench(path, store=store)
    assert "importing" not in capsys.readouterr().err


def test_trainings_of_ones_own_are_passed_over(tmp_path):
    path = records.write(tmp_path / "file.tfrecord", INDICES[:2], epochs=(108,))
    store = Store(tmp_path / "store")
    api.NASBench(path, store=store)
    key = next(iter(store.keys()))
    own = {m: Series.of([0.5], [108], "fraction") for m in ("train_accuracy", "valid_accuracy", "test_accuracy")}
    own["train_seconds"] = Series.of([1.0], [108], "seconds")
    own["train_loss"] = Series.of([0.1], [108], "nats")
    store.put(key, [Evaluation(INDICES[5], seed, 108, own) for seed in (0, 1)])
    nasbench = api.NASBench(path, store=store)
    name = bytes(SPACE.table.digests[INDICES[5]]).hex()
    with pytest.raises(KeyError, match="no official results"):
        nasbench.get_metrics_from_hash(name)
    assert name not in nasbench.fixed_statistics and len(nasbench.fixed_statistics) == 2
    assert all(nasbench.get_metrics_from_hash(digits) for digits in nasbench.hash_iterator())


def test_it_can_be_pickled_and_copied(nasbench):
    other = pickle.loads(pickle.dumps(nasbench))
    name = "b49ac8c578b4561d79ac7087988f1c61"
    assert other.get_metrics_from_hash(name)[1] == nasbench.get_metrics_from_hash(name)[1]
