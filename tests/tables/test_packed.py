"""Packed tables: what goes in comes out, and what is not a table is refused."""

from __future__ import annotations

import errno
import json
import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.errors import InvalidSetting, StoreDamaged, StoreError, StoreFull, StoreSchemaError
from nasgym.results import SPLITS, Evaluation, Series, TableKey
from nasgym.results_file import LARGEST_TABLE
from nasgym.store import Store
from nasgym.tables import PackedTable, embedded_table, pack_table
from nasgym.tables.packed import row_type
from tests.tables.conftest import EPOCHS, KEY, SIZES, Embed, meta, training

ROWS = [training(0, 0), training(7, 0, diverged_at=4), training(15_624, 0), training(7, 1), training(9, 1, 1)]


@pytest.fixture
def packed(tmp_path: Path) -> PackedTable:
    return pack_table(meta(), ROWS, tmp_path / "t", sizes=SIZES, made={"command": "a test"})


def test_accuracies_come_back_bit_for_bit_and_losses_within_half_precision(packed: PackedTable) -> None:
    for wanted in ROWS:
        found = packed.get(wanted.index, wanted.seed)
        assert found is not None
        assert (found.index, found.seed, found.epochs, found.diverged) == (
            wanted.index,
            wanted.seed,
            wanted.epochs,
            wanted.diverged,
        )
        assert found.series.keys() == wanted.series.keys()
        for name, series in wanted.series.items():
            if name.endswith("_accuracy"):
                assert found.series[name] == series
            else:
                assert found.series[name].epochs.tolist() == series.epochs.tolist()
                np.testing.assert_allclose(found.series[name].values, series.values, rtol=2**-11)


@given(value=st.floats(min_value=6.2e-5, max_value=65_504.0))
def test_the_bound_on_losses_holds_for_every_normal_half(value: float) -> None:
    assert abs(float(np.float64(value).astype(np.float16)) - value) <= value * 2**-11


@settings(max_examples=50)
@given(images=st.integers(1, 65_535), data=st.data())
def test_a_count_gives_its_fraction_back(images: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, images))
    assert int(np.rint(count / images * images)) == count


def test_what_is_not_there_is_none(packed: PackedTable) -> None:
    assert packed.get(1, 0) is None
    assert packed.get(0, 1) is None
    assert packed.get(0, 2) is None
    assert packed.get(0, "mean") is None
    assert packed.get(-1, 0) is None
    assert packed.get(15_625, 0) is None
    assert packed.seeds_of(7) == [0, 1]
    assert packed.seeds_of(0) == [0]
    assert packed.seeds_of(99_999) == []
    assert packed.seeds == (0, 1)


def test_values_agree_with_evaluations(packed: PackedTable) -> None:
    for metric in ("valid_accuracy", "test_loss"):
        for epoch in (None, 1, 3, EPOCHS):
            values = packed.values(metric, epoch)
            assert values.shape == (2, 15_625)
            known = np.zeros_like(values, dtype=bool)
            for row in ROWS:
                place = packed.seeds.index(int(row.seed)), row.index
                evaluation = packed.get(row.index, row.seed)
                assert evaluation is not None
                expected = evaluation.value(metric, epoch)
                known[place] = expected is not None
                if expected is not None:
                    assert values[place] == expected
            assert (~np.isnan(values) == known).all()
    assert np.isnan(packed.values("train_seconds")).all()
    assert np.isnan(packed.values("valid_accuracy", EPOCHS + 1)).all()
    assert packed.stored().sum() == len(ROWS)


def test_scan_gives_everything_in_order(packed: PackedTable) -> None:
    assert [(e.index, e.seed) for e in packed.scan()] == [(0, 0), (7, 0), (7, 1), (9, 1), (15_624, 0)]


def test_provenance_is_kept_once(packed: PackedTable) -> None:
    assert packed.made["command"] == "a test"
    assert packed.made["device"] == "none"
    assert packed.made["dates"] == "2026-01-01T00:00:00+00:00 to 2026-01-10T00:00:00+00:00"
    assert packed.made["trainings"] == "5"


def test_a_new_seed_leaves_the_files_of_others_alone(packed: PackedTable) -> None:
    (file,) = packed.path.glob("seed-0-*.npy")
    before = file.stat()
    pack_table(meta(), [*ROWS, training(3, 2)], packed.path, sizes=SIZES, made={})
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert PackedTable(packed.path).seeds == (0, 1, 2)


def test_files_of_an_older_table_go(packed: PackedTable) -> None:
    pack_table(meta(), [training(3, 0)], packed.path, sizes=SIZES, made={})
    assert len(list(packed.path.iterdir())) == 2
    assert [(e.index, e.seed) for e in PackedTable(packed.path).scan()] == [(3, 0)]


