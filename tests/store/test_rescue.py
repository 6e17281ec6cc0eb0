"""What was trained is not lost where the store does not take it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from nasgym.benchmark import Benchmark
from nasgym.errors import StoreError, StoreFull
from nasgym.spaces import NB201
from nasgym.store import Store, TableMeta, put_or_rescue
from tests.store.samples import KEY, evaluation

TRAINED = [evaluation(7, 0, 61.5), evaluation(8, 0, 62.5)]


@pytest.fixture
def full(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store on a disk that fills up as soon as it has its table."""

    def no_room(*_: object, **__: object) -> None:
        raise StoreFull("no room for the store.")

    monkeypatch.setattr(store, "put", no_room)
    return store


def kept(folder: Path) -> Path:
    (file,) = folder.glob("nasgym-rescued-*")
    return file


def test_where_the_disk_is_full_they_are_kept_beside_the_store(full: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreFull, match="no room for the store. What was trained, 2 evaluations") as caught:
        put_or_rescue(full, full.meta(KEY), TRAINED)
    file = kept(tmp_path)
    assert f"`nasgym import results {file}`" in str(caught.value)
    with Store(tmp_path / "other") as other:
        other.merge(file)
        assert list(other.scan(KEY)) == TRAINED


def test_the_next_folder_is_taken_where_one_cannot_be_written_to(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = full.meta(KEY)
    monkeypatch.setattr(full, "path", tmp_path / "gone" / "store")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(StoreFull, match="is kept in"):
        put_or_rescue(full, described, TRAINED)
    assert kept(tmp_path / "here").stat().st_size > 0


def test_where_no_folder_takes_them_the_first_error_is_told(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = full.meta(KEY)
    monkeypatch.setattr(tempfile, "mkstemp", lambda **_: (_ for _ in ()).throw(OSError("no room")))
    with pytest.raises(StoreFull, match=r"^no room for the store\.$"):
        put_or_rescue(full, described, TRAINED)
    assert not list(tmp_path.glob("nasgym-rescued-*"))


def test_a_table_that_was_dropped_meanwhile_loses_no_training(store: Store, tmp_path: Path) -> None:
    described = store.meta(KEY)
    store.drop(KEY)
    with pytest.raises(StoreError, match=f"no table {KEY}.*2 evaluations of {KEY}, is kept in"):
        put_or_rescue(store, described, TRAINED)
    store.merge(kept(tmp_path))
    assert list(store.scan(KEY)) == TRAINED


def test_a_benchmark_keeps_what_it_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, space = Store(tmp_path / "store"), NB201()

    def train(genotype: object, seed: int) -> object:
        monkeypatch.setattr(store, "_write", no_room)  # from now on nothing can be written, claims neither
        return evaluation(7, seed)

    def no_room(*_: object) -> None:
        raise StoreFull("no room for the store.")

    benchmark = Benchmark(space, KEY, store, on_missing="train", train=train)  # type: ignore[arg-type]
    with pytest.raises(StoreFull, match="is kept in"):
        benchmark.query(7, 0)
    with Store(tmp_path / "other") as other:
        other.merge(kept(tmp_path))
        assert other.meta(KEY).size == space.size and other.get(KEY, 7, 0) == evaluation(7, 0)


def test_nothing_to_keep_writes_no_file(full: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreFull):
        put_or_rescue(full, TableMeta(KEY, 1000), [])
    assert not list(tmp_path.glob("nasgym-rescued-*"))
