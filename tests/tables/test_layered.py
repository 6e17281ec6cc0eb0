"""The user's store over the embedded tables."""

from __future__ import annotations

import pickle
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from nasgym.errors import TableMismatch
from nasgym.recipes import get_recipe
from nasgym.results import Evaluation, TableKey
from nasgym.results_file import write_results
from nasgym.store import Cell, Store, open_store
from nasgym.tables import embedded_keys, embedded_table
from tests.tables.conftest import KEY, Embed, meta, training

OTHER = TableKey("nb201", "cifar10", "nb201-12")


def own_training(index: int, seed: int) -> Evaluation:
    """Return another result for the same cell than the embedded one."""
    return Evaluation(index, seed, 10, training(index + 100, seed).series)


@pytest.fixture
def store(embed: Embed, tmp_path: Path) -> Store:
    embed([training(i, seed) for i in (1, 2, 3) for seed in (0, 1)])
    return open_store(tmp_path / "store")


def test_without_a_store_the_embedded_table_answers(store: Store) -> None:
    assert embedded_keys() == [KEY]
    assert KEY in store
    assert OTHER not in store
    assert store.keys() == [KEY]
    assert store.seeds(KEY, 2) == [0, 1]
    assert store.get(KEY, 2, 1) is not None
    assert store.get(KEY, 5, 1) is None
    assert store.info(KEY).rows == 6
    assert store.info(KEY).architectures == 3
    assert store.generation(KEY) == 1
    assert len(list(store.scan(KEY))) == 6
    assert store.columns(KEY, ("valid_accuracy",)).seeds == (0, 1)
    assert not store.path.exists(), "reading makes no store"


def test_the_own_result_hides_the_embedded_one(store: Store) -> None:
    store.ensure_table(KEY, 15_625)
    own = [own_training(2, 1), own_training(9, 4)]
    store.put(KEY, own)
    assert store.get(KEY, 2, 1) == own[0]
    assert store.seeds(KEY, 9) == [4]
    assert store.seeds(KEY, 2) == [0, 1]
    assert [(e.index, e.seed) for e in store.scan(KEY)] == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (9, 4)]
    assert next(e for e in store.scan(KEY) if (e.index, e.seed) == (2, 1)) == own[0]
    info = store.info(KEY)
    assert (info.rows, info.architectures, info.seeds) == (7, 4, (0, 1, 4))
    base = embedded_table(KEY)
    assert base is not None
    assert base.get(2, 1) != own[0], "the embedded table itself has not changed"


def test_cells_of_both_layers_are_those_of_a_scan(store: Store) -> None:
    assert store.cells(KEY) == [Cell(e.index, e.seed) for e in store.scan(KEY)]
    store.ensure_table(KEY, 15_625)
    store.put(KEY, [own_training(2, 1), own_training(9, 4)])
    assert store.cells(KEY) == [Cell(e.index, e.seed) for e in store.scan(KEY)]


def test_columns_agree_with_evaluations(store: Store) -> None:
    store.ensure_table(KEY, 15_625)
    store.put(KEY, [own_training(2, 1), own_training(9, 4)])
    for epoch in (None, 3):
        columns = store.columns(KEY, ("valid_accuracy", "train_loss", "train_seconds"), epoch)
        assert columns.seeds == (0, 1, 4)
        assert columns.stored.sum() == 7
        for number, seed in enumerate(columns.seeds):
            for index in (0, 1, 2, 3, 9):
                found = store.get(KEY, index, seed)
                assert columns.stored[number, index] == (found is not None)
                for metric, values in columns.values.items():
                    expected = None if found is None else found.value(metric, epoch)
                    np.testing.assert_equal(values[number, index], np.nan if expected is None else expected)


def test_what_is_embedded_is_not_claimed(store: Store) -> None:
    store.ensure_table(KEY, 15_625)
    assert not store.claim(KEY, 2, 0, 60.0)
    assert store.claim_all(KEY, [Cell(2, 1), Cell(2, 2), Cell(4, 0)], 60.0) == [Cell(2, 2), Cell(4, 0)]


def test_a_table_made_otherwise_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(TableMismatch, match="data set"):
        store.ensure_table(KEY, 15_625, fingerprint="0000")
    plain = Store(tmp_path / "store")
    plain.ensure_table(KEY, 15_625, recipe={**asdict(get_recipe(KEY.recipe)), "epochs": 99})
    with pytest.raises(TableMismatch, match="epochs"):
        store.columns(KEY, ("valid_accuracy",))


