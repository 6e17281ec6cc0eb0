"""What a table says about itself beside its results: its costs, and whether equal networks share results."""

import json
from pathlib import Path

import pytest

from nasgym.errors import InvalidSetting, StoreDamaged, StoreError
from nasgym.results_file import TableMeta, write_results
from nasgym.store import Store
from tests.store.samples import KEY, OTHER, evaluation

COSTS = {"version": 1, "epoch": [0.5, 0.25], "nested": {"machine": "a laptop"}}


def test_costs_take_each_others_place_and_count_as_changes(store: Store) -> None:
    store.put(KEY, [evaluation(i) for i in range(300)])
    before = store.columns(KEY, ["valid_accuracy"])
    generation = store.generation(KEY)
    store.set_costs(KEY, COSTS)
    assert store.meta(KEY).costs == store.info(KEY).costs == COSTS
    assert store.generation(KEY) == generation + 1
    store.set_costs(KEY, COSTS)
    assert store.generation(KEY) == generation + 1, "the same again is no change"
    after = store.columns(KEY, ["valid_accuracy"])
    assert after.generation == generation + 1
    assert after.values["valid_accuracy"].tobytes() == before.values["valid_accuracy"].tobytes()
    store.set_costs(KEY, None)
    assert store.meta(KEY).costs is None
    assert store.generation(KEY) == generation + 2
    assert store.verify() == []


def test_costs_need_a_table_and_plain_values(store: Store) -> None:
    with pytest.raises(StoreError, match="has no table"):
        store.set_costs(OTHER, COSTS)
    with pytest.raises(InvalidSetting, match="plain JSON values"):
        store.set_costs(KEY, {"path": Path("x")})
    assert store.meta(KEY).costs is None


def test_a_table_keeps_the_costs_that_it_has(store: Store) -> None:
    store.ensure_table(KEY, 1000, costs=COSTS)
    store.ensure_table(KEY, 1000, costs={"version": 2})
    store.ensure_table(KEY, 1000)
    assert store.meta(KEY).costs == COSTS
    store.ensure_table(OTHER, 50, costs=COSTS, shares_equal=True)
    assert store.meta(OTHER).costs == COSTS
    assert store.meta(OTHER).shares_equal


def test_sharing_stays_until_it_is_taken_back(store: Store) -> None:
    assert not store.meta(KEY).shares_equal
    generation = store.generation(KEY)
    store.ensure_table(KEY, 1000, shares_equal=True)
    store.ensure_table(KEY, 1000)
    assert store.meta(KEY).shares_equal
    assert store.generation(KEY) == generation + 1
    store.set_shares_equal(KEY, False)
    assert not store.info(KEY).shares_equal
    assert store.generation(KEY) == generation + 2


@pytest.mark.parametrize("by_file", [False, True])
def test_both_travel(store: Store, tmp_path: Path, by_file: bool) -> None:
    store.ensure_table(OTHER, 50)  # no results at all: its description travels alone
    store.set_costs(OTHER, COSTS)
    store.put(KEY, [evaluation(1)])
    store.set_shares_equal(KEY, True)
    source: Path | Store = store
    if by_file:
        source = tmp_path / "all.results"
        store.export(source)
    with Store(tmp_path / "copy") as copy:
        copy.merge(source)
        assert copy.meta(OTHER) == store.meta(OTHER)
        assert copy.meta(KEY) == store.meta(KEY)
        copy.set_costs(OTHER, {"own": 1})
        copy.set_shares_equal(KEY, False)
        copy.merge(source)
        assert copy.meta(OTHER).costs == {"own": 1}, "the receiver's model stays"
        assert copy.meta(KEY).shares_equal, "either side shares"


def test_a_file_that_says_them_anew_keeps_the_first(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "pieces.results"
    write_results(file, TableMeta(KEY, 1000), [evaluation(1)], append=True)
    write_results(file, TableMeta(KEY, 1000, costs=COSTS, shares_equal=True), [evaluation(2)], append=True)
    write_results(file, TableMeta(KEY, 1000, costs={"late": 1}), [evaluation(3)], append=True)
    assert store.merge(file).written == {KEY: 3}
    assert (store.meta(KEY).costs, store.meta(KEY).shares_equal) == (COSTS, True)


def test_records_of_older_and_newer_versions_are_read() -> None:
    meta = TableMeta(KEY, 1000, {"epochs": 12}, "abc", "2026-01-01", COSTS, True)
    assert TableMeta.decode(meta.encode()) == meta
    record = json.loads(meta.encode())
    old = {name: value for name, value in record.items() if name not in ("costs", "shares_equal")}
    assert TableMeta.decode(json.dumps(old).encode()) == TableMeta(KEY, 1000, {"epochs": 12}, "abc", "2026-01-01")
    assert TableMeta.decode(json.dumps({**record, "of tomorrow": 1}).encode()) == meta


@pytest.mark.parametrize("field", [{"costs": [1]}, {"costs": "x"}, {"shares_equal": "yes"}, {"shares_equal": None}])
def test_damaged_fields_are_named(field: dict[str, object]) -> None:
    record = {**json.loads(TableMeta(KEY, 1000).encode()), **field}
    with pytest.raises(StoreDamaged, match=next(iter(field))):
        TableMeta.decode(json.dumps(record).encode())
