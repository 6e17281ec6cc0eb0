"""nasgym.compat.nats_bench beside the real nats_bench: every public method, over many arguments."""

import itertools
import random

import numpy as np
import pytest

from nasgym.compat import nats_bench as ours
from tests.compat import archives
from tests.compat.side_by_side import assert_same, outcome, plain

real = pytest.importorskip("nats_bench")
DATASETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120", "svhn")
HPS = {"tss": ("12", "200", 12, 200, "90"), "sss": ("01", "12", "90", 12, 90, "200")}
SETS = ("train", "x-valid", "x-test", "ori-test", "valid", "nothing")


SPACES = {"tss": "nb201", "sss": "nats-sss"}
KINDS = [(name, kind) for name in SPACES for kind in ("made-up", "real")]


@pytest.fixture(params=[1, pytest.param(10, marks=pytest.mark.slow)], ids=["some", "many"])
def some(request):
    """Return a function that takes some of many arguments, the same in every run."""

    def take(wanted, count):
        every, wanted_count = list(wanted), count * request.param
        return every if len(every) <= wanted_count else random.Random(request.param).sample(every, wanted_count)

    return take


def is_refused(api, index):
    """Tell whether the original of the size space stumbles over seconds that are not there."""
    return api.is_size and index == archives.NO_TIMES


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def pair(request, archive):
    """The original and the facade in fast mode, and the architectures that they have."""
    name, kind = request.param
    folder, infos, store = archive(SPACES[name], kind)
    there = real.create(str(folder), name, fast_mode=True, verbose=False)
    here = ours.create(str(folder), name, fast_mode=True, verbose=False, store=store)
    return name, there, here, list(infos)


def compare(pair, call, where, seed=0):
    _, there, here, _ = pair
    assert_same(outcome(lambda: call(there), seed=seed), outcome(lambda: call(here), seed=seed), where)


def test_get_more_info(pair, some):
    name, there, _, indexes = pair
    epochs = (None, 0, 1, 5, 11, 12, 89, 100, 199, 200, -1)
    draws = (True, False, 111, 777, 888, 999, 5)
    for arguments in some(itertools.product(indexes, DATASETS, epochs, HPS[name], draws), 250):
        if not is_refused(there, arguments[0]):
            compare(pair, lambda api, a=arguments: api.get_more_info(*a), f"get_more_info{arguments}")


def test_simulate_train_eval_and_its_clock(pair, some):
    name, there, here, indexes = pair
    for api in (there, here):
        api.reset_time()
    wanted = itertools.product(indexes, DATASETS, (None, 0, 5, 11, 300), HPS[name], (True, False))
    for number, arguments in enumerate(some(wanted, 40)):
        call = f"simulate_train_eval{arguments}"
        compare(pair, lambda api, a=arguments: api.simulate_train_eval(*a), call, seed=number)
        assert plain(there.used_time) == plain(here.used_time), call
    assert here.used_time > 0
    for api in (there, here):
        api.reset_time()
    assert here.used_time == 0


def test_costs_configurations_and_weights(pair, some):
    name, _, _, indexes = pair
    for arguments in some(itertools.product(indexes, DATASETS, HPS[name]), 10):
        index, dataset, hp = arguments
        compare(pair, lambda api, a=arguments: api.get_cost_info(*a), f"get_cost_info{arguments}")
        compare(pair, lambda api, a=arguments: api.get_latency(*a), f"get_latency{arguments}")
        for seed in (None, 777, 5):
            where = (index, dataset, seed, hp)
            compare(pair, lambda api, a=where: api.get_net_param(*a), f"get_net_param{where}")
    for index, dataset in itertools.product(indexes, DATASETS):
        compare(pair, lambda api, a=(index, dataset): api.get_net_config(*a), f"get_net_config{index, dataset}")


