"""What is deliberately better than in the originals, each line of the list in docs/compat.md."""

import copy
import pickle
import random

import numpy as np
import pytest

from nasgym.compat import nas_201_api, nats_bench
from nasgym.compat.imported import NOTES
from nasgym.errors import InvalidArchitecture, InvalidArchive, MissingResult
from nasgym.importers.official_names import table_of
from nasgym.results import Evaluation, Series, TableKey
from nasgym.store import Store
from tests.compat import archives
from tests.compat.side_by_side import plain

INDEX = archives.USUAL


@pytest.fixture
def api(archive):
    folder, _, store = archive("nb201", "made-up")
    return nats_bench.create(folder, "tss", verbose=False, store=store)


@pytest.fixture
def reads(monkeypatch):
    """The tables from which evaluations are read, one by one."""
    found = []
    get = Store.get
    monkeypatch.setattr(Store, "get", lambda self, key, *rest: found.append(str(key)) or get(self, key, *rest))
    return found


def test_numpys_integers_are_accepted(api):
    one, seed = np.int64(INDEX), np.int32(777)
    assert type(api.query_index_by_arch(one)) is int and api.query_index_by_arch(one) == INDEX
    wanted = api.get_more_info(INDEX, "cifar10-valid", 5, "200", 777)
    assert api.get_more_info(one, "cifar10-valid", np.int16(5), np.int64(200), seed) == wanted
    assert api.get_more_info(one, "cifar10", is_random=np.False_) == api.get_more_info(
        INDEX, "cifar10", is_random=False
    )
    random.seed(1)
    wanted = api.simulate_train_eval(INDEX, "cifar100", hp="200", account_time=False)
    random.seed(1)
    assert api.simulate_train_eval(one, "cifar100", hp=200, account_time=False) == wanted
    assert plain(api.query_by_index(one, "cifar10")) == plain(api.query_by_index(INDEX, "cifar10"))
    assert api.query_by_arch(one, 12) == api.query_by_arch(INDEX, "12")


def test_one_epoch_is_01(archive):
    folder, _, store = archive("nats-sss", "made-up")
    api = nats_bench.create(folder, "sss", verbose=False, store=store)
    assert api.get_more_info(INDEX, "cifar10", hp=1, is_random=777) == api.get_more_info(
        INDEX, "cifar10", hp="01", is_random=777
    ) | {"comment": api.get_more_info(INDEX, "cifar10", hp=1)["comment"]}


@pytest.mark.parametrize("arch", ["|none~0|", "nonsense", 1.5, None, 15_625, -1, np.float64(3)])
def test_what_is_no_architecture_is_an_error_and_not_minus_one(api, arch):
    with pytest.raises(InvalidArchitecture):
        api.query_index_by_arch(arch)
    with pytest.raises(ValueError):  # noqa: PT011 - any ValueError serves scripts that catch it
        api.simulate_train_eval(arch, "cifar10")


def test_strings_and_objects_serve_everywhere(api):
    text = api[INDEX]
    assert api.get_cost_info(text, "cifar10") == api.get_cost_info(INDEX, "cifar10")
    assert api.get_latency(text, "cifar10") == api.get_latency(INDEX, "cifar10")
    assert plain(api.query_by_index(text)) == plain(api.query_by_index(INDEX))
    assert api.get_net_config(text, "cifar10") == api.get_net_config(INDEX, "cifar10")


def test_an_architecture_without_results_is_named_with_the_remedy(api):
    with pytest.raises(ValueError, match="architecture 5 has no official results.*nasgym import") as caught:
        api.get_more_info(5, "cifar10")
    assert isinstance(caught.value, MissingResult)


def test_an_empty_store_is_an_error_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="nasgym import nats-tss"):
        nats_bench.create(None, "tss", verbose=False)
    with pytest.raises(ValueError, match="nasgym import nats-sss"):
        nats_bench.create(None, "sss", verbose=False)
    with pytest.raises(ValueError, match="no official results"):
        nas_201_api.NASBench201API(None, verbose=False)


