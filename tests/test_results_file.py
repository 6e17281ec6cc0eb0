import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasgym.errors import InvalidSetting, StoreDamaged, StoreError, StoreSchemaError
from nasgym.results import Evaluation, Series, TableKey
from nasgym.results_file import LARGEST_TABLE, ResultsWriter, Row, TableMeta, read_results, write_results
from nasgym.store import Store

META = TableMeta(TableKey("nb201", "cifar10", "nb201-12"), 15_625, {"epochs": 12}, "abc", "2026-01-01T00:00:00+00:00")
OTHER = TableMeta(TableKey("nb201", "imagefolder:/a/b", "nb201-200"), 15_625)


def evaluation(index: int) -> Evaluation:
    return Evaluation(index, 3, 12, {"valid_accuracy": Series.of([1.5, index / 7], [1, 12], "percent")})


def rows(path: Path) -> tuple[list[Row], str]:
    """Return all rows that a file gives, and what it says at the end."""
    found = []
    try:
        for row in read_results(path):
            found.append(row)
    except StoreDamaged as error:
        return found, str(error)
    return found, ""


def test_what_was_written_is_read(tmp_path: Path) -> None:
    with ResultsWriter(tmp_path / "file") as writer:
        assert writer.write(META, map(evaluation, range(3))) == 3
        assert writer.write(OTHER, [evaluation(9)]) == 1
        assert writer.write(META, []) == 0
    expected = [Row(META, evaluation(i)) for i in range(3)] + [Row(OTHER, evaluation(9))]
    assert rows(tmp_path / "file") == (expected, "")


def test_one_writer_at_a_time_appends(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    file = tmp_path / "file"
    with ResultsWriter(file, append=True) as writer:
        writer.write(META, [evaluation(0)])
        with file.open("ab") as cut_off:
            cut_off.write(b"R")  # the first writer is in the middle of a frame
        size = file.stat().st_size
        with pytest.raises(StoreError, match="another process writes"):
            ResultsWriter(file, append=True)
        assert file.stat().st_size == size, "the second took nothing away"
    write_results(file, META, [evaluation(1)], append=True)
    assert [row.evaluation.index for row in rows(file)[0]] == [0, 1]


def test_what_stands_behind_a_damaged_frame_is_set_aside(tmp_path: Path) -> None:
    file, aside = tmp_path / "file", tmp_path / "file.damaged"
    write_results(file, META, [evaluation(0)])
    end = file.stat().st_size
    write_results(file, META, [evaluation(1), evaluation(2)], append=True)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])  # interrupted
    write_results(file, META, [evaluation(2)], append=True)
    assert not aside.exists()
    damaged = bytearray(file.read_bytes())
    damaged[end + 20] ^= 1
    file.write_bytes(damaged)
    write_results(file, META, [evaluation(3)], append=True)
    assert [row.evaluation.index for row in rows(file)[0]] == [0, 3]
    assert aside.read_bytes() == damaged[end:]


def test_appending_goes_on_after_the_last_whole_row(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_results(file, META, [evaluation(0), evaluation(1)], append=True)
    file.write_bytes(file.read_bytes()[:-3])
    write_results(file, META, [evaluation(2)], append=True)
    write_results(file, META, [evaluation(3)], append=True)
    assert rows(file) == ([Row(META, evaluation(i)) for i in (0, 2, 3)], "")
    write_results(file, META, [evaluation(4)])
    assert rows(file) == ([Row(META, evaluation(4))], "")


def test_a_file_written_anew_takes_the_old_ones_place_when_it_is_whole(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    write_results(file, META, [evaluation(0)])
    link.symlink_to(file)
    with pytest.raises(KeyError), ResultsWriter(link) as writer:
        writer.write(META, [evaluation(1)])
        raise KeyError
    assert rows(file) == ([Row(META, evaluation(0))], "")
    with ResultsWriter(link) as writer:
        writer.write(META, [evaluation(2)])
        assert rows(file) == ([Row(META, evaluation(0))], "")
    assert rows(file) == ([Row(META, evaluation(2))], "") and link.is_symlink()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "link"]


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)  # it waits for the disk
def test_a_cut_or_changed_file_gives_what_stands_before(tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "file"
    write_results(file, META, map(evaluation, range(5)))
    whole = file.read_bytes()
    at = data.draw(st.integers(12, len(whole) - 1))
    file.write_bytes(whole[:at])
    found, end = rows(file)
    assert found == [Row(META, evaluation(i)) for i in range(len(found))]
    assert (f"at byte {_frame_before(whole, at)}" in end) == (_frame_before(whole, at) != at)
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    file.write_bytes(changed)
    found, end = rows(file)
    assert found == [Row(META, evaluation(i)) for i in range(len(found))]
    assert f"byte {_frame_before(whole, at)}" in end
    assert len(found) < 5


def _frame_before(data: bytes, place: int) -> int:
    """Return where the frame that holds a byte begins."""
    start = 12
    while True:
        end = start + 9 + int.from_bytes(data[start + 1 : start + 5], "little")
        if place < end:
            return start
        start = end


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    for content in (b"architecture,seed\n", b"NASGYM", b"\0" * 100):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(StoreDamaged, match="not a file of results"):
            list(read_results(tmp_path / "file"))
        with pytest.raises(StoreDamaged, match="not a file of results"):
            write_results(tmp_path / "file", META, [evaluation(1)], append=True)
        assert (tmp_path / "file").read_bytes() == content


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_results(file, META, [evaluation(1)])
    newer = file.read_bytes()[:8] + b"\x02" + file.read_bytes()[9:]
    file.write_bytes(newer)
    with pytest.raises(StoreSchemaError, match="has version 2, this nasgym reads up to 1: upgrade it"):
        list(read_results(file))
    with pytest.raises(StoreSchemaError):
        write_results(file, META, [evaluation(2)], append=True)
    assert file.read_bytes() == newer


def test_paths_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"file of results .*/nothing cannot be used"):
        list(read_results(tmp_path / "nothing"))
    with pytest.raises(StoreError, match="cannot be used"):
        write_results(tmp_path, META, [])


