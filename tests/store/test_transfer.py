"""Export and merge."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from nasgym.errors import InvalidSetting, ResultConflict, StoreDamaged, StoreError, StoreSchemaError, TableMismatch
from nasgym.results import Evaluation, TableKey
from nasgym.results_file import ResultsWriter, TableMeta, write_results
from nasgym.store import Store
from tests.store.samples import KEY, OTHER, evaluation


def contents(store: Store) -> dict[str, list[object]]:
    return {str(key): [store.meta(key), *store.scan(key)] for key in store.keys()}


@pytest.fixture
def source(store: Store) -> Store:
    store.ensure_table(OTHER, 50, recipe={"epochs": 200}, fingerprint="abc")
    store.put(KEY, [evaluation(i, s, 40 + i / 9) for i in range(500) for s in (0, 2, "mean")])
    store.put(OTHER, [evaluation(4, 1, epochs=range(1, 201), blob="bläuliche Tönung")])
    return store


def test_what_is_exported_comes_back(source: Store, tmp_path: Path) -> None:
    assert source.export(tmp_path / "all.results") == 1501
    with Store(tmp_path / "copy") as copy:
        report = copy.merge(tmp_path / "all.results")
        assert (report.read, report.written, report.damage) == (1501, {KEY: 1500, OTHER: 1}, None)
        assert contents(copy) == contents(source)
        assert copy.verify() == []
        assert copy.merge(tmp_path / "all.results").written == {KEY: 0, OTHER: 0}


def test_some_tables_are_exported(source: Store, tmp_path: Path) -> None:
    assert source.export(tmp_path / "one.results", [OTHER]) == 1
    with Store(tmp_path / "copy") as copy:
        copy.merge(tmp_path / "one.results")
        assert copy.keys() == [OTHER]
    with pytest.raises(StoreError, match="no table nb201/cifar10/x"):
        source.export(tmp_path / "none.results", [TableKey("nb201", "cifar10", "x")])
    assert not (tmp_path / "none.results").exists()


def test_a_failed_export_leaves_the_old_one_as_it_was(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.results"
    assert source.export(file) == 1501
    before = file.read_bytes()
    whole = source.scan

    def damaged(key: TableKey) -> Iterator[Evaluation]:
        yield from islice(whole(key), 700 if key == KEY else None)
        if key == KEY:
            raise StoreDamaged("a record is damaged.")

    monkeypatch.setattr(source, "scan", damaged)
    with pytest.raises(StoreDamaged, match="a record is damaged"):
        source.export(file)
    assert file.read_bytes() == before
    assert not [found for found in tmp_path.iterdir() if found.name.endswith(".part")]
    monkeypatch.undo()
    assert source.export(file, [OTHER]) == 1
    assert file.read_bytes() != before


@pytest.mark.parametrize("as_path", [True, False])
def test_a_store_is_merged(source: Store, tmp_path: Path, as_path: bool) -> None:
    with Store(tmp_path / "copy") as copy:
        copy.ensure_table(OTHER, 50)
        copy.put(OTHER, [evaluation(4, 1, epochs=range(1, 201)), evaluation(5, 1)])
        report = copy.merge(source.path if as_path else source)
        assert report.written == {KEY: 1500, OTHER: 0}
        assert copy.info(OTHER).rows == 2
        assert copy.info(OTHER).fingerprint == "abc"


def test_a_merge_is_whole_or_nothing(source: Store, tmp_path: Path) -> None:
    with Store(tmp_path / "copy") as copy:
        copy.ensure_table(OTHER, 50)
        copy.put(OTHER, [evaluation(4, 1, 1.0)])
        with pytest.raises(ResultConflict, match="architecture 4, seed 1"):
            copy.merge(source)
        assert copy.keys() == [OTHER]
        assert copy.merge(source, on_conflict="keep").written == {KEY: 1500, OTHER: 0}
        assert copy.merge(source, on_conflict="replace").written == {KEY: 0, OTHER: 1}
        with pytest.raises(InvalidSetting, match="got 'both'"):
            copy.merge(source, on_conflict="both")  # type: ignore[arg-type]
    with Store(tmp_path / "small") as small:
        small.ensure_table(OTHER, 49)
        with pytest.raises(TableMismatch, match="another size: stored 49, given 50"):
            small.merge(source)
        assert small.keys() == [OTHER]


def test_a_file_that_was_cut_off_gives_its_whole_rows(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "cut.results"
    write_results(file, TableMeta(KEY, 1000), [evaluation(i) for i in range(10)])
    file.write_bytes(file.read_bytes()[:-5])
    report = store.merge(file)
    assert (report.read, report.written) == (9, {KEY: 9})
    assert report.damage is not None
    assert "is cut off in the frame at byte" in report.damage
    assert store.info(KEY).rows == 9


def test_what_cannot_be_merged(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store at"):
        store.merge(tmp_path / "nothing")
    (tmp_path / "text").write_text("architecture,seed\n")
    with pytest.raises(StoreDamaged, match="text is not a file of results"):
        store.merge(tmp_path / "text")
    with ResultsWriter(tmp_path / "new") as writer:
        writer.write(TableMeta(KEY, 1000), [evaluation(1)])
    data = bytearray((tmp_path / "new").read_bytes())
    data[8] = 2
    (tmp_path / "new").write_bytes(data)
    with pytest.raises(StoreSchemaError, match="has version 2, this nasgym reads up to 1"):
        store.merge(tmp_path / "new")
    assert store.info(KEY).rows == 0