def test_results_by_index(pair, some):
    name, _, _, indexes = pair
    for index, hp in some(itertools.product(indexes, HPS[name]), 5):
        compare(pair, lambda api, a=(index, hp): api.query_meta_info_by_index(*a), f"meta info of {index}, {hp}")
    for arguments in some(itertools.product(indexes, (None, *DATASETS), HPS[name]), 10):
        compare(pair, lambda api, a=arguments: api.query_by_index(*a), f"query_by_index{arguments}")


def test_printed_forms(pair):
    name, _, _, indexes = pair
    for index in indexes[-3:]:
        compare(pair, lambda api, i=index: api.show(i), f"show({index})")
        for hp in ("01", "12", "90", "200"):
            compare(pair, lambda api, a=(index, hp): api.query_by_arch(*a), f"query_by_arch{index, hp}")
            compare(pair, lambda api, a=(index, hp): api.query_info_str_by_arch(*a), f"query_info{index, hp}")
    compare(pair, repr, "repr")
    compare(pair, lambda api: api.show(99_999), "show(99999)")


def test_the_search_space_itself(pair):
    _, there, here, _ = pair
    assert list(there) == list(here) == there.meta_archs == here.meta_archs
    assert len(there) == len(here) and here[-1] == there[-1] and here[2:5] == there[2:5]
    assert here.archstr2index == there.archstr2index
    for index in (0, 1, 5000, 99_999, -1):
        compare(pair, lambda api, i=index: api.arch(i), f"arch({index})")
        compare(pair, lambda api, i=index: api[i], f"api[{index}]")
        compare(pair, lambda api, i=index: api.query_index_by_arch(i), f"query_index_by_arch({index})")
        compare(pair, lambda api, i=index: api.query_index_by_arch(api[i]), f"query_index_by_arch(api[{index}])")
    for name in ("search_space_name", "is_topology", "is_size", "full_train_epochs", "full_epochs_in_paper"):
        assert getattr(there, name) == getattr(here, name), name
    for name in ("fast_mode", "archive_dir", "filename"):
        assert getattr(there, name) == getattr(here, name), name
    for seed in range(20):
        compare(pair, lambda api: [api.random() for _ in range(5)], "random()", seed=seed)


class Cell:
    def __init__(self, text):
        self.text = text

    def tostr(self):
        return self.text


def test_architectures_by_string_and_by_object(pair):
    _, there, _, indexes = pair
    for index in indexes:
        text = there[index]
        for arch in (text, Cell(text)) if not is_refused(there, index) else ():
            compare(pair, lambda api, a=arch: api.query_index_by_arch(a), text)
            compare(pair, lambda api, a=arch: api.get_more_info(a, "cifar100", hp="12"), text)
            compare(pair, lambda api, a=arch: api.simulate_train_eval(a, "cifar100", account_time=False), text)
            compare(pair, lambda api, a=arch: api.query_by_arch(a, "12"), text)


def test_seeded_scripts_draw_the_same_numbers(pair):
    name, there, here, indexes = pair
    if not set(indexes) <= set(archives.REAL_INDEXES):
        indexes = [archives.USUAL, archives.FEW_SEEDS]
    answers = []
    for api in (there, here):
        random.seed(2020)
        calls = (("cifar10-valid", HPS[name][1]), ("cifar100", HPS[name][1]), ("cifar10-valid", "12"))
        answers.append(
            [
                api.get_more_info(random.choice(indexes), dataset, hp=hp)["train-loss"]
                for _ in range(60)
                for dataset, hp in calls
                if dataset != "cifar100" or archives.FEW_SEEDS not in indexes
            ]
            + [api.simulate_train_eval(indexes[0], "cifar100", iepoch=3, hp=HPS[name][1])[0] for _ in range(20)]
            + [random.random()]
        )
    assert answers[0] == answers[1]
    assert len(set(answers[1])) > 4