@pytest.mark.parametrize("step", range(3))  # two files of seeds, the description
@pytest.mark.parametrize("full", [False, True])
def test_a_table_that_is_packed_over_another_is_that_one_until_it_is_whole(
    packed: PackedTable, monkeypatch: pytest.MonkeyPatch, step: int, full: bool
) -> None:
    before, left, replace_file = list(packed.scan()), [step], Path.replace

    def failing(path: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "no space") if full else KeyboardInterrupt
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", failing)
    new = [training(1, 0), training(1, 1)]
    with pytest.raises(StoreFull if full else KeyboardInterrupt):
        pack_table(meta(), new, packed.path, sizes=SIZES, made={})
    monkeypatch.undo()
    again = PackedTable(packed.path)
    assert again.problems() == []
    assert list(again.scan()) == before
    assert not list(packed.path.glob(".*"))
    pack_table(meta(), new, packed.path, sizes=SIZES, made={})
    assert len(list(packed.path.iterdir())) == 3
    assert len(list(PackedTable(packed.path).scan())) == 2


def test_where_no_folder_can_be_made_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        pack_table(meta(), ROWS, tmp_path / "file" / "t", sizes=SIZES, made={})


def test_it_may_be_pickled(packed: PackedTable) -> None:
    packed.get(7, 0)
    again = pickle.loads(pickle.dumps(packed))
    assert again.get(7, 1) == packed.get(7, 1)


def test_losses_above_the_largest_half_are_the_largest_half(tmp_path: Path) -> None:
    row = training(0, 0)
    series = {**row.series, "train_loss": Series.of([1e9] * EPOCHS, range(1, EPOCHS + 1), "nats")}
    packed = pack_table(meta(), [replace(row, series=series)], tmp_path, sizes=SIZES, made={})
    found = packed.get(0, 0)
    assert found is not None
    assert not found.diverged
    assert found.value("train_loss") == 65_504.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"valid_accuracy": Series.of([0.12345] * EPOCHS, range(1, EPOCHS + 1), "fraction")}, "no count of 3000"),
        ({"valid_accuracy": Series.of([0.5], [EPOCHS], "fraction")}, "at each of the epochs"),
        ({"test_loss": Series.of([0.5], [1], "nats")}, "has not diverged"),
    ],
)
def test_what_would_lose_something_is_refused(tmp_path: Path, change: dict[str, Series], said: str) -> None:
    row = training(0, 0)
    with pytest.raises(InvalidSetting, match=said):
        pack_table(meta(), [replace(row, series={**row.series, **change})], tmp_path, sizes=SIZES, made={})


def test_nothing_means_and_large_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="no evaluations"):
        pack_table(meta(), [], tmp_path, sizes=SIZES, made={})
    with pytest.raises(InvalidSetting, match="mean over seeds"):
        pack_table(meta(), [replace(training(0, 0), seed="mean")], tmp_path, sizes=SIZES, made={})
    with pytest.raises(InvalidSetting, match="65,535"):
        pack_table(meta(), ROWS, tmp_path, sizes={**SIZES, "train": 70_000}, made={})


def test_damage_is_named(packed: PackedTable) -> None:
    (file,) = packed.path.glob("seed-1-*.npy")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert len(PackedTable(packed.path).problems()) == 1
    with pytest.raises(StoreDamaged, match="seed-1-"):
        PackedTable(packed.path).get(7, 1)
    np.save(file, np.zeros(3))
    with pytest.raises(StoreDamaged, match="no trainings"):
        PackedTable(packed.path).get(7, 1)
    rows = np.zeros(2, dtype=row_type(EPOCHS))
    np.save(file, rows)
    with pytest.raises(StoreDamaged, match="do not increase"):
        PackedTable(packed.path).get(7, 1)
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(StoreDamaged, match="cannot be read"):
        PackedTable(packed.path).get(7, 1)
    for header in (b"", b"PK\3\4", b"\x93NUMPY\1\0v\0" + b"{" * 118):
        file.write_bytes(header)
        with pytest.raises(StoreDamaged, match="cannot be read"):
            PackedTable(packed.path).get(7, 1)
    file.write_bytes(whole)
    assert PackedTable(packed.path).problems() == []


def test_a_description_is_checked(packed: PackedTable, tmp_path: Path) -> None:
    path = packed.path / "table.json"
    record = json.loads(path.read_text())
    with pytest.raises(StoreError, match="no packed table"):
        PackedTable(tmp_path / "nowhere")
    for name in ("table", "epochs", "sizes", "files", "made"):
        path.write_text(json.dumps({k: v for k, v in record.items() if k != name}))
        with pytest.raises(StoreDamaged, match=name):
            PackedTable(packed.path)
    path.write_text("[]")
    with pytest.raises(StoreDamaged):
        PackedTable(packed.path)
    path.write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(StoreSchemaError, match="99"):
        PackedTable(packed.path)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 10**12},
        {"epochs": 0},
        {"epochs": -3},
        {"epochs": 1e999},
        {"format": 1e999},
        {"sizes": dict.fromkeys(SPLITS, 0)},
        {"files": {}},
        {"files": {"-1": "0" * 64}},
        {"files": {"0": "../../../etc/x"}},
        {"table": {**json.loads(meta().encode()), "size": 10**13}},
    ],
)
def test_a_hostile_description_is_refused_by_name(packed: PackedTable, change: dict[str, object]) -> None:
    path = packed.path / "table.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoreDamaged, match=r"table\.json"):
        PackedTable(packed.path)


