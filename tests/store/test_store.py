import gc
import pickle
from pathlib import Path

import pytest

from nasgym.errors import (
    InvalidArchitecture,
    InvalidSetting,
    ResultConflict,
    StoreError,
    StoreReadOnly,
    TableMismatch,
)
from nasgym.results import TableKey, encode
from nasgym.results_file import TableMeta
from nasgym.store import Cell, Store, default_path
from tests.store.samples import KEY, OTHER, evaluation


def test_what_was_put_comes_out(store: Store) -> None:
    rows = [evaluation(7, 3), evaluation(7, "mean", 50.0), evaluation(2, 0, epochs=range(1, 13))]
    assert store.put(KEY, rows) == 3
    assert [store.get(KEY, row.index, row.seed) for row in rows] == rows
    assert store.get(KEY, 7, 0) is None
    assert store.get(KEY, -1, 0) is None
    assert store.get(OTHER, 7, 3) is None
    assert store.seeds(KEY, 7) == [3, "mean"]
    assert store.seeds(KEY, 8) == store.seeds(OTHER, 7) == []


def test_a_scan_goes_by_index_and_seed(store: Store) -> None:
    store.put(KEY, [evaluation(i, s) for s in ("mean", 10, 2) for i in range(999, -1, -1)])
    found = [(e.index, e.seed) for e in store.scan(KEY)]
    assert found == [(i, s) for i in range(1000) for s in (2, 10, "mean")]


def test_cells_are_what_a_scan_finds(store: Store) -> None:
    assert store.cells(KEY) == []
    store.put(KEY, [evaluation(i, s) for s in ("mean", 10, 2) for i in (7, 2)])
    assert store.cells(KEY) == [Cell(e.index, e.seed) for e in store.scan(KEY)]
    with pytest.raises(StoreError):
        store.cells(OTHER)


def test_it_can_be_written_during_a_scan(store: Store) -> None:
    store.put(KEY, [evaluation(i) for i in range(100)])
    for found in store.scan(KEY):
        store.put(KEY, [evaluation(found.index, 1, blob="x" * 1000)])
    assert store.info(KEY).rows == 200


def test_the_same_result_again_is_no_change(store: Store) -> None:
    assert store.put(KEY, [evaluation(1), evaluation(1)]) == 1
    generation = store.generation(KEY)
    assert store.put(KEY, [evaluation(1, blob="found out again")]) == 0
    assert store.generation(KEY) == generation
    assert store.get(KEY, 1, 0) == evaluation(1)


def test_another_result_is_refused_and_nothing_of_the_put_is_kept(store: Store) -> None:
    store.put(KEY, [evaluation(1, accuracy=60.0)])
    with pytest.raises(ResultConflict, match=r"nb201/cifar10/nb201-12 .* architecture 1, seed 0: stored .*60 .*70 "):
        store.put(KEY, [evaluation(0), evaluation(1, accuracy=70.0)])
    assert store.get(KEY, 0, 0) is None
    assert store.get(KEY, 1, 0) == evaluation(1, accuracy=60.0)


@pytest.mark.parametrize(("on_conflict", "written", "kept"), [("keep", 1, 60.0), ("replace", 2, 70.0)])
def test_a_conflict_can_be_settled(store: Store, on_conflict: str, written: int, kept: float) -> None:
    store.put(KEY, [evaluation(1, accuracy=60.0)])
    assert store.put(KEY, [evaluation(0), evaluation(1, accuracy=70.0)], on_conflict=on_conflict) == written  # type: ignore[arg-type]
    assert store.get(KEY, 1, 0) == evaluation(1, accuracy=kept)
    assert store.info(KEY).rows == 2


def test_bad_arguments_are_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidArchitecture, match=r"index 1000 is outside 0\.\.999 of the table nb201/cifar10/"):
        store.put(KEY, [evaluation(1), evaluation(1000)])
    assert store.info(KEY).rows == 0
    with pytest.raises(InvalidSetting, match="seed .* got -1"):
        store.put(KEY, [evaluation(1, -1)])
    with pytest.raises(InvalidSetting, match="on_conflict is .* got 'overwrite'"):
        store.put(KEY, [], on_conflict="overwrite")  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"no table nb201/imagefolder.* \(tables: nb201/cifar10/.*\).*ensure_table"):
        store.put(OTHER, [evaluation(1)])
    with pytest.raises(StoreError, match="no table"):
        store.info(OTHER)
    with pytest.raises(StoreError, match="no table"):
        list(store.scan(OTHER))
    with pytest.raises(InvalidSetting, match="more than 0 seconds; got 0"):
        store.claim(KEY, 1, 0, 0)
    with pytest.raises(InvalidSetting, match="map_size is at least 65536 bytes; got 1"):
        Store(tmp_path / "small", map_size=1)
    with pytest.raises(InvalidSetting, match="plain JSON"):
        store.ensure_table(OTHER, 10, recipe={"what": object()})


