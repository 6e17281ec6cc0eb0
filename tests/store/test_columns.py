import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from nasgym.errors import InvalidSetting, StoreDamaged, StoreError, UnknownName
from nasgym.results import Evaluation, Seed, Series
from nasgym.store import Store, dense, tables
from nasgym.store.columns import Column
from tests.store.samples import KEY, OTHER, evaluation

SIZE = 12


def rebuilt(store: Store, metric: str, epoch: int | None = None) -> dict[tuple[Seed, int], float]:
    """Every known value, straight from the evaluations."""
    rows = ((e.seed, e.index, e.value(metric, epoch)) for e in store.scan(KEY))
    return {(seed, index): value for seed, index, value in rows if value is not None}


def known(store: Store, metric: str, epoch: int | None = None) -> dict[tuple[Seed, int], float]:
    columns = store.columns(KEY, [metric], epoch)
    rows, indices = np.nonzero(~np.isnan(columns.values[metric]))
    return {(columns.seeds[r], int(i)): float(columns.values[metric][r, i]) for r, i in zip(rows, indices, strict=True)}


@pytest.mark.parametrize("rows", [3, 400], ids=["read from the evaluations", "stored"])
def test_columns_are_what_the_evaluations_say(store: Store, rows: int) -> None:
    store.put(KEY, [evaluation(i, s, 40 + i / 7 + s) for i in range(rows) for s in (0, 5)])
    store.put(KEY, [evaluation(1, "mean", 99.0)])
    for _ in range(2):  # the second time they are stored
        columns = store.columns(KEY, ["valid_accuracy", "test_accuracy", "train_seconds"])
        assert columns.seeds == (0, 5, "mean")
        assert {name: values.shape for name, values in columns.values.items()} == dict.fromkeys(
            ("valid_accuracy", "test_accuracy", "train_seconds"), (3, 1000)
        )
        assert columns.values["valid_accuracy"][1, 2] == (40 + 2 / 7 + 5) / 100
        assert columns.values["valid_accuracy"][2, 1] == 0.99
        assert columns.values["train_seconds"][0, 2] == 90.0
        assert np.isnan(columns.values["test_accuracy"]).all()
        assert columns.stored.sum() == 2 * rows + 1
        assert columns.generation == store.generation(KEY)


def test_columns_are_read_only(store: Store) -> None:
    store.put(KEY, [evaluation(1)])
    columns = store.columns(KEY, ["valid_accuracy"])
    for array in (columns.values["valid_accuracy"], columns.stored):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 0


def test_an_empty_table_has_empty_columns(store: Store) -> None:
    columns = store.columns(KEY, ["valid_accuracy"])
    assert columns.seeds == ()
    assert columns.values["valid_accuracy"].shape == columns.stored.shape == (0, 1000)


def test_columns_by_epoch(store: Store) -> None:
    store.put(KEY, [evaluation(i, 0, 50.0 + i / 100, epochs=range(1, 13)) for i in range(300)])
    store.put(KEY, [evaluation(300, 0, 50.0)])
    for epoch in (1, 12, 5, None, 5):
        assert known(store, "valid_accuracy", epoch) == rebuilt(store, "valid_accuracy", epoch)
    assert len(known(store, "valid_accuracy", 5)) == 300
    assert store.verify() == []


def test_metrics_of_ones_own(store: Store) -> None:
    own = Evaluation(3, 0, 12, {"energy": Series.of(2.5, 12, "seconds")})
    store.put(KEY, [evaluation(i) for i in range(4, 400)] + [own])
    for _ in range(2):
        assert store.columns(KEY, ["energy"]).values["energy"][0, 3] == 2.5
    with pytest.raises(UnknownName, match="unknown metric 'valid_acuracy'. Did you mean 'valid_accuracy'"):
        store.columns(KEY, ["valid_acuracy"])
    with pytest.raises(StoreError, match="no table"):
        store.columns(OTHER, ["valid_accuracy"])


def test_a_few_changes_are_patched_in_and_many_are_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "REFRESH_AFTER", 20)
    store.put(KEY, [evaluation(i) for i in range(300)])
    store.columns(KEY, ["valid_accuracy"])
    for index in range(400, 400 + dense.REFRESH_AFTER + 5):
        store.put(KEY, [evaluation(index, 1, index / 10)])
    store.put(KEY, [evaluation(7, 0, 1.0)], on_conflict="replace")
    assert known(store, "valid_accuracy") == rebuilt(store, "valid_accuracy")
    assert known(store, "valid_accuracy")[0, 7] == 0.01
    assert store._read(lambda txn: dense.state_of(txn, 1).pending) < 10
    assert store.verify() == []


def test_a_damaged_column_is_reported_and_built_anew(store: Store) -> None:
    store.put(KEY, [evaluation(i) for i in range(300)])
    store.build_columns(KEY)
    key = next(k for k in store._read(lambda txn: [bytes(k) for k, _ in txn.cursor()]) if k.endswith(b"valid_accuracy"))

    def damage(txn: object) -> None:
        data = bytearray(txn.get(key))  # type: ignore[attr-defined]
        data[-3] ^= 1
        txn.put(key, bytes(data))  # type: ignore[attr-defined]

    store._write(damage)
    assert store.verify() == [
        "the column valid_accuracy of nb201/cifar10/nb201-12 is damaged; it is built anew when it is used."
    ]
    assert known(store, "valid_accuracy") == rebuilt(store, "valid_accuracy")
    assert store.verify() == []


