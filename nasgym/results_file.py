"""Results in one portable file: written where there is no store, merged into one later. numpy only.

The file is ``magic "NASGYMRF" | version u32`` and then frames ``kind u8 | length u32 | crc32 u32 | payload``,
little-endian. A frame ``T`` names the table (JSON, `TableMeta`) to which the following frames ``R`` (one evaluation
each, `nasgym.results.encode`) belong. A file can be appended to, and one that was cut off gives all its whole frames.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from nasgym.errors import InvalidSetting, StoreDamaged, StoreError, StoreFull, StoreSchemaError
from nasgym.results import Evaluation, TableKey, decode, encode
from nasgym.spaces import get_space, space_names

__all__ = ["LARGEST_TABLE", "ResultsWriter", "Row", "TableMeta", "read_content", "read_results", "write_results"]

FILE_VERSION = 1
_MAGIC = b"NASGYMRF"
_HEAD = struct.Struct("<8sI")
_FRAME = struct.Struct("<cII")
_TABLE, _RESULT = b"T", b"R"
_MAX_FRAME = 256 << 20  # bytes; a frame that claims more is damaged
LARGEST_TABLE = 1 << 27
"""Architectures in a table of a space that nasgym does not know: a column of them is a gigabyte for each seed."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableMeta:
    """What a table was made with.

    Attributes:
        key: Its name.
        size: Architectures in the search space, or fewer; an index is below it. At most `LARGEST_TABLE` in a space of
            one's own.
        recipe: The recipe's definition, where known; a table holds results of one definition only.
        fingerprint: sha256 of the data set, where known; likewise.
        created: When the table was made, ISO 8601.
        costs: The seconds that its clock charges, as plain JSON values (`nasgym.costs.CostModel`), where known.
        shares_equal: Whether one training stands for all architectures of its class of equal networks.
    """

    key: TableKey
    size: int
    recipe: Mapping[str, Any] | None = None
    fingerprint: str | None = None
    created: str = ""
    costs: Mapping[str, Any] | None = None
    shares_equal: bool = False

    def __post_init__(self) -> None:
        """Raise `InvalidSetting` for a size that is below 1, or so large that no column of it could be made."""
        if not isinstance(self.size, int) or self.size < 1:
            raise InvalidSetting(f"a table has at least one architecture; got the size {self.size!r} for {self.key}.")
        largest = get_space(self.key.space).size if self.key.space in space_names(unlisted=True) else LARGEST_TABLE
        if self.size > largest:
            raise InvalidSetting(
                f"a table of {self.key.space} has at most {largest:,} architectures; got the size {self.size:,} "
                f"for {self.key}."
            )

    def encode(self) -> bytes:
        """Return the record's bytes, JSON; raises `InvalidSetting` for what JSON cannot hold."""
        try:
            return json.dumps(
                {
                    "key": [self.key.space, self.key.dataset, self.key.recipe],
                    "size": self.size,
                    "recipe": None if self.recipe is None else dict(self.recipe),
                    "fingerprint": self.fingerprint,
                    "created": self.created,
                    "costs": None if self.costs is None else dict(self.costs),
                    "shares_equal": self.shares_equal,
                },
                ensure_ascii=False,
                sort_keys=True,
            ).encode()
        except (TypeError, ValueError) as error:
            raise InvalidSetting(f"recipe and costs of {self.key} must be plain JSON values ({error}).") from error

    @classmethod
    def decode(cls, data: bytes) -> TableMeta:
        """Return the record; fields that older versions did not write are as by default. Raises `StoreDamaged`."""
        try:
            record = json.loads(bytes(data))
            space, dataset, recipe = record["key"]
            costs, shares_equal = record.get("costs"), record.get("shares_equal", False)
            if not isinstance(costs, dict | None) or not isinstance(shares_equal, bool):
                raise TypeError(f"costs {costs!r}, shares_equal {shares_equal!r}")
            return cls(
                TableKey(space, dataset, recipe),
                record["size"],
                record["recipe"],
                record["fingerprint"],
                record["created"],
                costs,
                shares_equal,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreDamaged(f"the description of a table cannot be read ({error}).") from error


class Row(NamedTuple):
    """One evaluation and the table it belongs to."""

    table: TableMeta
    evaluation: Evaluation


class ResultsWriter:
    """Writes a file of results, as a context manager.

    Args:
        path: The file.
        append: Continue an existing file, after its last whole frame; one writer at a time may do so. What stands
            behind a damaged frame goes into ``NAME.damaged`` beside it. Otherwise it is written anew, beside the old
            file, whose place it takes when it is closed. After an error the old file stands as it was.

    Raises:
        StoreDamaged: The file to append to is not a file of results.
        StoreError: Another process appends to it.
    """

    def __init__(self, path: Path | str, *, append: bool = False) -> None:
        self.path = Path(path)
        self._table: TableMeta | None = None
        self._beside: Path | None = None  # where it is written until it is whole
        with _named_errors(self.path):
            target = self.path.resolve()  # what a link points to is replaced, not the link
            ordinary = target.is_file() or not target.exists()  # a pipe or a device is written itself
            if append and ordinary:
                self._file: BinaryIO = _open_alone(target)
                return
            if ordinary:
                self._beside = target.with_name(f".{target.name}.{os.getpid()}.part")
            self._file = (self._beside or target).open("wb")
            self._file.write(_HEAD.pack(_MAGIC, FILE_VERSION))

    def write(self, table: TableMeta, evaluations: Iterable[Evaluation]) -> int:
        """Write evaluations of one table and return how many; when appending they are on the disk when this returns."""
        count = 0
        if table != self._table:
            self._frame(_TABLE, table.encode())
            self._table = table
        for evaluation in evaluations:
            self._frame(_RESULT, encode(evaluation))
            count += 1
        with _named_errors(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
        return count

    def close(self) -> None:
        """Close the file, which now takes the place of an old one; calling it twice is allowed."""
        try:
            with _named_errors(self.path):
                if self._beside is not None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
                self._file.close()
                if self._beside is not None:
                    self._beside.replace(self.path.resolve())
                    self._beside = None
        except StoreError:
            self._discard()
            raise

    def __enter__(self) -> ResultsWriter:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; after an error an old file is left as it was."""
        if error is None:
            self.close()
        else:
            self._discard()

    def _discard(self) -> None:
        """Close the file and drop what was written beside the old one; the first error is the one to tell."""
        with suppress(OSError):
            self._file.close()
        if self._beside is not None:
            with suppress(OSError):
                self._beside.unlink(missing_ok=True)
            self._beside = None

    def _frame(self, kind: bytes, payload: bytes) -> None:
        with _named_errors(self.path):
            self._file.write(_FRAME.pack(kind, len(payload), zlib.crc32(payload, zlib.crc32(kind))))
            self._file.write(payload)


def write_results(
    path: Path | str, table: TableMeta, evaluations: Iterable[Evaluation], *, append: bool = False
) -> int:
    """Write (or append) evaluations of one table to a file and return how many."""
    with ResultsWriter(path, append=append) as writer:
        return writer.write(table, evaluations)


def read_results(path: Path | str) -> Iterator[Row]:
    """Iterate over the rows of a file.

    Raises:
        StoreDamaged: At the first frame that is cut off or not as it was written, after all rows before it were
            given; the message names its offset in bytes.
        StoreSchemaError: The file was written by a newer version.
    """
    for table, evaluation in read_content(path):
        if evaluation is not None:
            yield Row(table, evaluation)


def read_content(path: Path | str) -> Iterator[tuple[TableMeta, Evaluation | None]]:
    """Iterate over a file as `read_results` does; every table comes once with None before its rows, if it has any."""
    table: TableMeta | None = None
    for offset, kind, payload in _frames(Path(path)):
        if kind == _TABLE:
            table = TableMeta.decode(payload)
            yield table, None
        elif table is None:
            raise StoreDamaged(f"{path} has a result at byte {offset} before any table.")
        else:
            yield table, decode(payload)


def _frames(path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """Iterate over ``(offset behind the frame, kind, payload)``."""
    with _named_errors(path), path.open("rb") as file:
        _check_head(path, file.read(_HEAD.size))
        offset = _HEAD.size
        while head := file.read(_FRAME.size):
            cut_off = f"{path} is cut off in the frame at byte {offset}: the rows before it are whole."
            if len(head) < _FRAME.size:
                raise StoreDamaged(cut_off)
            kind, length, checksum = _FRAME.unpack(head)
            if kind not in (_TABLE, _RESULT) or length > _MAX_FRAME:
                raise StoreDamaged(f"{path} has no frame at byte {offset}: the rows before it are whole.")
            payload = file.read(length)
            if len(payload) < length:
                raise StoreDamaged(cut_off)
            if zlib.crc32(payload, zlib.crc32(kind)) != checksum:
                raise StoreDamaged(
                    f"the checksum of the frame at byte {offset} of {path} is wrong: the rows before it are whole."
                )
            offset += _FRAME.size + length
            yield offset, kind, payload


def _check_head(path: Path, head: bytes) -> None:
    if len(head) < _HEAD.size or not head.startswith(_MAGIC):
        raise StoreDamaged(f"{path} is not a file of results: it starts with {head[:8]!r} instead of {_MAGIC!r}.")
    version = _HEAD.unpack(head)[1]
    if version > FILE_VERSION:
        raise StoreSchemaError(f"{path} has version {version}, this nasgym reads up to {FILE_VERSION}: upgrade it.")


def _open_alone(path: Path) -> BinaryIO:
    """Open a file for appending, at the end of what is whole in it, while nobody else does."""
    file: BinaryIO = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")
    try:
        _lock(file, path)
        if not os.fstat(file.fileno()).st_size:
            file.write(_HEAD.pack(_MAGIC, FILE_VERSION))
            file.flush()
        end = _end_of_whole_frames(path)
        file.seek(end)
        _set_aside(path, end, file.read())
        file.truncate(end)
        file.seek(end)
    except BaseException:
        file.close()
        raise
    return file


def _set_aside(path: Path, end: int, rest: bytes) -> None:
    """Keep what is to be cut away behind ``end``, unless it is one frame whose writing was interrupted."""
    _, length, _ = _FRAME.unpack(rest[: _FRAME.size].ljust(_FRAME.size, b"\0"))
    interrupted = len(rest) < _FRAME.size or len(rest) - _FRAME.size < length <= _MAX_FRAME
    if not interrupted:
        aside = path.with_name(f"{path.name}.damaged")
        with aside.open("ab") as file:
            file.write(rest)
            file.flush()
            os.fsync(file.fileno())
        _log.warning(
            "%s is damaged at byte %d; the %d bytes from there on are kept in %s.", path, end, len(rest), aside
        )


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other writers away until the file is closed, where the system and the disk have such locks."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(
            f"another process writes the file of results {path}: give each its own file and merge them later."
        ) from error
    except OSError:
        return


def _end_of_whole_frames(path: Path) -> int:
    end = _HEAD.size
    frames = _frames(path)
    try:
        for offset, _, _ in frames:
            end = offset
    except StoreDamaged:
        with path.open("rb") as file:
            _check_head(path, file.read(_HEAD.size))  # not a file of results at all: leave it alone
    return end


class _named_errors:  # noqa: N801 - reads as a statement
    """Turn the system's errors on a file into `StoreError`, with the path and what to do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, StoreError):
            known = StoreFull if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT) else StoreError
            raise known(
                f"the file of results {self._path} cannot be used ({error}): check the path and the room on the disk."
            ) from error