def test_tables_are_listed_with_what_they_hold(store: Store) -> None:
    store.ensure_table(OTHER, 50, recipe={"epochs": 200, "sizes": (1, 2)}, fingerprint="abc")
    store.put(OTHER, [evaluation(4, 1), evaluation(4, "mean"), evaluation(49, 1)])
    assert store.keys() == [KEY, OTHER]
    assert KEY in store
    assert TableKey("nb201", "cifar10", "other") not in store
    assert "nb201/cifar10/nb201-12" not in store
    empty, full = store.tables()
    assert (empty.key, empty.size, empty.rows, empty.seeds, empty.architectures) == (KEY, 1000, 0, (), 0)
    assert (full.key, full.size, full.rows, full.architectures) == (OTHER, 50, 3, 2)
    assert full.seeds == (1, "mean")
    assert full.recipe == {"epochs": 200, "sizes": [1, 2]}
    assert full.fingerprint == "abc"
    assert full.provenance["tool"] == ("test",)
    assert full.created.startswith("20")


def test_a_table_made_differently_is_refused(store: Store) -> None:
    store.ensure_table(OTHER, 50, recipe={"epochs": 200, "pair": (1, 2), "source": "a paper"}, fingerprint="abc")
    store.ensure_table(OTHER, 50, recipe={"epochs": 200, "pair": [1, 2], "source": "the paper"}, fingerprint="abc")
    store.ensure_table(OTHER, 50)
    with pytest.raises(TableMismatch, match="another size: stored 50, given 51"):
        store.ensure_table(OTHER, 51)
    with pytest.raises(TableMismatch, match=r"another recipe \(epochs\): stored 200, given 12"):
        store.ensure_table(OTHER, 50, recipe={"epochs": 12})
    with pytest.raises(TableMismatch, match="another data set .*: stored 'abc', given 'abd'"):
        store.ensure_table(OTHER, 50, fingerprint="abd")


def test_what_was_unknown_of_a_table_can_become_known(store: Store) -> None:
    store.ensure_table(KEY, 1000, recipe={"epochs": 12}, fingerprint="abc")
    assert store.meta(KEY).recipe == {"epochs": 12}
    with pytest.raises(TableMismatch, match="stored 'abc', given 'abd'"):
        store.ensure_table(KEY, 1000, fingerprint="abd")


def test_several_tables_are_put_together_or_not_at_all(store: Store) -> None:
    new = TableMeta(OTHER, 50)
    with pytest.raises(InvalidArchitecture):
        store.put_tables([(new, [evaluation(1)]), (TableMeta(KEY, 1000), [evaluation(1000)])])
    assert store.keys() == [KEY]
    assert store.put_tables([(new, [evaluation(1)]), (new, [evaluation(2)])]) == {OTHER: 2}
    assert store.info(OTHER).rows == 2


def test_a_store_grows_by_itself(store: Store) -> None:
    blob = "".join(chr(33 + i * i % 90) for i in range(3000))
    for start in range(0, 1000, 100):
        store.put(KEY, [evaluation(i, blob=f"{i}{blob[i % 700 :]}") for i in range(start, start + 100)])
    assert store.size_on_disk > 1 << 18
    assert store.info(KEY).rows == 1000
    assert store.verify() == []


def test_a_store_that_does_not_exist_is_empty_until_it_is_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "store")
    assert store.keys() == store.tables() == store.verify() == []
    assert store.get(KEY, 1, 0) is None
    assert store.generation(KEY) == store.size_on_disk == 0
    assert not (tmp_path / "deep").exists()
    store.ensure_table(KEY, 10)
    assert store.keys() == [KEY]
    store.close()