def test_a_new_table_takes_recipe_and_data_set_of_the_embedded_one(store: Store, tmp_path: Path) -> None:
    store.ensure_table(KEY, 15_625)
    made = Store(tmp_path / "store").meta(KEY)
    assert made.fingerprint == "281932fa"
    assert made.recipe is not None
    assert made.recipe["epochs"] == 10


def test_generations_tell_of_every_change(store: Store) -> None:
    before = store.generation(KEY)
    store.ensure_table(KEY, 15_625)
    store.put(KEY, [own_training(2, 1)])
    assert store.generation(KEY) > before


def test_other_tables_are_as_in_a_plain_store(store: Store) -> None:
    store.ensure_table(OTHER, 15_625)
    store.put(OTHER, [training(1, 0)])
    assert store.get(OTHER, 1, 0) == training(1, 0)
    assert store.keys() == [OTHER, KEY]
    assert store.info(OTHER).rows == 1
    assert store.columns(OTHER, ("valid_accuracy",)).stored.sum() == 1


def test_export_leaves_out_what_is_only_embedded(store: Store, tmp_path: Path) -> None:
    store.ensure_table(OTHER, 15_625)
    store.put(OTHER, [training(1, 0)])
    assert store.export(tmp_path / "own") == 1
    assert store.export(tmp_path / "both", [OTHER, KEY]) == 7
    elsewhere = Store(tmp_path / "elsewhere")
    elsewhere.merge(tmp_path / "both")
    assert elsewhere.get(KEY, 2, 1) == store.get(KEY, 2, 1)


def test_what_does_not_fit_the_embedded_table_is_not_taken(store: Store, tmp_path: Path) -> None:
    other = replace(meta(), recipe={**(meta().recipe or {}), "epochs": 99})
    write_results(tmp_path / "file", other, [training(4, 0)])
    with pytest.raises(TableMismatch, match="epochs"):
        store.merge(tmp_path / "file")
    assert Store(store.path).keys() == []
    with pytest.raises(TableMismatch, match="epochs"):
        store.put_tables([(other, [training(4, 0)])])


def test_an_embedded_table_is_written_to_without_being_made_first(store: Store) -> None:
    assert KEY in store
    assert store.claim(KEY, 4, 0, 60)
    assert store.put(KEY, [training(4, 0)]) == 1
    assert store.get(KEY, 4, 0) == training(4, 0)


def test_verify_looks_at_both(store: Store) -> None:
    store.ensure_table(OTHER, 15_625)
    assert store.verify() == []
    base = embedded_table(KEY)
    assert base is not None
    (file,) = base.path.glob("seed-0-*.npy")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert any("seed-0-" in problem for problem in store.verify())


def test_it_may_be_pickled(store: Store) -> None:
    again = pickle.loads(pickle.dumps(store))
    assert again.get(KEY, 2, 1) == store.get(KEY, 2, 1)


def test_a_plain_store_knows_nothing_of_embedded_tables(store: Store, tmp_path: Path) -> None:
    assert KEY not in Store(tmp_path / "store")


def test_embedded_tables_can_be_left_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASGYM_EMBEDDED", "0")
    assert KEY not in store
    assert embedded_keys() == []


def test_an_embedded_table_gets_costs_of_the_users_own(store: Store) -> None:
    generation, columns = store.generation(KEY), store.columns(KEY, ("valid_accuracy",))
    store.set_costs(KEY, {"own": 1})
    assert store.meta(KEY).costs == {"own": 1}
    assert store.meta(KEY).fingerprint == "281932fa"
    assert store.generation(KEY) == generation + 1
    after = store.columns(KEY, ("valid_accuracy",))
    assert np.array_equal(after.values["valid_accuracy"], columns.values["valid_accuracy"], equal_nan=True)


def test_to_keep_what_is_there_keeps_what_is_embedded(store: Store, tmp_path: Path) -> None:
    before = store.get(KEY, 2, 1)
    assert store.put(KEY, [own_training(2, 1), own_training(9, 4)], on_conflict="keep") == 1
    assert store.get(KEY, 2, 1) == before
    other = Store(tmp_path / "other")
    other.ensure_table(KEY, 15_625)
    other.put(KEY, [own_training(2, 1), own_training(9, 5)])
    assert store.merge(other, on_conflict="keep").written[KEY] == 1
    assert store.get(KEY, 2, 1) == before
    assert store.get(KEY, 9, 5) is not None
