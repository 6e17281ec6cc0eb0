"""Official trials as evaluations and back, every value bit for bit."""

import bz2
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from nasgym.errors import InvalidArchive
from nasgym.importers.official import arch_state_of, evaluations_of
from nasgym.importers.official_costs import corrected_costs, corrected_seconds_share
from nasgym.importers.official_names import OFFICIAL_DATASETS, table_of, tables_of
from nasgym.results import TableKey, decode, encode
from tests.importers.official_samples import HPS, REAL, arch_state

SOURCE = {"tool": "nasgym import nats-tss"}
FOLDERS = {"nb201": "NATS-tss-v1_0-3ffb9-simple", "nats-sss": "NATS-sss-v1_0-50262-simple"}


def assert_same(one, two, where=""):
    """Equal types, keys and bits all the way down."""
    assert type(one) is type(two), where
    if isinstance(one, dict):
        assert set(one) == set(two), where
        for key in one:
            assert_same(one[key], two[key], f"{where}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(two), where
        for first, second in zip(one, two, strict=True):
            assert_same(first, second, where)
    elif isinstance(one, float):
        assert struct.pack("<d", one) == struct.pack("<d", two), where
    else:
        assert one == two, where


def there_and_back(state, space, index, hp):
    rows = evaluations_of(state, space=space, index=index, hp=hp, source=SOURCE)
    rows = [(key, decode(encode(evaluation))) for key, evaluation in rows]
    return arch_state_of(rows[0][0], index, reversed(rows))


def real(space, index):
    path = REAL / FOLDERS[space] / f"{index:06d}.pickle.pbz2"
    if not path.is_file():
        pytest.skip("the real records are not here")
    return pickle.loads(bz2.decompress(path.read_bytes()))


@pytest.mark.parametrize(("space", "hp"), [(space, hp) for space in HPS for hp in HPS[space]])
def test_a_made_up_record_comes_out_as_it_went_in(space, hp):
    state = arch_state(np.random.default_rng(1), space, 123, hp)
    back = there_and_back(state, space, 123, hp)
    assert_same(state, back)
    assert list(state["all_results"]) == list(back["all_results"])
    assert list(state["dataset_seed"]) == list(back["dataset_seed"])


@pytest.mark.parametrize("index", [0, 11, 284])
@pytest.mark.parametrize("space", list(FOLDERS))
def test_the_real_records_come_out_as_they_went_in(space, index):
    for hp, state in real(space, index).items():
        back = there_and_back(state, space, index, hp)
        assert_same(state, back)
        assert list(state["all_results"]) == list(back["all_results"])


def test_oddities_come_out_as_they_went_in():
    state = arch_state(np.random.default_rng(2), "nb201", 5, "12", {"cifar10-valid": [777], "cifar100": [111, 5]})
    trials = list(state["all_results"].values())
    trials[0] |= {"latency": None, "params": 0.25, "seed": "777", "train_times": None, "eval_times": {}}
    trials[1] |= {"latency": [0.25, 0.5, 1.5], "flop": np.float64(3.5), "train_acc1es": None, "eval_losses": {}}
    trials[1]["train_losses"] = {0: float("nan"), 5: float("inf"), 11: -0.0}
    trials[1]["train_times"] = OrderedDict((e, 1.0 + e) for e in range(12))
    trials[2]["arch_config"] = {"channel": 8}
    trials[2] |= {"flop": np.float32(1.5), "params": 3, "latency": [np.int64(1)]}
    trials[2]["eval_times"] = {"x-valid@3": 2.0, "x-valid@4": 2.0, "other@1": 3.0}
    trials[2]["eval_names"] = ["ori-test", "x-valid"]
    state["clear_net_done"] = False
    assert_same(state, there_and_back(state, "nb201", 5, "12"))


def test_seconds_are_those_that_the_original_charges():
    """simulate_train_eval charges sum(train_times) + sum(eval_times) / epochs, with Python's own sum."""
    state = arch_state(np.random.default_rng(3), "nb201", 7, "200")
    for key, evaluation in evaluations_of(state, space="nb201", index=7, hp="200", source=SOURCE):
        name, split = ("cifar10-valid", "x-valid") if key.dataset == "cifar10" else ("cifar100", "x-valid")
        if key.dataset not in ("cifar10", "cifar100"):
            continue
        trial = state["all_results"][name, evaluation.seed]
        for epoch in (1, 7, 200):
            train, valid = 0.0, 0.0
            for e in range(epoch):  # added from left to right
                train += trial["train_times"][e]
                valid += trial["eval_times"][f"{split}@{e}"]
            assert evaluation.value("train_seconds", epoch) == train
            assert evaluation.value("valid_seconds", epoch) == valid / epoch


GOLDEN = [  # index, table, hp, seconds of one evaluation, percent by seed
    (0, "cifar10", "12", 89.2020952247438, {777: 62.712, 111: 64.016}),
    (0, "cifar10", "200", 1446.7675790332612, {777: 82.092, 888: 81.616, 999: 82.240}),
    (0, "cifar100", "12", 173.81602782294863, {111: 31.84}),
    (0, "imagenet16-120", "200", 8763.824341072346, {777: 28.333, 888: 27.367, 999: 28.933}),
    (11, "cifar100", "200", 4985.652968645095, {777: 67.72, 888: 68.18, 999: 66.46}),
    (284, "cifar10", "200", 977.548367679122, {777: 86.052, 888: 86.020, 999: 86.068}),
]


@pytest.mark.parametrize(("index", "dataset", "hp", "seconds", "percent"), GOLDEN)
def test_golden_values(index, dataset, hp, seconds, percent):
    rows = evaluations_of(real("nb201", index)[hp], space="nb201", index=index, hp=hp, source=SOURCE)
    found = {e.seed: e for key, e in rows if key.dataset == dataset}
    assert set(found) == set(percent)
    for seed, evaluation in found.items():
        assert evaluation.train_seconds + evaluation.valid_seconds == seconds
        assert evaluation.valid_accuracy == pytest.approx(percent[seed] / 100, abs=5e-6)


def test_cifar10_valid_is_our_cifar10_and_a_missing_valid_stays_missing():
    rows = dict(
        evaluations_of(
            arch_state(np.random.default_rng(4), "nb201", 9, "200", dict.fromkeys(OFFICIAL_DATASETS, [888])),
            space="nb201", index=9, hp="200", source=SOURCE,
        )
    )  # fmt: skip
    assert [str(key) for key in rows] == [
        f"nb201/{name}/nb201-200" for name in ("cifar10", "cifar10-full", "cifar100", "imagenet16-120")
    ]
    full = rows[TableKey("nb201", "cifar10-full", "nb201-200")]
    assert full.valid_accuracy is None and full.test_accuracy is not None
    hundred = rows[TableKey("nb201", "cifar100", "nb201-200")]
    assert hundred.value("valid_accuracy", 11) is None and hundred.valid_accuracy is not None
    assert hundred.value("valtest_accuracy", 11) is not None and hundred.value("valid_seconds", 11) is not None


def test_known_faults_are_flagged_and_corrected():
    state = arch_state(np.random.default_rng(5), "nb201", 11, "200", {"cifar10": [777, 888], "ImageNet16-120": [777]})
    state["all_results"]["cifar10", 777]["params"] = np.float64(0.640399)
    rows = evaluations_of(state, space="nb201", index=11, hp="200", source=SOURCE)
    assert [evaluation.provenance.get("faults") for _, evaluation in rows] == ["params", None, "seconds"]
    assert rows[0][1].value("params") == 0.640399
    assert corrected_costs(rows[0][0], 11).params == 0.802426
    assert corrected_costs(rows[2][0], 11).flops == 28.49548
    assert corrected_seconds_share(rows[0][0], 11) == 1.0
    assert corrected_seconds_share(rows[2][0], 11) == pytest.approx(0.25, abs=0.001)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("clear_net_done"), "without clear_net_done"),
        (lambda s: s.update(arch_index=6), "another architecture"),
        (lambda s: s.update(arch_str="|none~0|"), "as published"),
        (lambda s: s["dataset_seed"]["cifar10"].append(3), "list of seeds"),
        (lambda s: s["all_results"]["cifar10", 111].update(more=1), "17 fields"),
        (lambda s: s["all_results"]["cifar10", 111].update(epochs="12"), "epochs"),
        (lambda s: s["all_results"]["cifar10", 111]["train_acc1es"].update({3: "1.0"}), "holds str"),
        (lambda s: s["all_results"]["cifar10", 111]["train_losses"].update({-1: 1.0}), "an epoch that is none"),
        (lambda s: s["all_results"]["cifar10", 111]["eval_losses"].update({"ori-test": 1.0}), "SET@EPOCH"),
        (lambda s: s["all_results"]["cifar10", 111].update(latency="x"), "latency"),
        (lambda s: s["all_results"]["cifar10", 111].update(name=["x"]), "plain"),
    ],
)
def test_what_is_no_record_is_refused_by_name(change, says):
    state = arch_state(np.random.default_rng(6), "nb201", 5, "12")
    change(state)
    with pytest.raises(InvalidArchive, match=says):
        evaluations_of(state, space="nb201", index=5, hp="12", source=SOURCE)


def test_unknown_data_sets_and_recipes_are_refused_by_name():
    with pytest.raises(InvalidArchive, match="svhn"):
        table_of("nb201", "svhn", "12")
    with pytest.raises(InvalidArchive, match="'90' epochs"):
        table_of("nb201", "cifar10", "90")
    assert len(tables_of("nb201")) == 8 and len(tables_of("nats-sss")) == 12
