"""Unchanged scripts, with the facades under the originals' names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nasgym.compat import MODULES
from tests.compat import archives

ROOT = Path(__file__).resolve().parent.parent.parent

SCRIPT = """
import random
import sys

import nats_bench
import nats_bench.api_utils
from nas_201_api import ArchResults, NASBench201API as API
from nas_201_api.api_utils import ResultsCount
from nats_bench import create
from nats_bench.genotype_utils import topology_str2structure

from beside import NUMBER

if __name__ == "__main__":
    assert nats_bench.__name__ == "nasgym.compat.nats_bench"
    api = create(sys.argv[1], "tss", fast_mode=True, verbose=False)
    random.seed(1)
    accuracy, latency, cost, total = api.simulate_train_eval(NUMBER, dataset="cifar10", hp="12")
    old = API(verbose=False)
    results = old.query_by_index(NUMBER, "cifar10")
    assert isinstance(old.query_meta_info_by_index(NUMBER), ArchResults)
    assert all(isinstance(trial, ResultsCount) for trial in results.values())
    print(sys.argv, __name__, __file__, accuracy > 0, total == cost, "torch" in sys.modules)
    sys.exit(int(sys.argv[2]))
"""


def run(*words, cwd):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NASGYM_HOME": str(cwd / "home")}
    return subprocess.run(
        [sys.executable, "-m", "nasgym.compat", *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unchanged_script_runs(archive, tmp_path):
    folder, _, _ = archive("nb201", "made-up")
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "search.py"
    script.write_text(SCRIPT)
    (tmp_path / "scripts" / "beside.py").write_text(f"NUMBER = {archives.USUAL}\n")
    done = run("scripts/search.py", folder, 3, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    argv = ["scripts/search.py", str(folder), "3"]
    assert done.stdout == f"{argv} __main__ scripts/search.py True True False\n"


def test_the_names_of_the_script_can_be_imported_by_pickle(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import pickle\n\n\nclass A: ...\n\n\npickle.loads(pickle.dumps(A()))\nprint('done')\n")
    assert run(script, cwd=tmp_path).stdout == "done\n"


@pytest.mark.parametrize("words", [(), ("missing.py",), ("missing.py", "--option")])
def test_a_missing_script_is_named(words, tmp_path):
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2 and "usage: python -m nasgym.compat SCRIPT.py" in done.stderr
    assert not words or "there is no script missing.py" in done.stderr


def test_an_error_of_the_script_is_its_own(tmp_path):
    (tmp_path / "script.py").write_text("1 / 0\n")
    done = run("script.py", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")


def test_install_takes_the_place_of_every_module_of_the_originals():
    code = (
        "import sys, importlib\nfrom nasgym.compat import MODULES, install\ninstall()\n"
        "for name, ours in MODULES.items():\n"
        "    assert importlib.import_module(name).__name__ == ours, name\n"
        "assert not {'torch', 'tensorflow'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", list(MODULES))
def test_every_public_name_of_the_originals_is_there(name):
    import importlib
    import types

    original = pytest.importorskip(name)
    ours = importlib.import_module(MODULES[name])
    public = [
        word
        for word, value in vars(original).items()
        if not word.startswith("_")
        and not isinstance(value, types.ModuleType)
        and getattr(value, "__module__", name if word.startswith(("ALL_", "NA")) else "") == name
    ]
    left_out = {
        "test_api",
        "reset_file_system",
        "get_file_system",
        "nats_is_dir",
        "nats_is_file",
        "get_torch_home",
        "mean",
    }
    missing = {word for word in public if not hasattr(ours, word)} - left_out
    assert not missing, f"{name}: {sorted(missing)}"
    for word in public:
        if isinstance(vars(original)[word], type) and word not in {*missing, "NASBenchMetaAPI"}:
            methods = {m for m in vars(vars(original)[word]) if not m.startswith("_")}
            lacking = {m for m in methods if not hasattr(getattr(ours, word), m)}
            assert not lacking, f"{name}.{word}: {sorted(lacking)}"
