"""`nasbench` over the store: what a script for the original calls, with the answers that the original gives."""

import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nasgym.compat.engine import NotEvaluated
from nasgym.compat.imported import NOTES
from nasgym.compat.nasbench import api
from nasgym.errors import InvalidArchive, InvalidSetting, MissingResult
from nasgym.importers.nasbench101 import TABLES
from nasgym.results import Evaluation, Series
from nasgym.spaces import NB101
from nasgym.store import Store
from tests.compat.test_nasbench_lib import C1, C3, GOLDEN, INCEPTION, INCEPTION_OPS, INPUT, OPS, OUTPUT, matrix
from tests.importers import nb101_records as records

ROOT = Path(__file__).resolve().parent.parent.parent
PARAMETERS = {
    "28cfc7874f6d200472e1a9dcd8650aa0": 2_694_282,
    "02e5a0247bbdcf2860b7e96f74961594": 32_426_634,
    "b5fb4f6193360330b6ff6a52cbf0cad7": 20_346_506,
    "00005c142e6f48ac74fdcf73e3439874": 8_555_530,
    "043721b9c7fe8c5fad811d47d83132ec": 882_570,
    "b49ac8c578b4561d79ac7087988f1c61": 10_177_674,
    "d1269d9156ddc027c40473008192958a": 1_920_138,
    "53cee42601ad14d661bb6878031d6acb": 882_570,
}
KEYS = [
    "module_adjacency",
    "module_operations",
    "trainable_parameters",
    "training_time",
    "train_accuracy",
    "validation_accuracy",
    "test_accuracy",
]
SPACE = NB101()


def index_of(digits):
    return int(SPACE.index(SPACE.from_str([digits]))[0])


INDICES = sorted({*map(index_of, PARAMETERS), *range(1000, 1040)})


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    """A file with the golden cells and some others, the first record the published one; and a store that has it."""
    home = tmp_path_factory.mktemp("nasbench")
    path = records.write(home / "nasbench_full.tfrecord", INDICES, change=lambda rows: [records.REAL, *rows[1:]])
    store = Store(home / "store")
    api.NASBench(path, store=store)
    return path, store


@pytest.fixture
def nasbench(official):
    return api.NASBench(official[0], 1, store=official[1])


def spec_of(digits):
    return api.ModelSpec(*GOLDEN[digits])


def test_the_file_is_read_once_and_opened_from_the_store_after(official, capsys):
    path, store = official
    random.seed(5)
    state = random.getstate()
    assert api.NASBench(path, store=store, rng=1).valid_epochs == {4, 12, 36, 108}
    assert random.getstate() == state
    assert api.NASBench(store.path, rng=1).valid_epochs == {4, 12, 36, 108}
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("digits", list(PARAMETERS))
def test_what_is_fixed_of_a_module_is_as_published(nasbench, digits):
    answer = nasbench.query(spec_of(digits))
    assert list(answer) == KEYS
    assert answer["module_adjacency"].dtype == np.int8 and type(answer["module_operations"]) is list
    found = answer["module_adjacency"].tolist(), answer["module_operations"]
    if digits == "28cfc7874f6d200472e1a9dcd8650aa0":  # the one whose usual form is not the one that is stored
        assert found != GOLDEN[digits] and api.ModelSpec(*found).hash_spec(OPS) == digits
    else:
        assert found == GOLDEN[digits]
    assert answer["trainable_parameters"] == PARAMETERS[digits] and type(answer["trainable_parameters"]) is int
    assert all(type(answer[key]) is float for key in KEYS[3:])


def test_the_published_record_answers_to_the_last_bit(nasbench):
    _, computed = nasbench.get_metrics_from_hash("00005c142e6f48ac74fdcf73e3439874")
    assert computed[4][0] == {
        "halfway_training_time": 45.152000427246094,
        "halfway_train_accuracy": 0.10166265815496445,
        "halfway_validation_accuracy": 0.10526842623949051,
        "halfway_test_accuracy": 0.10436698794364929,
        "final_training_time": 89.90399932861328,
        "final_train_accuracy": 0.3498597741127014,
        "final_validation_accuracy": 0.3489583432674408,
        "final_test_accuracy": 0.3504607379436493,
    }
    assert list(computed) == [4, 12, 36, 108] and [len(runs) for runs in computed.values()] == [3, 3, 3, 3]


