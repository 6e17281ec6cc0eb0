"""TFRecord framing and its checksums."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.errors import InvalidArchive
from nasgym.importers import tfrecord
from nasgym.importers.tfrecord_crc import crc32c, masked_crc32c
from tests.importers.nb101_records import REAL, REAL_SUMS, framed


def by_bits(data):
    """CRC-32C, one bit at a time."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_known_checksums():
    assert crc32c([b"123456789"]).tolist() == [0xE3069283]
    assert crc32c([bytes(32), b"\xff" * 32]).tolist() == [0x8A9136AA, 0x62A8AB43]  # RFC 3720, B.4
    assert crc32c([]).tolist() == []
    assert masked_crc32c([REAL]).tolist() == [int.from_bytes(REAL_SUMS[1], "little")]


@given(st.lists(st.binary(min_size=4, max_size=60), min_size=1, max_size=8))
def test_checksums_of_many_lengths_at_once(strings):
    assert crc32c(strings).tolist() == [by_bits(data) for data in strings]


def test_checksums_of_more_strings_than_one_pass():
    strings = [str(number).encode() * 4 for number in range(5000)]
    assert crc32c(strings)[[0, 2047, 2048, 4999]].tolist() == [by_bits(strings[at]) for at in (0, 2047, 2048, 4999)]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(min_size=4, max_size=90), min_size=1, max_size=20), st.integers(1, 200))
def test_a_file_comes_out_as_it_went_in_whatever_the_blocks(tmp_path_factory, payloads, block):
    path = tmp_path_factory.mktemp("file") / "a.tfrecord"
    path.write_bytes(framed(payloads))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfrecord, "BLOCK", block)
        found = list(tfrecord.read_records(path))
    assert [data for part in found for data in part.data] == payloads
    offsets = [offset for part in found for offset in part.offsets]
    ends = [len(framed(payloads[:count])) for count in range(len(payloads) + 1)]
    assert offsets == ends[:-1] and found[-1].end == ends[-1]


THREE = [b"one record", b"another one", b"and a third"]
SECOND, THIRD, END = (len(framed(THREE[:count])) for count in (1, 2, 3))


def broken(kind):
    """The bytes of a file, what must be said of it, and how many records are whole before that."""
    good = framed(THREE)
    changed = bytearray(good)
    if kind == "length changed":
        changed[SECOND] ^= 1
        return bytes(changed), f"checksum of the length of the record at byte {SECOND} is wrong", 1
    if kind == "length sum changed":
        changed[SECOND + 8] ^= 1
        return bytes(changed), f"checksum of the length of the record at byte {SECOND} is wrong", 1
    if kind == "data changed":
        changed[SECOND + 12] ^= 0x80
        return bytes(changed), f"checksum of the data of the record at byte {SECOND} is wrong", 1
    if kind == "data sum changed":
        changed[THIRD - 1] ^= 1
        return bytes(changed), f"checksum of the data of the record at byte {SECOND} is wrong", 1
    if kind.startswith("length "):
        length = {"length 2^63": 1 << 63, "length 2^64-1": (1 << 64) - 1, "length 100000": 100_000, "length 0": 0}[kind]
        field = struct.pack("<Q", length)
        head = field + struct.pack("<I", int(masked_crc32c([field])[0]))
        return good + head, f"the record at byte {END} says that it has {length:,} bytes", 3
    if kind == "absurd length without a right sum":
        return good + b"\xff" * 12, f"checksum of the length of the record at byte {END} is wrong", 3
    if kind == "cut in data":
        return good[:-9], f"ends at byte {END - 9}, inside the record that begins at byte {THIRD}", 2
    if kind == "cut in head":
        return good + b"\4\0\0", f"inside the record that begins at byte {END}", 3
    if kind == "empty":
        return b"", "is empty", 0
    if kind == "short":
        return b"hello", "ends at byte 5, inside the record that begins at byte 0", 0
    if kind == "gzip":
        return b"\x1f\x8b\x08" + bytes(40), "gunzip", 0
    return b"hello, this is no such file", "no TFRecord file begins like this", 0


KINDS = ["length changed", "length sum changed", "data changed", "data sum changed", "length 2^63", "length 2^64-1"]
KINDS += ["length 100000", "length 0", "absurd length without a right sum", "cut in data", "cut in head", "empty"]
KINDS += ["short", "gzip", "foreign"]


@pytest.mark.parametrize("block", [7, 1 << 20])
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_file_is_refused_with_the_byte_after_what_is_whole(tmp_path, monkeypatch, kind, block):
    monkeypatch.setattr(tfrecord, "BLOCK", block)
    data, says, whole = broken(kind)
    path = tmp_path / "a.tfrecord"
    path.write_bytes(data)
    found = []
    with pytest.raises(InvalidArchive) as caught:
        for part in tfrecord.read_records(path):
            found += part.data
    assert says in str(caught.value)
    assert found == THREE[:whole]
    if kind != "gzip":
        assert ("what was imported stays" in str(caught.value)) == bool(whole)
        assert ("nothing was imported" in str(caught.value)) != bool(whole)


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(InvalidArchive, match="there is no file .*nothing: give the path of a .tfrecord"):
        list(tfrecord.read_records(tmp_path / "nothing"))
    with pytest.raises(InvalidArchive, match=f"{tmp_path} is a folder: give the path of a .tfrecord"):
        list(tfrecord.read_records(tmp_path))
