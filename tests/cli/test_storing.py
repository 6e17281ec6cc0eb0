"""`nasgym import csv` and `nasgym store`: what comes in goes out, and faults leave everything as it was."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from nasgym.spaces import get_space
from nasgym.store import Store, TableKey
from nasgym.tables import embedded_keys
from tests.cli.conftest import Run

KEY = TableKey("nb201", "cifar10", "nb201-12")
ARCH = "|skip_connect~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
HEAD = "architecture,dataset,recipe,seed,valid_accuracy,test_accuracy,train_seconds\n"
ROWS = f"{ARCH},cifar10,12,mean,63.3640,69.5500,86.6531\n17,cifar10,12,3,50.25,,80.5\n"
WORDS = ("--unit", "percent", "--recipe", "12=nb201-12")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(HEAD + ROWS)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_a_table_is_imported(run: Run, table: Path, store: Path) -> None:
    said = run("import", "csv", table, *WORDS, "--store", store).stdout
    assert "nb201/cifar10/nb201-12" in said and said.splitlines()[-1].split()[1:3] == ["2", "2"]
    found = Store(store).get(KEY, 17, 3)
    assert found is not None and found.valid_accuracy == 0.5025 and found.test_accuracy is None
    index = int(get_space("nb201").index(get_space("nb201").from_str([ARCH]))[0])
    assert Store(store).seeds(KEY, index) == ["mean"]


def test_names_of_the_file_are_translated(run: Run, tmp_path: Path, store: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("cell,data,rand,acc,note\n17,cifar10-valid,0,0.5,hello\n")
    columns = [w for pair in ("cell=architecture", "data=dataset", "rand=seed", "acc=valid_accuracy", "note=ignore")
               for w in ("--column", pair)]  # fmt: skip
    run(
        "import", "csv", path, "--unit", "fraction", "--recipe", "nb201-12", "--dataset", "cifar10-valid=cifar10",
        *columns, "--store", store,
    )  # fmt: skip
    found = Store(store).get(KEY, 17, 0)
    assert found is not None and found.valid_accuracy == 0.5


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        (HEAD.replace("seed,", "") + "17,cifar10,12,50,60,80\n", WORDS, "seed"),
        (HEAD + "17,cifar10,12,0,nan,,80\n", WORDS, "line 2"),
        (HEAD + "17,cifar10,12,0,150,,80\n", WORDS, "150"),
        (HEAD + "17,cifar10,12,0,50,,80\n17,cifar10,12,0,51,,80\n", WORDS, "line 3"),
        (HEAD + "99999,cifar10,12,0,50,,80\n", WORDS, "99999"),
        (HEAD + "|no~0|+,cifar10,12,0,50,,80\n", WORDS, "line 2"),
        (HEAD + "17,cifar10,13,0,50,,80\n", WORDS, "13"),
        (HEAD, WORDS, "no rows"),
        ("", WORDS, "column"),
        (HEAD + ROWS, ("--unit", "permille", "--recipe", "12=nb201-12"), "permille"),
        (HEAD + ROWS, ("--unit", "percent", "--recipe", "12=nb201-13"), "nb201-12"),
        (HEAD + ROWS, (*WORDS, "--column", "seed=speed"), "speed"),
        (HEAD + ROWS, (*WORDS, "--space", "nb301"), "nb201"),
        (HEAD + ROWS, (*WORDS, "--recipe", "a", "--recipe", "b"), "once"),
    ],
)
def test_faults_are_named_and_nothing_is_imported(
    run: Run, tmp_path: Path, store: Path, content: str, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "bad.csv").write_text(content)
    result = run("import", "csv", tmp_path / "bad.csv", *words, "--store", store, code=1)
    assert result.stderr.startswith("error: ") and said in result.stderr and "Traceback" not in result.stderr
    assert Store(store).tables() == []


def test_a_file_that_is_not_there(run: Run, store: Path) -> None:
    assert "nowhere.csv" in run("import", "csv", "nowhere.csv", *WORDS, "--store", store, code=1).stderr


def test_a_result_that_contradicts_is_refused(run: Run, table: Path, store: Path) -> None:
    run("import", "csv", table, *WORDS, "--store", store)
    table.write_text(HEAD + ROWS.replace("50.25", "50.26"))
    assert "error: " in run("import", "csv", table, *WORDS, "--store", store, code=1).stderr
    found = Store(store).get(KEY, 17, 3)
    assert found is not None and found.valid_accuracy == 0.5025


def test_export_and_merge_carry_everything(run: Run, table: Path, store: Path, tmp_path: Path) -> None:
    run("import", "csv", table, *WORDS, "--store", store)
    assert run("store", "export", "out.nasgym", "--store", store).stdout.startswith("2 evaluations written")
    said = run("store", "merge", "out.nasgym", "--store", tmp_path / "second").stdout
    assert "2 evaluations read, 2 new" in said
    assert list(Store(tmp_path / "second").scan(KEY)) == list(Store(store).scan(KEY))
    assert "2 evaluations read, 0 new" in run("store", "merge", store, "--store", tmp_path / "second").stdout


def test_one_table_is_exported(run: Run, table: Path, store: Path) -> None:
    run("import", "csv", table, *WORDS, "--store", store)
    run("store", "export", "out.nasgym", "--table", str(KEY), "--store", store)
    wrong = run("store", "export", "no.nasgym", "--table", "nb201/cifar10/nb201-13", "--store", store, code=1)
    assert "unknown table" in wrong.stderr and "nb201/cifar10/nb201-12" in wrong.stderr
    assert not Path("no.nasgym").exists()


def test_a_cut_file_gives_what_it_holds_and_says_so(run: Run, table: Path, store: Path, tmp_path: Path) -> None:
    run("import", "csv", table, *WORDS, "--store", store)
    run("store", "export", "out.nasgym", "--store", store)
    data = Path("out.nasgym").read_bytes()
    Path("out.nasgym").write_bytes(data[:-10])
    result = run("store", "merge", "out.nasgym", "--store", tmp_path / "second")
    assert "1 evaluations read" in result.stdout and "damaged" in result.stderr


def test_files_of_results_are_imported_together(run: Run, table: Path, store: Path, tmp_path: Path) -> None:
    run("import", "csv", table, *WORDS, "--store", store)
    run("store", "export", "a.nasgym", "--store", store)
    run("store", "export", "b.nasgym", "--store", store)
    Path("b.nasgym").write_bytes(Path("b.nasgym").read_bytes()[:-10])
    result = run("import", "results", "b.nasgym", "a.nasgym", "--store", tmp_path / "second")
    assert "the end of b.nasgym is damaged" in result.stderr and "what stands before it was taken" in result.stderr
    assert f"{KEY}" in result.stdout
    assert "3 evaluations read, 2 new" in result.stdout
    assert list(Store(tmp_path / "second").scan(KEY)) == list(Store(store).scan(KEY))


def test_an_error_says_which_files_were_taken(run: Run, table: Path, store: Path, tmp_path: Path) -> None:
    run("import", "csv", table, *WORDS, "--store", store)
    run("store", "export", "a.nasgym", "--store", store)
    Path("text").write_text("hello, this is no file of results")
    result = run("import", "results", "a.nasgym", "text", "--store", tmp_path / "second", code=1)
    assert "text: nothing was taken; 1 before it are in the store" in result.stderr
    assert "not a file of results" in result.stderr
    assert Store(tmp_path / "second").info(KEY).rows == 2
    missing = run("import", "results", "a.nasgym", "gone", "--store", tmp_path / "third", code=1)
    assert "there is no file gone" in missing.stderr
    folder = run("import", "results", "a.nasgym", ".", "--store", tmp_path / "third", code=1)
    assert ". is a folder: nothing was taken" in folder.stderr
    assert not (tmp_path / "third").exists()


def test_merging_what_is_no_store(run: Run, store: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for other in ("text", "nowhere"):
        assert run("store", "merge", other, "--store", store, code=1).stderr.startswith("error: ")


def test_a_sound_store_is_said_to_be_sound(run: Run, table: Path, store: Path) -> None:
    run("import", "csv", table, *WORDS, "--store", store)
    assert "is sound: 2 evaluations in 1 tables" in run("store", "verify", "--store", store).stdout


@pytest.mark.parametrize("command", [("info",), ("store", "verify"), ("query", "7", "--task", "nb201/cifar10")])
def test_a_damaged_store_is_one_line(run: Run, store: Path, command: tuple[str, ...]) -> None:
    store.mkdir()
    (store / "data.mdb").write_bytes(os.urandom(1 << 16))
    result = run(*command, "--store", store, code=1)
    assert result.stderr.startswith("error: ") and str(store) in result.stderr and "Traceback" not in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_cannot_be_written_is_one_line(run: Run, table: Path, store: Path) -> None:
    run("import", "csv", table, *WORDS, "--store", store)
    store.chmod(0o500)
    for file in store.iterdir():
        file.chmod(0o400)
    try:
        table.write_text(HEAD + "18,cifar10,12,0,50,,80\n")
        assert run("import", "csv", table, *WORDS, "--store", store, code=1).stderr.startswith("error: ")
        assert "is sound: 2" in run("store", "verify", "--store", store).stdout
    finally:
        store.chmod(0o700)
        shutil.rmtree(store)


def test_results_are_dropped_after_a_question(run: Run, table: Path, store: Path) -> None:
    run("import", "csv", table, *WORDS, "--store", store)
    result = run("store", "drop", str(KEY), "--store", store, code=1)  # nobody answers
    assert f"2 evaluations of 2 architectures go from {KEY}" in result.stdout
    assert Store(store).info(KEY).rows == 2
    done = run("store", "drop", str(KEY), "--architecture", "17", "--seed", "3", "--yes", "--store", store)
    assert done.stdout.splitlines()[-1] == "1 evaluations dropped."
    assert done.stderr == "The file keeps its size: later results use the room again.\n"
    assert run("store", "drop", str(KEY), "--architecture", ARCH, "--yes", "--store", store).stdout
    assert Store(store).info(KEY).rows == 0
    run("store", "drop", str(KEY), "--yes", "--store", store)
    assert KEY not in Store(store)


def test_a_mistyped_embedded_table_gets_near_names(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASGYM_EMBEDDED", "1")
    name = str(embedded_keys()[0])
    said = run("store", "drop", name[:-1], "--yes", "--store", store, code=1).stderr
    assert f"Did you mean {name!r}" in said
    assert "cannot be dropped" in run("store", "drop", name, "--yes", "--store", store, code=1).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nb201/cifar10/nb201-200"], "nb201/cifar10/nb201-12"),
        (["nb201/cifar10"], "SPACE/DATASET/RECIPE"),
        ([str(KEY), "--seed", "5"], "nothing to drop"),
        ([str(KEY), "--seed", "random"], "a seed to drop"),
        ([str(KEY), "--architecture", "99999"], "99999"),
        ([str(KEY), "--architecture", "|x|"], "|x|"),
    ],
)
def test_what_cannot_be_dropped_is_named(run: Run, table: Path, store: Path, words: list[str], said: str) -> None:
    run("import", "csv", table, *WORDS, "--store", store)
    result = run("store", "drop", *words, "--yes", "--store", store, code=1)
    assert result.stderr.startswith("error: ") and said.lower() in result.stderr.lower()
    assert Store(store).info(KEY).rows == 2