def expected(index, epochs, repeat, halfway):
    """The numbers of the synthetic file: seconds, train, validation, test."""
    points, _ = records.Maker(0).numbers(index, epochs)
    return points[repeat, 1 if halfway else 2, 1:].tolist()


@pytest.mark.parametrize("epochs", [4, 12, 36, 108])
@pytest.mark.parametrize("halfway", [False, True])
def test_a_query_draws_the_repeat_that_the_original_draws(official, epochs, halfway):
    nasbench = api.NASBench(official[0], 7, store=official[1])
    draws, digits = random.Random(7), list(PARAMETERS)
    seconds = spent = 0
    for turn in range(30):
        name = digits[turn % len(digits)]
        if epochs == 4 and name.startswith("00005c"):
            continue
        answer = nasbench.query(spec_of(name), epochs=epochs, stop_halfway=halfway)
        wanted = expected(index_of(name), epochs, draws.randint(0, 2), halfway)
        assert [answer[key] for key in KEYS[3:]] == wanted
        seconds, spent = seconds + wanted[0], spent + (epochs // 2 if halfway else epochs)
        assert nasbench.get_budget_counters() == (seconds, spent)
    assert nasbench.training_time_spent == seconds and nasbench.total_epochs_spent == spent
    nasbench.reset_budget_counters()
    assert nasbench.get_budget_counters() == (0.0, 0)


def test_only_valid_queries_draw_and_charge(nasbench):
    disconnected, unknown = api.ModelSpec(matrix("00/00"), [INPUT, OUTPUT]), api.ModelSpec(*a_cell_without_results())
    state = random.getstate()
    for wrong in (
        lambda: nasbench.query(disconnected),
        lambda: nasbench.query(unknown),
        lambda: nasbench.query(spec_of("b49ac8c578b4561d79ac7087988f1c61"), epochs=5),
    ):
        with pytest.raises((api.OutOfDomainError, KeyError)):
            wrong()
    nasbench.is_valid(disconnected)
    nasbench.get_metrics_from_spec(spec_of("b49ac8c578b4561d79ac7087988f1c61"))
    assert random.getstate() == state
    assert nasbench.get_budget_counters() == (0.0, 0)
    nasbench.query(spec_of("b49ac8c578b4561d79ac7087988f1c61"))
    random.setstate(state)
    random.randint(0, 2)
    after = random.getstate()
    random.setstate(state)
    nasbench.query(spec_of("b49ac8c578b4561d79ac7087988f1c61"))
    assert random.getstate() == after


def test_a_generator_of_its_own_gives_the_same_repeats(official):
    path, store = official
    answers = []
    for options in ({"seed": 3}, {"rng": 3}, {"rng": random.Random(3)}):
        nasbench = api.NASBench(path, store=store, **options)
        answers.append([nasbench.query(spec_of("b49ac8c578b4561d79ac7087988f1c61"))["training_time"] for _ in range(9)])
    assert answers[0] == answers[1] == answers[2] and len(set(answers[0])) == 3


def test_num_repeats_of_the_settings_says_how_many_are_drawn_from(nasbench):
    nasbench.config["num_repeats"] = 1
    index = index_of("b49ac8c578b4561d79ac7087988f1c61")
    for _ in range(6):
        answer = nasbench.query(spec_of("b49ac8c578b4561d79ac7087988f1c61"), epochs=36)
        assert answer["training_time"] == expected(index, 36, 0, False)[0]
    nasbench.config["num_repeats"] = 50
    with pytest.raises(MissingResult, match=r"no repeat \d+ of b49ac8c.* for 36 epochs.*num_repeats.*\(50\)"):
        for _ in range(100):
            nasbench.query(spec_of("b49ac8c578b4561d79ac7087988f1c61"), epochs=36)


def test_any_order_of_the_vertices_and_loose_ones_ask_for_the_stored_module(nasbench):
    digits = "02e5a0247bbdcf2860b7e96f74961594"
    edges, ops = GOLDEN[digits]
    moved, labels = np.zeros((9, 9), dtype=int), [INPUT, *[C1] * 7, OUTPUT]
    place = [0, 3, 1, 2, 4, 6, 8]  # vertices 5 and 7 are loose
    for source, target in np.argwhere(edges).tolist():
        moved[place[source], place[target]] = 1
    for vertex, op in enumerate(ops):
        labels[place[vertex]] = op
    moved[0, 5], moved[7, 8] = 1, 1
    spec = api.ModelSpec(moved, labels)
    assert spec.matrix.tolist() != edges and spec.hash_spec(nasbench.config["available_ops"]) == digits
    answer = nasbench.query(spec)
    assert answer["module_adjacency"].tolist() == edges and answer["module_operations"] == ops
    assert answer["trainable_parameters"] == PARAMETERS[digits]


def test_answers_are_the_callers_to_change(nasbench):
    name = "b49ac8c578b4561d79ac7087988f1c61"
    answer = nasbench.query(spec_of(name))
    answer["module_adjacency"][:] = 7
    answer["module_operations"].append("x")
    fixed, computed = nasbench.get_metrics_from_hash(name)
    fixed["module_adjacency"][:] = 7
    computed[108][0]["final_test_accuracy"] = 2.0
    computed[4].clear()
    again, computed = nasbench.get_metrics_from_spec(spec_of(name))
    assert again["module_adjacency"].tolist() == matrix("010/001/000")
    assert again["module_operations"] == [INPUT, C3, OUTPUT]
    assert len(computed[4]) == 3 and computed[108][0]["final_test_accuracy"] < 1


# All statistics


def test_statistics_are_mappings_over_the_store(nasbench):
    every = [digest.hex() for digest in map(bytes, SPACE.table.digests[INDICES])]
    assert list(nasbench.hash_iterator()) == every == sorted(every)
    assert list(nasbench.fixed_statistics) == list(nasbench.computed_statistics) == every
    assert len(nasbench.fixed_statistics) == len(nasbench.hash_iterator()) == len(every)
    assert every[3] in nasbench.fixed_statistics and every[3] in nasbench.hash_iterator()
    missing = bytes(SPACE.table.digests[5]).hex()
    assert missing not in nasbench.fixed_statistics and "no hash" not in nasbench.computed_statistics
    assert 5 not in nasbench.fixed_statistics and nasbench.fixed_statistics.get(missing) is None
    for name, fixed in nasbench.fixed_statistics.items():
        assert list(fixed) == KEYS[:3]
        spec = api.ModelSpec(fixed["module_adjacency"], fixed["module_operations"])
        assert spec.hash_spec(nasbench.config["available_ops"]) == name
    for name, computed in list(nasbench.computed_statistics.items())[:5]:
        for epochs in (12, 36, 108):
            for repeat, run in enumerate(computed[epochs]):
                halves = [[run[f"{s}_{key}"] for key in KEYS[3:]] for s in ("halfway", "final")]
                assert halves == [expected(index_of(name), epochs, repeat, halfway) for halfway in (True, False)]
                assert list(run)[:2] == ["halfway_training_time", "halfway_train_accuracy"] and len(run) == 8
    assert f"{len(every)} modules" in repr(nasbench.fixed_statistics)


def a_cell_without_results():
    cell = SPACE.cells([INDICES[-1] + 1])[0]
    return cell.matrix, [INPUT, *cell.operations, OUTPUT]


def test_a_hash_that_is_not_there_is_a_key_error_with_near_ones(nasbench):
    with pytest.raises(KeyError, match="Did you mean 'b49ac8c578b4561d79ac7087988f1c61'") as caught:
        nasbench.get_metrics_from_hash("b49ac8c578b4561d79ac7087988f1c6f")
    assert str(caught.value).startswith("no module of NAS-Bench-101 has the hash 'b49ac8c578")
    for wrong in ("0" * 32, "b49a", "B49AC8C578B4561D79AC7087988F1C61", "", 7, None):
        with pytest.raises(KeyError, match="32 hexadecimal digits"):
            nasbench.fixed_statistics[wrong]
    missing = bytes(SPACE.table.digests[5]).hex()
    for ask in (nasbench.get_metrics_from_hash, nasbench.fixed_statistics.__getitem__):
        with pytest.raises(KeyError, match="no official results of the module .*nasgym import nasbench101"):
            ask(missing)
    with pytest.raises(KeyError, match="no official results of the module"):
        nasbench.query(api.ModelSpec(*a_cell_without_results()))
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), api.UnknownHash)


