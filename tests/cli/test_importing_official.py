"""`nasgym import nats-tss` and its siblings."""

import pytest
from typer.testing import CliRunner

from nasgym.cli import app
from nasgym.store import Store, TableKey
from tests.importers import official_archives as archives


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    ("command", "write"),
    [
        ("nats-tss", lambda path: archives.folder(path, "nb201", [3, 4], hps=("12",))),
        ("nats-sss", lambda path: archives.folder(path, "nats-sss", [3, 4], hps=("01",))),
        ("nas-bench-201", lambda path: archives.legacy(path, archives.old_content([3, 4]))),
    ],
)
def test_an_import_says_what_it_did(tmp_path, command, write):
    path = write(tmp_path / "archive")
    done = run("import", command, path, "--store", tmp_path / "store", "--workers", 0)
    assert done.exit_code == 0, done.output
    assert "2 of " in done.output and "architectures imported" in done.output
    space = "nats-sss" if command == "nats-sss" else "nb201"
    recipe = "nats-sss-01" if command == "nats-sss" else "nb201-12"
    assert f"{space}/cifar10-full/{recipe}" in done.output
    assert Store(tmp_path / "store").seeds(TableKey(space, "cifar10", recipe), 3)
    again = run("import", command, path, "--store", tmp_path / "store", "--workers", 0)
    assert "2 were there already" in again.output


def test_a_wrong_file_is_one_line_and_exit_code_1(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"hello")
    done = run("import", "nas-bench-201", tmp_path / "x.pth", "--store", tmp_path / "store")
    assert done.exit_code == 1 and "no official file" in done.output and "ownload" in done.output
