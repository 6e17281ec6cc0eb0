"""Results that are forgotten: whole tables, architectures, seeds, and what other processes remember of them."""

from __future__ import annotations

import numpy as np
import pytest

from nasgym.errors import InvalidSetting, StoreError, StoreReadOnly
from nasgym.store import Store, open_store
from nasgym.tables import embedded_keys
from tests.store.samples import KEY, OTHER, evaluation


def test_a_dropped_table_is_gone_and_others_stay(store: Store) -> None:
    store.ensure_table(OTHER, 10)
    store.put(KEY, [evaluation(i, s) for i in range(300) for s in (0, 1)])
    store.put(OTHER, [evaluation(3)])
    store.columns(KEY, ["valid_accuracy"])
    store.claim(KEY, 999, 0, 60)
    assert store.drop(KEY) == 600
    assert store.keys() == [OTHER] and KEY not in store and store.generation(KEY) == 0
    assert store.get(KEY, 1, 0) is None and store.seeds(KEY, 1) == []
    with pytest.raises(StoreError, match="no table"):
        store.columns(KEY, ["valid_accuracy"])
    assert [e.index for e in store.scan(OTHER)] == [3]
    assert store.verify() == []


@pytest.mark.parametrize(
    ("architectures", "seeds", "left"),
    [
        ([7], None, lambda index, seed: index != 7),
        (None, ["mean"], lambda index, seed: seed != "mean"),
        ([7, 8], [0], lambda index, seed: index not in (7, 8) or seed != 0),
        (np.array([7, 8]), None, lambda index, seed: index not in (7, 8)),
        ([-1, 9], None, lambda index, seed: index != 9),
        ([], None, lambda index, seed: True),
    ],
)
@pytest.mark.parametrize("rows", [20, 300], ids=["read from the evaluations", "stored"])
def test_some_architectures_or_seeds_are_dropped(store: Store, rows: int, architectures, seeds, left) -> None:
    store.put(KEY, [evaluation(i, s, 40 + i) for i in range(rows) for s in (0, "mean")])
    store.columns(KEY, ["valid_accuracy"])
    store.put(KEY, [evaluation(7, 0, 11.0)], on_conflict="replace")  # the stored column does not show it yet
    before = store.generation(KEY)
    expected = [(i, s) for i in range(rows) for s in (0, "mean") if left(i, s)]
    assert store.drop(KEY, architectures=architectures, seeds=seeds) == 2 * rows - len(expected)
    assert [(e.index, e.seed) for e in store.scan(KEY)] == expected
    assert (store.generation(KEY) > before) == (len(expected) < 2 * rows)
    columns = store.columns(KEY, ["valid_accuracy"])
    stored = {(int(i), columns.seeds[r]) for r, i in zip(*np.nonzero(columns.stored), strict=True)}
    assert stored == set(expected)
    assert store.info(KEY).rows == len(expected) and store.verify() == []


def test_the_room_of_what_was_dropped_is_used_again(store: Store) -> None:
    store.put(KEY, [evaluation(i, s) for i in range(1000) for s in range(4)])
    full = store.size_on_disk
    for _ in range(4):
        store.drop(KEY)
        store.ensure_table(KEY, 1000)
        store.put(KEY, [evaluation(i, s) for i in range(1000) for s in range(4)])
    assert full <= store.size_on_disk < 2.5 * full and store.verify() == []


def test_what_is_not_there_cannot_be_dropped(store: Store) -> None:
    with pytest.raises(StoreError, match="no table nb201/imagefolder"):
        store.drop(OTHER)
    generation = store.generation(KEY)
    assert store.drop(KEY, architectures=[5]) == 0 and store.generation(KEY) == generation
    with pytest.raises(InvalidSetting, match="seed is an integer"):
        store.drop(KEY, seeds=[-1])
    store.put(KEY, [evaluation(1)])
    with Store(store.path, readonly=True) as readonly, pytest.raises(StoreReadOnly):
        readonly.drop(KEY)
    assert store.get(KEY, 1, 0) is not None


@pytest.mark.parametrize("wrong", [1.5, "1", None, True, np.bool_(True)], ids=repr)
def test_what_is_no_index_drops_nothing(store: Store, wrong: object) -> None:
    """A fraction is not cut to an index, and a mask is not taken for the indices 0 and 1."""
    store.put(KEY, [evaluation(1)])
    with pytest.raises(InvalidSetting, match=f"by its index, a whole number; got.*{wrong}"):
        store.drop(KEY, architectures=[1, wrong])  # type: ignore[list-item]
    assert store.get(KEY, 1, 0) is not None


def test_indices_that_no_key_can_hold_are_not_there(store: Store) -> None:
    store.put(KEY, [evaluation(1)])
    for index in (1 << 64, 10**30, -1):
        assert store.drop(KEY, architectures=[index]) == 0
        assert store.get(KEY, index, 0) is None and store.seeds(KEY, index) == []


def test_trainings_under_way_keep_their_claims(store: Store) -> None:
    """Seed 1 of architecture 2 is being trained while what there is of seed 1 is dropped: no one trains it twice."""
    store.put(KEY, [evaluation(1, 1)])
    with Store(store.path) as trainer:
        assert trainer.claim(KEY, 2, 1, 60)
        assert store.drop(KEY, seeds=[1]) == 1
        assert not store.claim(KEY, 2, 1, 60) and store.claim(KEY, 1, 1, 60)
        trainer.put(KEY, [evaluation(2, 1)])
    assert store.get(KEY, 2, 1) is not None


def test_who_remembers_a_dropped_table_neither_reads_nor_writes_another(store: Store) -> None:
    """Other store objects know the number of a table; it is dropped and others are made. One sleeps meanwhile."""
    with Store(store.path) as other, Store(store.path) as idle:
        other.put(KEY, [evaluation(1, accuracy=50.0)])
        assert idle.get(KEY, 1, 0) is not None
        seen = other.generation(KEY)  # now it remembers
        store.drop(KEY)
        with pytest.raises(StoreError, match="no table"):
            other.put(KEY, [evaluation(2)])
        store.ensure_table(OTHER, 10)
        store.put(OTHER, [evaluation(1, accuracy=99.0)])
        assert other.get(KEY, 1, 0) is None and idle.get(KEY, 1, 0) is None
        store.ensure_table(KEY, 1000)
        other.put(KEY, [evaluation(4)])
        assert [e.index for e in store.scan(KEY)] == [4] and [e.index for e in store.scan(OTHER)] == [1]
        assert other.generation(KEY) > seen  # one that was seen before stands for other contents
        assert store.verify() == []


def test_what_is_embedded_stays(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("NASGYM_EMBEDDED", "1")
    key = embedded_keys()[0]
    with open_store(tmp_path / "store") as store:
        with pytest.raises(StoreError, match="embedded in nasgym and cannot be dropped"):
            store.drop(key)
        shipped = next(iter(store.scan(key)))
        own = evaluation(shipped.index, shipped.seed, 1.5)
        store.put(key, [own, evaluation(shipped.index, 4242)], on_conflict="replace")
        assert store.get(key, shipped.index, shipped.seed) == own
        assert store.drop(key, seeds=[4242]) == 1
        assert store.drop(key) == 1
        assert store.get(key, shipped.index, shipped.seed) == shipped
        with pytest.raises(StoreError, match="cannot be dropped"):
            store.drop(key)