# What is out of the domain

CHAIN8 = np.eye(8, k=1, dtype=int)
DENSE = np.triu(np.ones((5, 5), dtype=int), 1)
WRONG = {
    "disconnected": (matrix("00/00"), [INPUT, OUTPUT], "invalid spec, provided graph is disconnected."),
    "vertices": (CHAIN8, [INPUT, *[C3] * 6, OUTPUT], "too many vertices, got 8 (max vertices = 7)"),
    "edges": (DENSE, [INPUT, C3, C3, C3, OUTPUT], "too many edges, got 10 (max edges = 9)"),
    "resnet": (*GOLDEN["8990de2aa6c16c245b66f633938a95e3"], "too many edges, got 10 (max edges = 9)"),
    "both": (
        np.triu(np.ones((8, 8), dtype=int), 1),
        [INPUT, *["x"] * 6, OUTPUT],
        "too many vertices, got 8 (max vertices = 7)",
    ),
    "first": (matrix("010/001/000"), [C3, C3, OUTPUT], "first operation should be 'input'"),
    "last": (matrix("010/001/000"), [INPUT, C3, C3], "last operation should be 'output'"),
    "order": (matrix("010/001/000"), [C3, "none", C3], "first operation should be 'input'"),
    "operation": (
        matrix("010/001/000"),
        [INPUT, "none", OUTPUT],
        "unsupported op none (available ops = ['conv3x3-bn-relu', 'conv1x1-bn-relu', 'maxpool3x3'])",
    ),
    "entries": ([[0, 2], [0, 0]], [INPUT, OUTPUT], "entries of a matrix are 0 and 1; got [[0, 2], [0, 0]]"),
}


