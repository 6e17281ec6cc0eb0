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

from nasgym.compat.nasbench import api
from nasgym.errors import MissingResult
from nasgym.spaces import NB101
from tests.compat.nasbench_modules import (
    C1,
    C3,
    GOLDEN,
    INDICES,
    INPUT,
    KEYS,
    OPS,
    OUTPUT,
    SPACE,
    expected,
    index_of,
    matrix,
    spec_of,
)
from tests.importers import nb101_records as records
from tests.nb101_golden import PARAMETERS

ROOT = Path(__file__).resolve().parent.parent.parent


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
        lambda: nasbench.query(spec_of("b49ac8c578b4561d79ac7087988f1c61"), epochs=[108]),
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