def test_what_is_evaluated_and_available(pair):
    _, there, here, indexes = pair
    for api in (there, here):
        for index in indexes:
            api.query_meta_info_by_index(index)
    assert here.evaluated_indexes == there.evaluated_indexes == set(indexes)
    assert sorted(here.avaliable_hps) == sorted(there.avaliable_hps)
    assert sorted(here.arch2infos_dict) == sorted(there.arch2infos_dict)


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def whole(request, archive):
    """The original with everything in memory, and the facade, not in fast mode."""
    name, kind = request.param
    folder, infos, store = archive(SPACES[name], kind)
    there = real.create(archives.as_nats(infos, SPACES[name]), name, verbose=False)
    here = ours.create(str(folder), name, verbose=False, store=store)
    return name, there, here, list(infos)


def find_best_calls(name):
    bounds = (None, 0.05, 0.2, 0.6, 5.0, 15.6, 100.0)
    for dataset, on, hp in itertools.product(DATASETS[:4], ("valid", "test", *SETS), HPS[name][:2]):
        yield dataset, on, None, None, hp
    for flop, param in itertools.product(bounds, bounds):
        yield "cifar100", "test", flop, param, HPS[name][1]


def test_find_best(whole):
    name, there, here, _ = whole
    found = set()
    for arguments in find_best_calls(name):
        real_one = outcome(lambda a=arguments: there.find_best(*a))
        if isinstance(real_one.error, KeyError):
            continue  # the original stops where one of the architectures lacks the set, ours passes it over
        ours_one = outcome(lambda a=arguments: here.find_best(*a))
        assert_same(real_one, ours_one, f"find_best{arguments}")
        found.add(ours_one.value)
    assert len(found) > 3


def test_statistics(whole):
    name, there, here, _ = whole
    for dataset, hp in itertools.product(DATASETS, HPS[name]):
        one, two = (outcome(lambda a=api, d=dataset, h=hp: a.statistics(d, h)) for api in (there, here))
        assert (one.error is None) == (two.error is None), (dataset, hp)
        assert one.error is None or isinstance(two.error, type(one.error))
        assert one.value == two.value, (dataset, hp)


def test_without_fast_mode(whole):
    _, there, here, indexes = whole
    here.filename = None  # the original was given a dictionary
    assert here.evaluated_indexes == there.evaluated_indexes
    assert repr(here) == repr(there)
    for index in (*indexes, 5):
        if is_refused(there, index):
            continue
        assert_same(
            outcome(lambda i=index: there.get_more_info(i, "cifar10-valid")),
            outcome(lambda i=index: here.get_more_info(i, "cifar10-valid")),
            f"get_more_info({index})",
        )
        assert_same(
            outcome(lambda i=index: there.query_by_arch(i, "12")),
            outcome(lambda i=index: here.query_by_arch(i, "12")),
            f"query_by_arch({index})",
        )
        assert_same(outcome(lambda i=index: there.show(i)), outcome(lambda i=index: here.show(i)), f"show({index})")


def test_lines_at_every_call(tss):
    folder, infos, store = tss
    there = real.create(str(folder), "tss", fast_mode=True, verbose=True)
    here = ours.create(str(folder), "tss", fast_mode=True, verbose=True, store=store)
    pair = ("tss", there, here, list(infos))
    index = next(iter(infos))
    for call in (
        lambda api: api.arch(3),
        lambda api: api.query_index_by_arch(3),
        lambda api: api.get_more_info(index, "cifar10", hp="12"),
        lambda api: api.simulate_train_eval(index, "cifar10", hp="12"),
        lambda api: api.simulate_train_eval(index, "cifar100", iepoch=2, hp="200"),
        lambda api: api.get_cost_info(index, "cifar10"),
        lambda api: api.get_latency(index, "cifar10", "200"),
        lambda api: api.get_net_config(index, "cifar10"),
        lambda api: api.get_net_param(index, "cifar10", None),
        lambda api: api.query_by_index(index, "cifar10"),
        lambda api: api.query_by_arch(index, "12"),
        lambda api: api.clear_params(index),
        lambda api: api.statistics("cifar10", "12"),
        lambda api: api.find_best("cifar10", "valid", enforce_all=False),
    ):
        compare(pair, call, "printed lines")