@pytest.mark.parametrize("kind", list(WRONG))
def test_what_is_out_of_the_domain_is_named_in_the_published_order(nasbench, kind):
    edges, ops, message = WRONG[kind]
    spec = api.ModelSpec(edges, ops)
    assert nasbench.is_valid(spec) is False
    for ask in (nasbench.query, nasbench.get_metrics_from_spec):
        with pytest.raises(api.OutOfDomainError) as caught:
            ask(spec)
        assert str(caught.value) == message
    assert nasbench.get_budget_counters() == (0.0, 0)


def test_an_invalid_number_of_epochs_comes_before_everything(nasbench):
    with pytest.raises(api.OutOfDomainError) as caught:
        nasbench.query(api.ModelSpec(*WRONG["disconnected"][:2]), epochs=5)
    assert str(caught.value) == f"invalid number of epochs, must be one of {nasbench.valid_epochs}"


def test_bounds_are_those_after_pruning(nasbench):
    loose = np.zeros((9, 9), dtype=np.int8)
    loose[0, 1:8] = loose[0, 8] = 1  # seven loose vertices
    spec = api.ModelSpec(loose, [INPUT, *["anything"] * 7, OUTPUT])
    assert nasbench.is_valid(spec) is True
    assert nasbench.query(spec)["trainable_parameters"] == 882_570


def test_bounds_of_the_settings_are_heeded(nasbench):
    spec = api.ModelSpec(INCEPTION, INCEPTION_OPS)
    assert nasbench.is_valid(spec)
    nasbench.query(spec)
    nasbench.config["max_edges"] = 8
    assert not nasbench.is_valid(spec)
    with pytest.raises(api.OutOfDomainError, match="too many edges, got 9"):
        nasbench.query(spec)


@pytest.mark.parametrize("kind", ["vertices", "edges", "operation"])
def test_settings_that_allow_more_than_there_is_end_in_a_key_error(nasbench, kind):
    nasbench.config.update(module_vertices=9, max_edges=40)
    nasbench.config["available_ops"].append("none")
    spec = api.ModelSpec(*WRONG[kind][:2])
    assert nasbench.is_valid(spec)
    with pytest.raises(KeyError, match="at most 7 vertices and 9 edges with conv3x3-bn-relu.* got .*'input'"):
        nasbench.query(spec)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_operations_and_matrices_of_any_sequence_are_accepted(nasbench, kind):
    spec = api.ModelSpec(np.array(INCEPTION, dtype=float), kind(INCEPTION_OPS))
    assert nasbench.query(spec)["trainable_parameters"] == 2_694_282


# Where results come from


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


# Training


