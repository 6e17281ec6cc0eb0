"""TFRecord files, read in blocks: framing and checksums, without TensorFlow.

A record is ``length u64 | masked crc32c of the length u32 | data | masked crc32c of the data u32``, little-endian. A
file is records one after the other. Every checksum is checked before anything else is believed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from nasgym.errors import InvalidArchive
from nasgym.importers.tfrecord_crc import masked_crc32c

__all__ = ["Records", "again", "read_records"]

BLOCK = 16 << 20
"""Bytes that are read at once."""
_HEAD, _TAIL = struct.Struct("<QI"), struct.Struct("<I")
_SHORTEST, _LONGEST = 4, 1 << 16
_FRAME = _HEAD.size + _TAIL.size
_GZIP = b"\x1f\x8b"


class Records(NamedTuple):
    """Some records that follow each other.

    Attributes:
        offsets: The byte at which each begins.
        data: Their data.
        end: The byte behind the last one.
    """

    offsets: list[int]
    data: list[bytes]
    end: int


def read_records(path: Path) -> Iterator[Records]:
    """Iterate over a file block by block. Records before a broken one are given before the error.

    Raises:
        InvalidArchive: A checksum is wrong, a length is absurd, or the file is cut off: with the byte where it is.
    """
    if not path.is_file():
        what = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
        raise InvalidArchive(f"{what}: give the path of a .tfrecord.")
    with path.open("rb") as file:
        yield from _blocks(file, path)


def again(at: int) -> str:
    """Say what to do about a file with a fault at a byte, and what of it was given before the fault."""
    left = "what was imported stays, and the import goes on" if at else "nothing was imported"
    return f"Download the file again; {left}."


def _blocks(file: BinaryIO, path: Path) -> Iterator[Records]:
    rest, start = b"", 0
    while True:
        block = file.read(BLOCK)
        data = rest + block
        if not block and not rest:
            if start == 0:
                raise InvalidArchive(f"{path} is empty. {again(0)}")
            return
        found, sums, fault = _split(data, start)
        wrong = _wrong_sum(found, sums)
        if wrong is not None:
            found, fault = Records(found.offsets[: wrong[0]], found.data[: wrong[0]], found.offsets[wrong[0]]), wrong[1]
        if found.data:
            yield found
        rest, start = data[found.end - start :], found.end
        if fault is not None:
            raise InvalidArchive(f"{path}: {_named(fault, start, rest)}")
        if not block:
            if rest:
                raise InvalidArchive(
                    f"{path}: the file ends at byte {start + len(rest):,}, inside the record that begins at byte "
                    f"{start:,}: it is cut off. {again(start)}"
                )
            return


def _split(data: bytes, start: int) -> tuple[Records, list[tuple[int, int]], str | None]:
    """Take the whole records at the beginning; return them, their two checksums, and what is wrong behind them."""
    offsets, parts, sums, at, fault = [], [], [], 0, None
    while at + _HEAD.size <= len(data):
        length, head_sum = _HEAD.unpack_from(data, at)
        if not _SHORTEST <= length <= _LONGEST:
            fault = _length_fault(data[at : at + 8], length, head_sum, start + at)
            break
        end = at + _FRAME + length
        if end > len(data):
            break
        body = data[at + _HEAD.size : end - _TAIL.size]
        offsets.append(start + at)
        parts.append(body)
        sums.append((head_sum, _TAIL.unpack_from(data, end - _TAIL.size)[0]))
        at = end
    return Records(offsets, parts, start + at), sums, fault


def _length_fault(field: bytes, length: int, head_sum: int, offset: int) -> str:
    where = f"the record at byte {offset:,}"
    if int(masked_crc32c([field])[0]) != head_sum:
        return f"the checksum of the length of {where} is wrong (crc32c {head_sum:#010x}). {again(offset)}"
    bounds = f"records of such files have {_SHORTEST} to {_LONGEST:,}"
    return f"{where} says that it has {length:,} bytes; {bounds}. {again(offset)}"


def _wrong_sum(found: Records, sums: list[tuple[int, int]]) -> tuple[int, str] | None:
    """Return the first record of which a checksum is wrong, and what to say of it."""
    if not found.data:
        return None
    given = np.array(sums, dtype=np.uint32)
    heads = masked_crc32c([len(data).to_bytes(8, "little") for data in found.data])
    wrong = np.stack([heads, masked_crc32c(found.data)], axis=1) != given
    if not wrong.any():
        return None
    at = int(np.flatnonzero(wrong.any(axis=1))[0])
    what, value = ("length", given[at, 0]) if wrong[at, 0] else ("data", given[at, 1])
    return at, (
        f"the checksum of the {what} of the record at byte {found.offsets[at]:,} is wrong (crc32c {value:#010x}): "
        f"its bytes are not what was written. {again(found.offsets[at])}"
    )


def _named(fault: str, start: int, rest: bytes) -> str:
    """Say of a file whose first record is wrong what else it may be."""
    if start:
        return fault
    if rest.startswith(_GZIP):
        return "this is a file packed with gzip: unpack it first (gunzip)."
    return f"no TFRecord file begins like this: {fault}"