def test_without_a_path_the_users_store_answers_and_else_the_official_place(tmp_path, archive, monkeypatch, capsys):
    folder, _, _ = archive("nb201", "made-up")
    monkeypatch.setenv("TORCH_HOME", str(folder.parent))
    first = nats_bench.create(None, "tss", verbose=False)  # finds the folder that the original looks for
    assert "importing" in capsys.readouterr().err
    monkeypatch.delenv("TORCH_HOME")
    second = nats_bench.create(None, "tss", fast_mode=True, verbose=False)
    assert capsys.readouterr().err == ""
    old = nas_201_api.NASBench201API(verbose=False)
    assert first.get_cost_info(INDEX, "cifar10") == second.get_cost_info(INDEX, "cifar10")
    assert old.evaluated_indexes == sorted(archives.EVERY)


def test_a_folder_or_a_file_in_either_mode_imported_once(archive, tmp_path, capsys):
    folder, infos, store = archive("nb201", "made-up")
    file = archives.write_file(tmp_path / "few.pickle.pbz2", {INDEX: infos[INDEX]}, "nb201")
    for path, place in ((folder, store), (file, tmp_path / "store")):
        for fast_mode in (True, False):
            found = nats_bench.create(str(path), "tss", fast_mode, verbose=False, store=place)
            assert found.get_more_info(INDEX, "cifar10", is_random=False)["train-loss"] > 0
            assert found.fast_mode is fast_mode and found.filename == path.name
    assert capsys.readouterr().err.count("importing") == 1
    (tmp_path / "store" / NOTES).unlink()  # without its notes a store is looked through, and nothing is lost
    again = nats_bench.create(file, "tss", verbose=False, store=tmp_path / "store")
    assert again.evaluated_indexes == {INDEX}


def test_nothing_is_read_that_is_not_asked_for(archive, reads):
    folder, _, store = archive("nb201", "made-up")
    api = nats_bench.create(folder, "tss", fast_mode=True, verbose=False, store=store)
    assert len(api) == 15_625 and reads == []
    api.get_more_info(INDEX, "cifar100", hp="12")
    assert reads == ["nb201/cifar100/nb201-12"]
    api.get_more_info(INDEX, "cifar100", iepoch=3, hp="12", is_random=False)
    assert len(reads) == 1
    api.query_by_index(INDEX, "ImageNet16-120", "200")[777]  # noqa: B018 - a trial as such
    assert set(reads[1:]) <= {
        f"nb201/{name}/nb201-200" for name in ("cifar10", "cifar10-full", "cifar100", "imagenet16-120")
    }


def test_find_best_reads_the_best_alone(tmp_path, reads):
    key = table_of("nb201", "cifar100", "12")
    with Store(tmp_path / "store") as store:
        store.ensure_table(key, 15_625)
        store.put(key, [official(index, 30 + index / 100) for index in range(400)])
    api = nats_bench.create(None, "tss", verbose=False, store=tmp_path / "store")
    assert api.find_best("cifar100", "valid") == (399, 30 + 399 / 100)
    assert api.find_best("cifar100", "valid", param_max=0.1) == (100, 31.0)
    assert len(reads) < 20


def official(index, percent):
    """One trial of one epoch as an importer stores it."""
    series = {name: Series.of(percent, 1, "percent") for name in ("train_accuracy", "valid_accuracy")}
    series |= {name: Series.of(1.0, 1, "nats") for name in ("train_loss", "valid_loss")}
    series |= {name: Series.of(9.0, 1, "seconds") for name in ("train_seconds", "valid_seconds")}
    sizes = {name: Series.of(index / 1000, 0, "millions") for name in ("params", "flops")}
    latency = {"latency_seconds": Series.of(0.01, 0, "seconds")}
    return Evaluation(index, 777, 1, series | sizes | latency, provenance={"sets": "x-valid", "place": "0"})