def test_a_wrong_column_is_found(store: Store) -> None:
    store.put(KEY, [evaluation(i) for i in range(300)])
    store.build_columns(KEY)
    key = next(k for k in store._read(lambda txn: [bytes(k) for k, _ in txn.cursor()]) if k.endswith(b"train_seconds"))

    def change(txn: object) -> None:
        column = Column.decode(txn.get(key), 1000)  # type: ignore[attr-defined]
        column.values[0, 7] += 1e-9
        txn.put(key, column.encode())  # type: ignore[attr-defined]

    store._write(change)
    assert store.verify() == ["the column train_seconds of nb201/cifar10/nb201-12 does not agree with the evaluations."]


BITS = st.integers(0, 2**64 - 1)


@given(
    hnp.arrays(np.uint64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=BITS)
    | hnp.arrays(np.uint64, (3, 300), elements=st.sampled_from([0, 1, 0x7FF8000000000123, 0xFFF0000000000000]))
    | st.integers(0, 5).map(lambda n: np.arange(n * 300, dtype=np.uint64).reshape(n, 300)),
    st.integers(0, 2**64 - 1),
)
def test_a_column_keeps_every_bit(bits: np.ndarray, generation: int) -> None:
    column = Column(generation, list(range(len(bits))), bits.view(np.float64))
    found = Column.decode(column.encode(), bits.shape[1])
    assert (found.generation, found.seeds) == (generation, column.seeds)
    np.testing.assert_array_equal(found.values.view(np.uint64), bits)


def test_equal_values_are_stored_once() -> None:
    values = np.full((2, 10_000), np.nan)
    assert len(Column(1, [0, 1], values).encode()) < 100
    values[0] = np.arange(10_000) % 250 / 1000
    assert len(Column(1, [0, 1], values).encode()) < 12_200


@given(st.data())
def test_a_mutated_column_is_damaged_and_nothing_else(data: st.DataObject) -> None:
    values = np.array([[1.0, 2.0, 1.0, 2.0, 3.0] * 8, [np.nan] * 40])
    encoded = Column(7, [0, 1], values).encode()
    end = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(StoreDamaged):
        Column.decode(encoded[:end], 40)
    changed = bytearray(encoded)
    changed[end] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StoreDamaged):
        Column.decode(bytes(changed), 40)
    body = bytes(changed[7:])  # a column with a right checksum and wrong content must not raise anything else
    try:
        Column.decode(struct.pack("<2sBI", b"NC", 1, zlib.crc32(body)) + body, 40)
    except StoreDamaged:
        pass


class Puts(RuleBasedStateMachine):
    """Any order of puts, rebuilds and reads: columns are always what a rebuild from the evaluations gives."""

    folder: Path
    number = 0

    @initialize()
    def make(self) -> None:
        Puts.number += 1
        self.store = Store(self.folder / str(Puts.number), map_size=1 << 16)
        self.store.ensure_table(KEY, SIZE)
        self.expected: dict[tuple[Seed, int], float] = {}

    @rule(
        cells=st.lists(
            st.tuples(
                st.integers(0, SIZE - 1), st.sampled_from([0, 3, 2**40, "mean"]), st.integers(0, 100), st.booleans()
            ),
            min_size=1,
            max_size=9,
            unique_by=lambda cell: cell[:2],
        )
    )
    def put(self, cells: list[tuple[int, Seed, int, bool]]) -> None:
        rows = []
        for index, seed, accuracy, has_value in cells:
            series = {"valid_accuracy": Series.of(accuracy, 12, "percent")} if has_value else {}
            rows.append(Evaluation(index, seed, 12, series))
            self.expected.pop((seed, index), None)
            if has_value:
                self.expected[seed, index] = accuracy / 100
        self.store.put(KEY, rows, on_conflict="replace")

    @rule()
    def build(self) -> None:
        self.store.build_columns(KEY)

    @rule()
    def reopen(self) -> None:
        self.store.close()

    @invariant()
    def columns_agree(self) -> None:
        if hasattr(self, "store"):
            assert known(self.store, "valid_accuracy") == self.expected == rebuilt(self.store, "valid_accuracy")
            assert self.store.verify() == []

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()


def test_any_order_of_puts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "STORE_FROM", 3)
    monkeypatch.setattr(dense, "REFRESH_AFTER", 5)
    monkeypatch.setattr(tables, "DROP_AFTER", 7)
    Puts.folder = tmp_path
    run_state_machine_as_test(
        Puts,
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_an_epoch_below_zero_is_refused(store: Store) -> None:
    with pytest.raises(InvalidSetting, match="0 or more, or None for the last; got -1"):
        store.columns(KEY, ["valid_accuracy"], -1)


def test_more_seeds_than_memory_are_named_and_do_no_harm(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with a seed of its own for each of very many trainings."""
    monkeypatch.setattr("nasgym.store.columns.LARGEST_COLUMN", 1000 * 50)
    monkeypatch.setattr(tables, "DROP_AFTER", 20)
    store.put(KEY, [evaluation(3, seed) for seed in range(50)])
    assert store.columns(KEY, ["valid_accuracy"]).seeds == tuple(range(50))
    store.put(KEY, [evaluation(3, seed) for seed in range(50, 90)])  # they are stored, columns or not
    assert store.get(KEY, 3, 89) is not None and store.info(KEY).rows == 90
    with pytest.raises(StoreError, match=r"1,000 architectures under 90 seeds would take 0\.0 GB.*`nasgym store drop`"):
        store.columns(KEY, ["valid_accuracy"])
    store.drop(KEY, seeds=range(40))
    assert store.columns(KEY, ["valid_accuracy"]).seeds == tuple(range(40, 90))
