"""`nasgym import nasbench101`."""

from typer.testing import CliRunner

from nasgym.cli import app
from nasgym.importers.nasbench101 import TABLES
from nasgym.store import Store
from tests.importers import nb101_records as records


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_an_import_says_what_it_did(tmp_path):
    path = records.write(tmp_path / "nasbench_only108.tfrecord", [3, 4], epochs=(108,))
    done = run("import", "nasbench101", path, "--store", tmp_path / "store")
    assert done.exit_code == 0, done.output
    assert "nb101/cifar10/nb101-108" in done.output
    assert "6 of 1,270,872 trainings of 2 cells imported" in done.output.replace("\n", " ")
    assert Store(tmp_path / "store").seeds(TABLES[108], 3) == [0, 1, 2]
    assert "already" not in done.output
    again = run("import", "nasbench101", path, "--store", tmp_path / "store").output.replace("\n", " ")
    assert "; 6 were there already, and were read and checked again." in again


def test_a_broken_file_is_one_line_and_exit_code_1(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(records.framed([records.REAL, b"hello"]))
    done = run("import", "nasbench101", tmp_path / "a.tfrecord", "--store", tmp_path / "store")
    at = len(records.framed([records.REAL]))
    assert done.exit_code == 1
    assert f"the record at byte {at:,} is broken: it is no JSON text" in done.output
    assert Store(tmp_path / "store").seeds(TABLES[4], 0) == [0]
    assert "there is no file" in run("import", "nasbench101", tmp_path / "nothing").output