def test_evaluate_trains_by_the_settings_and_writes_what_it_found(nasbench, tmp_path, monkeypatch):
    from nasgym import training
    from nasgym.recipes import get_recipe

    asked = {}

    class Trainer:
        def __init__(self, space, dataset, recipe, checkpoints):
            asked.update(space=space.name, dataset=dataset, recipe=recipe, checkpoints=checkpoints)

        def __call__(self, genotype, seed):
            asked.update(index=int(SPACE.index(genotype[None])[0]), seed=seed)
            names = ("train_accuracy", "valid_accuracy", "test_accuracy", "train_seconds")
            series = {n: Series.of([i + k / 10 for k in range(4)], range(1, 5), "seconds") for i, n in enumerate(names)}
            return Evaluation(asked["index"], seed, 4, series)

    monkeypatch.setattr(training, "Trainer", Trainer)
    nasbench.config["train_epochs"] = 4
    spec = spec_of("b49ac8c578b4561d79ac7087988f1c61")
    answer = nasbench.evaluate(spec, tmp_path / "models" / "one", seed=3)
    assert list(answer) == KEYS
    assert answer["module_adjacency"] is spec.matrix and answer["module_operations"] is spec.ops
    assert answer["trainable_parameters"] == 10_177_674
    assert [answer[key] for key in KEYS[3:]] == [3.3, 0.3, 1.3, 2.3]
    assert (asked["space"], asked["dataset"], asked["seed"]) == ("nb101", "cifar10", 3)
    assert asked["index"] == index_of("b49ac8c578b4561d79ac7087988f1c61")
    assert asked["recipe"] == get_recipe("nb101-4")
    written = json.loads((tmp_path / "models" / "one" / "metadata.json").read_text())
    assert written["trainable_params"] == 10_177_674 and written["total_time"] > 0
    assert [point["current_epoch"] for point in written["evaluation_results"]] == [2, 4]
    assert nasbench.get_budget_counters() == (0.0, 0)


def test_evaluate_really_trains(nasbench, tmp_path, monkeypatch):
    import torch

    from nasgym.training import ImageData, Split, trainer

    rng = np.random.default_rng(0)

    def split(size):
        images = rng.integers(0, 256, size=(size, 3, 8, 8), dtype=np.uint8)
        return Split(torch.from_numpy(images), torch.from_numpy(rng.integers(0, 10, size=size)))

    data = ImageData.of("cifar10", tuple("abcdefghij"), (split(32), split(16), split(16)))
    monkeypatch.setattr(trainer, "load_dataset", lambda *args, **options: data)
    nasbench.config.update(train_epochs=2, stem_filter_size=4, num_modules_per_stack=1, batch_size=16)
    answers = [nasbench.evaluate(spec_of("b49ac8c578b4561d79ac7087988f1c61"), tmp_path / str(n)) for n in range(2)]
    for answer in answers:
        assert 0 <= answer.pop("validation_accuracy") <= 1 and answer.pop("training_time") > 0
        answer.pop("module_adjacency")
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("name", "value"), [("num_stacks", 2), ("lr_decay_method", "STEPWISE"), ("train_epochs", 0), ("num_labels", 100)]
)
def test_evaluate_refuses_settings_that_it_does_not_know(nasbench, tmp_path, name, value):
    nasbench.config[name] = value
    with pytest.raises(InvalidSetting, match=f"{name}.*got {value!r}"):
        nasbench.evaluate(spec_of("b49ac8c578b4561d79ac7087988f1c61"), tmp_path)


def test_evaluate_refuses_modules_out_of_the_domain(nasbench, tmp_path):
    with pytest.raises(api.OutOfDomainError, match="too many vertices"):
        nasbench.evaluate(api.ModelSpec(*WRONG["vertices"][:2]), tmp_path)


# Unchanged scripts

SCRIPT = Path(__file__).parent / "nasbench_script.py"


def indices_of_small_cells():
    small = NB101(4)
    return sorted(map(index_of, small.hash(small.from_index(np.arange(small.size)))))


def test_an_unchanged_script_searches(tmp_path):
    path = records.write(tmp_path / "nasbench_only108.tfrecord", indices_of_small_cells(), epochs=(108,))
    done = subprocess.run(
        [sys.executable, "-m", "nasgym.compat", str(SCRIPT), str(path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NASGYM_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["heavy"] == []
    assert found["random"]["times"] == sorted(found["random"]["times"]) and found["random"]["times"][-1] > 2e4
    assert found["evolution"]["best"] == sorted(found["evolution"]["best"])
    assert found["again"] == found["random"]["best"]