def test_a_dictionary_as_the_original_loads_it(tss):
    _, infos, _ = tss
    content = archives.as_nats(infos, "nb201")
    there, here = (module.create(content, "tss", verbose=False) for module in (real, ours))
    pair = ("tss", there, here, list(infos))
    for index, dataset, hp in itertools.product((*list(infos)[:3], 5), DATASETS, ("12", "200")):
        for is_random in (True, False, 777):
            arguments = (index, dataset, None, hp, is_random)
            compare(pair, lambda api, a=arguments: api.get_more_info(*a), f"get_more_info{arguments}")
        compare(pair, lambda api, a=(index, dataset, hp): api.get_cost_info(*a), f"get_cost_info{index, dataset, hp}")
    compare(pair, repr, "repr")
    compare(pair, lambda api: api.statistics("cifar100", "12"), "statistics")
    for hp in ("12", "200"):
        compare(pair, lambda api, h=hp: api.find_best("cifar10", "valid", hp=h), "find_best")


def test_reload_takes_a_folder(tss, tmp_path):
    folder, infos, _ = tss
    content = {**archives.as_nats({}, "nb201"), "evaluated_indexes": set()}
    there, here = (module.create(content, "tss", verbose=False) for module in (real, ours))
    index = next(iter(infos))
    for api in (there, here):
        api.reload(str(folder), index)
    compare(("tss", there, here, []), lambda api: api.query_by_index(index, None, "200"), "after reload")
    for root in (str(folder), str(tmp_path / "none")):
        compare(("tss", there, here, []), lambda api, r=root: api.reload(r, 7), "reload of what is not there")


def test_strings_taken_apart(tss):
    folder, _, store = tss
    there = real.create(str(folder), "tss", fast_mode=True, verbose=False)
    here = ours.create(str(folder), "tss", fast_mode=True, verbose=False, store=store)
    for index in range(0, len(here), 97):
        text = here[index]
        assert there.str2lists(text) == here.str2lists(text)
        assert np.array_equal(there.str2matrix(text), here.str2matrix(text))
        assert there.get_unique_str(index) == here.get_unique_str(text)
    for text in ("|nonsense~0|", "|none~0|+|none|none~1|", ""):
        for method in ("str2lists", "str2matrix"):
            compare(("tss", there, here, []), lambda api, m=method, t=text: getattr(api, m)(t), f"{method}({text!r})")


def test_module_functions():
    for arguments in itertools.product(("nats-bench", "nas-bench-201", "other"), ("tss", "size", "sss", None, "x")):
        one = outcome(lambda a=arguments: real.search_space_info(*a))
        assert_same(one, outcome(lambda a=arguments: ours.search_space_info(*a)), f"search_space_info{arguments}")
    assert real.version() == ours.version()
    assert real.NATS_BENCH_API_VERSIONs == ours.NATS_BENCH_API_VERSIONs
    assert_same(outcome(lambda: real.create({}, "x")), outcome(lambda: ours.create({}, "x")), "create")
    assert_same(outcome(lambda: real.create({}, "tss")), outcome(lambda: ours.create({}, "tss")), "create")
    missing = outcome(lambda: real.create("/nowhere", "tss", verbose=False))
    assert_same(missing, outcome(lambda: ours.create("/nowhere", "tss", verbose=False)), "create")


def test_pickles_of_results_are_read_and_written_alike(tss, tmp_path):
    _, infos, _ = tss
    by_hp = next(iter(infos.values()))
    ours.pickle_save(by_hp, str(tmp_path / "a.pickle"))
    real.pickle_save(by_hp, str(tmp_path / "b.pickle"))
    assert plain(real.pickle_load(str(tmp_path / "a.pickle"))) == plain(ours.pickle_load(str(tmp_path / "b.pickle")))
    assert plain(ours.pickle_load(str(tmp_path / "b.pickle.pbz2"))) == plain(by_hp)