def test_a_large_space_costs_no_memory(packed: PackedTable) -> None:
    path = packed.path / "table.json"
    record = json.loads(path.read_text())
    record["table"]["key"][0], record["table"]["size"] = "mine", LARGEST_TABLE
    path.write_text(json.dumps(record))
    tracemalloc.start()
    assert len(list(PackedTable(packed.path).scan())) == len(ROWS)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_only_names_within_the_folder_of_embedded_tables_are_looked_for(embed: Embed, tmp_path: Path) -> None:
    embed([training(0, 0)])
    pack_table(meta(), ROWS, tmp_path / "elsewhere" / "r", sizes=SIZES, made={})
    for space, dataset in (("nb201", str(tmp_path / "elsewhere")), ("..", "elsewhere"), ("nb201", "x" * 5000)):
        assert embedded_table(TableKey(space, dataset, "r")) is None
    assert embedded_table(KEY) is not None
    other = tmp_path / "embedded" / "nb201" / "cluttered-digits" / "other"
    pack_table(meta(), ROWS, other, sizes=SIZES, made={})
    with pytest.raises(StoreDamaged, match="other"):
        embedded_table(TableKey("nb201", "cluttered-digits", "other"))


def test_a_damaged_table_is_not_merged(packed: PackedTable, tmp_path: Path) -> None:
    (file,) = packed.path.glob("seed-1-*.npy")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    store = Store(tmp_path / "s")
    with pytest.raises(StoreDamaged, match="seed-1-"):
        store.merge(packed.path)
    assert store.keys() == []


def test_every_metric_but_seconds_is_in_a_row() -> None:
    fields = set(row_type(3).names or ())
    assert fields == {"index"} | {f"{s}_{kind}" for s in SPLITS for kind in ("accuracy", "loss")}


@pytest.mark.parametrize("diverged_at", [1, 4, EPOCHS])
def test_the_accuracy_of_guessing_is_kept_where_it_is_no_count(tmp_path: Path, diverged_at: int) -> None:
    """A tenth of 3,001 images is no count; it is what a diverged training of ten classes has by definition."""
    sizes = {**SIZES, "valid": 3001}
    whole, lost = (_on(sizes, training(index, 0, at), 0.1) for index, at in ((2, None), (5, diverged_at)))
    packed = pack_table(meta(), [whole, lost], tmp_path / "packed", sizes=sizes, made={})
    assert json.loads((tmp_path / "packed" / "table.json").read_text())["guess"] == 0.1
    for wanted in (whole, lost):
        found = packed.get(wanted.index, 0)
        assert found is not None and found.diverged == wanted.diverged
        for split in SPLITS:
            assert found.series[f"{split}_accuracy"] == wanted.series[f"{split}_accuracy"]
        assert packed.values("valid_accuracy")[0, wanted.index] == wanted.valid_accuracy
    again = PackedTable(tmp_path / "packed")
    assert again.values("valid_accuracy", EPOCHS)[0, 5] == 0.1


def test_another_accuracy_than_that_of_guessing_is_refused(tmp_path: Path) -> None:
    sizes = {**SIZES, "valid": 3001}
    one, other = (_on(sizes, training(index, 0, 4), guess) for index, guess in ((2, 0.1), (5, 0.3)))
    with pytest.raises(
        InvalidSetting, match="architecture 5, seed 0 has at epoch 4 the valid_accuracy 0.3, which is no"
    ):
        pack_table(meta(), [one, other], tmp_path / "packed", sizes=sizes, made={})
    healthy = _on(sizes, training(7, 0), 0.1)
    values = [*healthy.series["valid_accuracy"].values.tolist()[:-1], 0.1]
    series = {**healthy.series, "valid_accuracy": Series.of(values, range(1, EPOCHS + 1), "fraction")}
    with pytest.raises(
        InvalidSetting, match="architecture 7.*at epoch 10 the valid_accuracy 0.1, which is no count of 3001"
    ):
        pack_table(meta(), [one, replace(healthy, series=series)], tmp_path / "packed", sizes=sizes, made={})


def test_a_table_of_counts_stays_readable_by_older_versions(packed: PackedTable) -> None:
    record = json.loads((packed.path / "table.json").read_text())
    assert record["format"] == 1 and "guess" not in record


def _on(sizes: dict[str, int], made: Evaluation, guess: float) -> Evaluation:
    """A training on other numbers of images, with the accuracy of guessing where it had diverged."""
    healthy = len(made.series["valid_loss"].values) if "valid_loss" in made.series else 0
    series = dict(made.series)
    for split in SPLITS:
        counts = np.floor(made.series[f"{split}_accuracy"].values * sizes[split])
        known = [*(counts[:healthy] / sizes[split]).tolist(), *[guess] * (EPOCHS - healthy)]
        series[f"{split}_accuracy"] = Series.of(known, range(1, EPOCHS + 1), "fraction")
    return replace(made, series=series)