def test_default_path_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASGYM_HOME", str(tmp_path))
    assert default_path() == Store().path == tmp_path / "store"
    monkeypatch.delenv("NASGYM_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_path().parts[-2:] == ("nasgym", "store")


def test_two_stores_on_one_path_share_it(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "store" / ".." / "store")
    other.put(KEY, [evaluation(1)])
    assert store.get(KEY, 1, 0) == evaluation(1)
    other.close()
    other.close()
    assert store.get(KEY, 1, 0) == evaluation(1)


def test_a_closed_store_opens_again(store: Store) -> None:
    store.close()
    store.put(KEY, [evaluation(1)])
    with store as same:
        assert same.get(KEY, 1, 0) == evaluation(1)
    assert store.get(KEY, 1, 0) == evaluation(1)


def test_a_forgotten_store_is_released(tmp_path: Path) -> None:
    from nasgym.store import environment

    Store(tmp_path / "store").ensure_table(KEY, 10)
    gc.collect()
    assert str(tmp_path / "store") not in environment._environments


def test_a_pickled_store_brings_its_path(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(KEY, [evaluation(1)])
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(Store("store", readonly=True))
    monkeypatch.chdir("/")
    copy = pickle.loads(data)
    assert copy.get(KEY, 1, 0) == evaluation(1)
    assert copy.readonly
    assert b"nasgym.store" in data
    assert len(data) < 500


def test_a_read_only_store_refuses_writes(store: Store, tmp_path: Path) -> None:
    store.put(KEY, [evaluation(1)])
    store.close()
    with Store(tmp_path / "store", readonly=True) as reader:
        assert reader.get(KEY, 1, 0) == evaluation(1)
        for write in (
            lambda: reader.put(KEY, [evaluation(2)]),
            lambda: reader.ensure_table(OTHER, 3),
            lambda: reader.claim(KEY, 3, 0, 5),
            lambda: reader.build_columns(KEY),
        ):
            with pytest.raises(StoreReadOnly, match=r"store .*/store was opened for reading only.*readonly=False"):
                write()


def test_a_read_only_store_needs_no_lock_file_and_makes_none(store: Store, tmp_path: Path) -> None:
    store.put(KEY, [evaluation(i) for i in range(300)])
    store.close()
    (tmp_path / "store" / "lock.mdb").unlink()
    with Store(tmp_path / "store", readonly=True) as reader:
        assert reader.columns(KEY, ["valid_accuracy"]).stored.sum() == 300
    assert [f.name for f in (tmp_path / "store").iterdir()] == ["data.mdb"]


def test_reading_first_and_writing_later_works_in_one_process(store: Store, tmp_path: Path) -> None:
    store.put(KEY, [evaluation(1)])
    store.close()
    with Store(tmp_path / "store", readonly=True) as reader:
        assert reader.get(KEY, 1, 0) is not None
        with Store(tmp_path / "store") as writer:
            writer.put(KEY, [evaluation(2)])
        assert reader.get(KEY, 2, 0) == evaluation(2)


def test_a_read_only_store_must_exist(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no store at .*/nothing: check the path"):
        Store(tmp_path / "nothing", readonly=True)


def test_claims_are_exclusive(store: Store, tmp_path: Path) -> None:
    store.put(KEY, [evaluation(1)])
    assert not store.claim(KEY, 1, 0, 60), "what is stored needs no training"
    assert store.claim(KEY, 2, 0, 60)
    assert not store.claim(KEY, 2, 0, 60), "nor may another thread of the owner"
    with Store(tmp_path / "store") as other:
        assert other.claim_all(KEY, [Cell(2, 0), Cell(2, 1), Cell(3, 0)], 60) == [Cell(2, 1), Cell(3, 0)]
        other.release(KEY, 2, 0)
        assert not other.claim(KEY, 2, 0, 60), "only the owner gives a claim up"
        store.release(KEY, 2, 0)
        assert other.claim(KEY, 2, 0, 60)
        store.release_all(KEY, [Cell(9, 9)])


def test_a_claim_that_is_renewed_lasts_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("nasgym.store.claims.time.time", lambda: now)
    with Store(store.path) as other:
        assert store.claim(KEY, 1, 0, 60)
        now += 50
        other.renew_all(KEY, [Cell(1, 0), Cell(2, 0)], 3600)  # neither is its own
        store.renew_all(KEY, [Cell(1, 0)], 60)
        now += 50
        assert not other.claim(KEY, 1, 0, 60) and other.claim(KEY, 2, 0, 60)
        now += 50
        assert other.claim(KEY, 1, 0, 60)
        store.renew_all(KEY, [Cell(1, 0)], 3600)  # too late: it is another's now
        now += 61
        assert store.claim(KEY, 1, 0, 60)


def test_a_claim_ends_with_its_time_and_with_the_result(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("nasgym.store.claims.time.time", lambda: now)
    assert store.claim(KEY, 1, 0, 60)
    now = 1059.0
    assert not store.claim(KEY, 1, 0, 60)
    now = 1061.0
    assert store.claim(KEY, 1, 0, 60)
    store.put(KEY, [evaluation(1)])
    assert not store.claim(KEY, 1, 0, 60)
    assert store.verify() == []


def test_tables_that_grow_side_by_side_fill_their_pages(tmp_path: Path) -> None:
    store, rows = Store(tmp_path / "store"), [evaluation(i) for i in range(6000)]
    for first in range(0, len(rows), 1000):
        store.put_tables([(TableMeta(key, 15_625), rows[first : first + 1000]) for key in (KEY, OTHER)])
    whole = 2 * sum(len(encode(row)) + 32 for row in rows)
    assert store.size_on_disk < 1.75 * whole  # more than twice as much where every page is half empty
    assert list(store.scan(KEY)) == list(store.scan(OTHER)) == rows
    assert store.verify() == []


def test_many_rows_with_a_wrong_index_are_refused(store: Store) -> None:
    with pytest.raises(InvalidArchitecture, match="index -1 is outside"):
        store.put(KEY, [evaluation(i) for i in range(-1, 1000)])
