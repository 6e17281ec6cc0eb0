"""The page tree of an LMDB file, walked without lmdb: a damaged file must give a sentence, not kill the process.

LMDB reads its file through a memory map and trusts it, so a page that is missing or points astray ends the process with
a signal. This walk follows the published layout of LMDB 0.9 on 64-bit little-endian machines and looks at every page
before LMDB does; on other machines it finds nothing to say.
"""

from __future__ import annotations

import mmap
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["page_problem"]

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_PAGE = struct.Struct("<QHHHH")  # page number, padding, flags, end of the pointers, start of the nodes
_NODE = struct.Struct("<HHHH")  # low and high half of a size or page number, flags, size of the key
_META = struct.Struct("<II16x")  # magic, version, address and size of the map
_DB = struct.Struct("<IHHQQQQQ")  # page size, flags, depth, branches, leaves, overflow pages, entries, root
_END = struct.Struct("<QQ")  # last page, transaction
_RUN = struct.Struct("<I")
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE = 1, 2, 4, 8
_BIG = 1  # flag of a node whose data lies on overflow pages
_NO_PAGE = 0xFFFFFFFFFFFFFFFF
_DEEPEST = 32
_TRIES = 5


class _Broken(Exception):
    """What is wrong, one sentence."""


@dataclass(frozen=True)
class _Meta:
    transaction: int
    page_size: int
    last_page: int
    roots: tuple[int, int]


def page_problem(file: Path) -> str | None:
    """Return what is wrong with the pages of an LMDB file, or None.

    A file that another process is writing changes while it is read: a fault counts when no commit came in between.
    """
    if sys.byteorder != "little" or sys.maxsize < 2**32:
        return None
    problem = None
    for _ in range(_TRIES):
        before = _transaction(file)
        problem = _walk(file)
        if problem is None or _transaction(file) == before:
            break
    return problem


def _transaction(file: Path) -> int:
    try:
        with file.open("rb") as opened:
            return _newest(opened.read(1 << 17)).transaction
    except (_Broken, struct.error):
        return -1


def _walk(file: Path) -> str | None:
    with file.open("rb") as opened:
        try:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                meta = _newest(data)
                for root in meta.roots:
                    if root != _NO_PAGE:
                        _check_tree(data, meta, root)
        except _Broken as error:
            return str(error)
        except (struct.error, IndexError):
            return "a page is cut off"
        except ValueError:
            return "the file is empty"
    return None


def _newest(data: mmap.mmap | bytes) -> _Meta:
    first = _meta(data, 0)
    second = _meta(data, first.page_size)
    return max(first, second, key=lambda meta: meta.transaction)


def _meta(data: mmap.mmap | bytes, at: int) -> _Meta:
    magic, version = _META.unpack_from(data, at + _PAGE.size)
    if (magic, version) != (_MAGIC, _VERSION):
        raise _Broken("the first pages are not LMDB's")
    at += _PAGE.size + _META.size
    free, main = _DB.unpack_from(data, at), _DB.unpack_from(data, at + _DB.size)
    last, transaction = _END.unpack_from(data, at + 2 * _DB.size)
    size = free[0]
    if size not in [1 << power for power in range(9, 17)]:
        raise _Broken(f"the page size is {size}")
    return _Meta(transaction, size, last, (free[-1], main[-1]))


def _check_tree(data: mmap.mmap, meta: _Meta, root: int) -> None:
    """Visit every page under ``root``; each may be reached once."""
    seen: set[int] = set()
    level = [root]
    for _ in range(_DEEPEST):
        below: list[int] = []
        for page in level:
            if page in seen:
                raise _Broken(f"page {page} is reached twice")
            seen.add(page)
            below += _children(data, meta, page)
        if not below:
            return
        level = below
    raise _Broken(f"the tree is deeper than {_DEEPEST} pages")


def _children(data: mmap.mmap, meta: _Meta, page: int) -> list[int]:
    """Check one page of a tree and return the pages that it points to."""
    at = _page_start(data, meta, page)
    number, _, flags, lower, upper = _PAGE.unpack_from(data, at)
    if number != page or flags not in (_BRANCH, _LEAF):
        raise _Broken(f"page {page} says it is page {number} with the flags {flags:#x}")
    if not _PAGE.size <= lower <= upper <= meta.page_size or lower % 2:
        raise _Broken(f"page {page} has its parts at {lower} and {upper} of {meta.page_size} bytes")
    pointers = struct.unpack_from(f"<{(lower - _PAGE.size) // 2}H", data, at + _PAGE.size)
    if flags == _BRANCH and len(pointers) < 2:
        raise _Broken(f"page {page} is a branch with {len(pointers)} children")
    children = []
    for pointer in pointers:
        if not lower <= pointer <= meta.page_size - _NODE.size or pointer % 2:
            raise _Broken(f"page {page} has a node at {pointer} of {meta.page_size} bytes")
        low, high, node_flags, key_size = _NODE.unpack_from(data, at + pointer)
        end = pointer + _NODE.size + key_size
        if flags == _BRANCH:
            children.append(low | high << 16 | node_flags << 32)
        elif node_flags == _BIG:
            _check_run(data, meta, struct.unpack_from("<Q", data, at + end)[0], low | high << 16)
            end += 8
        elif node_flags:
            raise _Broken(f"page {page} has a node with the flags {node_flags:#x}")
        else:
            end += low | high << 16
        if end > meta.page_size:
            raise _Broken(f"page {page} has a node that ends at {end} of {meta.page_size} bytes")
    return children


def _check_run(data: mmap.mmap, meta: _Meta, page: int, size: int) -> None:
    """Check the overflow pages that hold one large value."""
    at = _page_start(data, meta, page)
    number, _, flags, _, _ = _PAGE.unpack_from(data, at)
    (pages,) = _RUN.unpack_from(data, at + 12)
    if number != page or flags != _OVERFLOW or pages * meta.page_size < _PAGE.size + size:
        raise _Broken(f"page {page} does not hold the {size} bytes of a large value")
    _page_start(data, meta, page + pages - 1)


def _page_start(data: mmap.mmap, meta: _Meta, page: int) -> int:
    if not 2 <= page <= meta.last_page:
        raise _Broken(f"there is no page {page}: pages 2 to {meta.last_page} are used")
    if (page + 1) * meta.page_size > len(data):
        raise _Broken(f"page {page} is behind the end of the file ({len(data)} bytes)")
    return page * meta.page_size
