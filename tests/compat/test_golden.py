"""Values of the real records, through importer and facade, to the last digit."""

import math

import pytest

from nasgym.compat.nas_201_api import NASBench201API
from nasgym.compat.nats_bench import create

# simulate_train_eval of index, data set, recipe: seconds charged, validation accuracy by seed (to three digits)
CHARGED = [
    (0, "cifar10", "12", 89.2020952247438, {777: 62.712, 111: 64.016}),
    (0, "cifar10", "200", 1446.7675790332612, {777: 82.092, 888: 81.616, 999: 82.240}),
    (0, "cifar100", "12", 173.81602782294863, {111: 31.84}),
    (0, "cifar100", "200", 2888.9469954399838, {777: 51.88, 888: 53.08, 999: 53.14}),
    (0, "ImageNet16-120", "12", 526.1169853222713, {111: 18.4667}),
    (0, "ImageNet16-120", "200", 8763.824341072346, {777: 28.333, 888: 27.367, 999: 28.933}),
    (11, "cifar10", "12", 153.6959332625071, {777: 63.976, 111: 62.580}),
    (11, "cifar10", "200", 2496.562610864639, {777: 87.748, 888: 88.132, 999: 87.940}),
    (11, "cifar100", "12", 299.9196134408315, {111: 33.64}),
    (11, "cifar100", "200", 4985.652968645095, {777: 67.72, 888: 68.18, 999: 66.46}),
    (284, "cifar10", "12", 60.89902593692145, {777: 74.044, 111: 71.708}),
    (284, "cifar10", "200", 977.548367679122, {777: 86.052, 888: 86.020, 999: 86.068}),
]


@pytest.fixture(scope="module")
def tss(archive):
    folder, _, store = archive("nb201", "real")
    return create(folder, "tss", verbose=False, store=store)


@pytest.fixture(scope="module")
def sss(archive):
    folder, _, store = archive("nats-sss", "real")
    return create(folder, "sss", fast_mode=True, verbose=False, store=store)


@pytest.mark.parametrize(("index", "dataset", "hp", "seconds", "percent"), CHARGED)
def test_what_is_charged_and_seen(tss, archive, index, dataset, hp, seconds, percent):
    old = NASBench201API(None, verbose=False, store=archive("nb201", "real")[2])
    for api in (tss, old):
        api.reset_time()
        accuracies = set()
        for runs in range(1, 31):
            accuracy, _, cost, used = api.simulate_train_eval(index, dataset, hp=hp)
            assert cost == seconds and used == pytest.approx(runs * seconds, rel=1e-12)
            accuracies.add(round(accuracy, 2))
        assert accuracies == {round(known, 2) for known in percent.values()}
    searched = "cifar10-valid" if dataset == "cifar10" else dataset
    for seed, known in percent.items():
        found = tss.get_more_info(index, searched, hp=hp, is_random=seed)["valid-accuracy"]
        assert math.isclose(found, known, abs_tol=5e-4)


def test_means_and_epochs(tss):
    info = tss.get_more_info(11, "cifar10", hp=200, is_random=False)
    assert round(info["test-accuracy"], 5) == 91.58333 and round(info["train-accuracy"], 5) == 99.54733
    assert "valid-accuracy" not in info
    info = tss.get_more_info(11, "cifar100", hp="200", is_random=False)
    found = [round(info[f"{part}-accuracy"], 5) for part in ("valid", "test", "valtest")]
    assert found == [67.45333, 67.60667, 67.53]
    info = tss.get_more_info(11, "cifar100", iepoch=10, hp="200", is_random=False)
    assert round(info["valtest-accuracy"], 5) == 17.52333 and round(info["train-all-time"], 5) == 274.16525
    assert {name.split("-")[0] for name in info} == {"train", "valtest"}


def test_an_epoch_without_validation_is_charged_one_validation(tss):
    accuracy, _, cost, _ = tss.simulate_train_eval(0, "cifar100", iepoch=5, hp="200")
    assert round(cost, 5) == 87.16291 and 12 < accuracy < 20


def test_latency_and_costs(tss, sss):
    assert tss.get_latency(11, "cifar10") == 0.016163252947623268
    costs = sss.get_cost_info(284, "cifar10", hp="90")
    assert (costs["flops"], round(costs["params"], 6)) == (21.827994, 0.144834)
    assert costs["T-train@epoch"] == 6.121103763580322


def test_the_published_order(tss, sss):
    assert tss[11].startswith("|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|")
    resnet = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    assert tss.query_index_by_arch(resnet) == 11472
    assert tss.str2matrix(tss[11]).tolist() == [[0, 0, 0, 0], [3, 0, 0, 0], [3, 4, 0, 0], [0, 3, 4, 0]]
    assert sss[0] == "8:8:8:8:8" and sss[-1] == "64:64:64:64:64"


def test_6466_cells_are_unique(tss):
    from nasgym.compat.nats_bench.genotype_utils import topology_str2structure

    structures = [topology_str2structure(text) for text in tss]
    assert len({structure.to_unique_str(consider_zero=True) for structure in structures}) == 6466
    assert len({structure.to_unique_str(consider_zero=False) for structure in structures}) == 12751
    assert len({structure.to_unique_str(consider_zero=None) for structure in structures}) == 15625