def test_the_default_draws_from_pythons_generator_and_an_own_one_leaves_it_alone(archive):
    folder, _, store = archive("nb201", "made-up")

    def draws(**options):
        api = nats_bench.create(folder, "tss", verbose=False, store=store, **options)
        return [api.get_more_info(INDEX, "cifar10-valid", hp="200")["train-loss"] for _ in range(12)] + [api.random()]

    random.seed(4)
    default = draws()
    random.seed(4)
    assert draws() == default and len(set(default)) > 2
    random.seed(4)
    state = random.getstate()
    own = draws(rng=4)
    assert own == default == draws(rng=random.Random(4))  # the same generator, and the same draws
    assert random.getstate() == state
    old = nas_201_api.NASBench201API(None, verbose=False, store=store, rng=4)
    assert [old.get_more_info(INDEX, "cifar10-valid", hp="200")["train-loss"] for _ in range(12)] == default[:12]


def test_results_from_elsewhere_are_passed_over(tmp_path, archive):
    folder, _, _ = archive("nb201", "made-up")
    store = Store(tmp_path / "store")
    before = nats_bench.create(folder, "tss", verbose=False, store=store)
    info = before.get_more_info(INDEX, "cifar10-valid", hp="12", is_random=False)
    key = TableKey("nb201", "cifar10", "nb201-12")
    mine = {"valid_accuracy": Series.of(99.9, 12, "percent")}
    store.put(key, [Evaluation(index, seed, 12, mine) for index in (INDEX, 7) for seed in (0, "mean")])
    after = nats_bench.create(None, "tss", verbose=False, store=store)
    assert after.get_more_info(INDEX, "cifar10-valid", hp="12", is_random=False) == info
    assert after.evaluated_indexes == before.evaluated_indexes
    assert after.find_best("cifar10", "valid")[1] < 99
    with pytest.raises(MissingResult):
        after.get_more_info(7, "cifar10-valid")


def test_changes_in_results_show_in_later_answers(api):
    results = api.arch2infos_dict[INDEX]["12"]
    results.reset_latency("cifar100", None, 0.5)
    results.reset_pseudo_train_times("cifar100", None, 2.0)
    assert api.get_latency(INDEX, "cifar100") == 0.5
    assert api.get_more_info(INDEX, "cifar100")["train-all-time"] == 24.0
    copied = api.query_by_index(INDEX, None, "12")
    copied.reset_latency("cifar100", None, 7.0)
    assert api.get_latency(INDEX, "cifar100") == 0.5


def test_all_architectures_can_be_shown(api, capsys):
    api.show()
    printed = capsys.readouterr().out
    assert printed.startswith("NATStopology(8/15625 architectures, fast_mode=False")
    for place, index in enumerate(sorted(archives.EVERY)):
        assert f"The ({place:5d}/    8) {index:06d}-th architecture!" in printed


def test_facades_travel_to_other_processes(api):
    api.get_more_info(INDEX, "cifar10")
    for other in (pickle.loads(pickle.dumps(api)), copy.deepcopy(api)):
        assert other.get_cost_info(INDEX, "cifar10") == api.get_cost_info(INDEX, "cifar10")
        assert other.get_more_info(INDEX, "cifar100", is_random=False) == api.get_more_info(
            INDEX, "cifar100", is_random=False
        )


class Hostile:
    def __reduce__(self):
        return print, ("this code ran",)


def test_pickles_run_no_code(tmp_path, capsys):
    nats_bench.pickle_save({"arch2infos": Hostile()}, tmp_path / "x.pickle")
    with pytest.raises(InvalidArchive):
        nats_bench.pickle_load(tmp_path / "x.pickle")
    with pytest.raises(InvalidArchive):
        nats_bench.ArchResults.create_from_state_dict(str(tmp_path / "x.pickle.pbz2"))
    assert capsys.readouterr().out == ""