def test_an_error_of_the_rows_given_is_not_taken_for_the_files(tmp_path: Path) -> None:
    def training() -> Iterator[Evaluation]:
        yield evaluation(1)
        raise FileNotFoundError("images")

    with pytest.raises(FileNotFoundError, match="images"), ResultsWriter(tmp_path / "file", append=True) as writer:
        writer.write(META, training())
    assert rows(tmp_path / "file") == ([Row(META, evaluation(1))], "")


@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_a_table_has_a_size(size: int) -> None:
    with pytest.raises(InvalidSetting, match=f"at least one architecture; got the size {size}"):
        TableMeta(META.key, size)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"key": ["a"], "size": 1}', b'{"key": 1}'])
def test_a_damaged_description(data: bytes) -> None:
    with pytest.raises(StoreDamaged, match="description of a table cannot be read"):
        TableMeta.decode(data)


ALONE = """
import sys
import zlib
for name in ("lmdb", "gymnasium", "platformdirs", "torch"):
    sys.modules[name] = None
from nasgym.results import Evaluation, Series, TableKey
from nasgym.results_file import TableMeta, read_results, write_results
from nasgym.store import Store
meta = TableMeta(TableKey("nb201", "cifar10", "nb201-12"), 15625)
write_results(sys.argv[1], meta, [Evaluation(1, 0, 12, {"valid_accuracy": Series.of(0.5, 12, "fraction")})])
assert len(list(read_results(sys.argv[1]))) == 1
"""


def test_it_needs_numpy_alone(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", ALONE, str(tmp_path / "file")], check=True, cwd=root)


@pytest.mark.parametrize("size", [15_626, 10**13])
def test_a_size_that_no_table_can_have_is_refused(tmp_path: Path, size: int) -> None:
    """A file that claims it is damaged, before anybody makes room for so many architectures."""
    with pytest.raises(InvalidSetting, match=f"nb201 has at most 15,625 architectures; got the size {size:,}"):
        TableMeta(META.key, size)
    file = tmp_path / "file"
    write_results(file, META, [evaluation(3)])
    claimed = META.encode().replace(b'"size": 15625', b'"size": %d' % size)
    head, frame = struct.Struct("<8sI"), struct.Struct("<cII")
    rest = file.read_bytes()[head.size + frame.size + len(META.encode()) :]
    checksum = zlib.crc32(claimed, zlib.crc32(b"T"))
    file.write_bytes(head.pack(b"NASGYMRF", 1) + frame.pack(b"T", len(claimed), checksum) + claimed + rest)
    with Store(tmp_path / "store") as store:
        with pytest.raises(StoreDamaged, match="at most 15,625 architectures"):
            store.merge(file)
        assert store.keys() == []


def test_a_space_of_ones_own_has_a_bound_too() -> None:
    mine = TableKey("mine", "cifar10", "short")
    assert TableMeta(mine, LARGEST_TABLE).size == LARGEST_TABLE
    with pytest.raises(InvalidSetting, match="mine has at most 134,217,728 architectures"):
        TableMeta(mine, LARGEST_TABLE + 1)
