"""What a store object holds: the way to its environment, who it is, and which tables it has seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from nasgym.errors import InvalidSetting, StoreError, StoreReadOnly
from nasgym.results import TableKey
from nasgym.results_file import TableMeta
from nasgym.store import claims, layout, tables
from nasgym.store.environment import MAP_SIZE, Environment, Transaction, acquire, release
from nasgym.store.location import default_path

__all__ = ["StoreHandle"]

T = TypeVar("T")


class StoreHandle:
    """An LMDB directory that is opened on first use; `nasgym.store.Store` says the rest.

    Args:
        path: The directory; None: `default_path`.
        readonly: Refuse writes. Such a store must exist.
        map_size: Bytes of address space to begin with.

    Raises:
        InvalidSetting: ``map_size`` is too small.
        StoreError: A read-only store that does not exist.
    """

    def __init__(self, path: Path | str | None = None, *, readonly: bool = False, map_size: int = MAP_SIZE) -> None:
        if map_size < 1 << 16:
            raise InvalidSetting(f"map_size is at least {1 << 16} bytes; got {map_size}.")
        self.path = default_path() if path is None else Path(path)
        self.readonly = readonly
        self._map_size = map_size
        self._environment: Environment | None = None
        self._numbers: dict[TableKey, tuple[int, TableMeta]] = {}
        self._owner: claims.Owner | None = None
        if readonly and not (self.path / "data.mdb").is_file():
            raise StoreError(f"there is no store at {self.path}: check the path, or import results into it first.")

    def close(self) -> None:
        """Give the environment back; the next use opens it again."""
        environment, self._environment = self._environment, None
        if environment is not None:
            release(environment)

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    def __del__(self) -> None:
        """Close the store."""
        if getattr(self, "_environment", None) is not None:
            self.close()

    def __reduce__(self) -> tuple[Callable[..., StoreHandle], tuple[type[StoreHandle], Path, bool, int]]:
        """Pickle the path and the options, not the handle."""
        return _reopened, (type(self), self.path.absolute(), self.readonly, self._map_size)

    def __repr__(self) -> str:
        """Return the path and the mode."""
        return f"{type(self).__name__}({str(self.path)!r}{', readonly=True' if self.readonly else ''})"

    def _find(self, txn: Transaction, key: TableKey, remember: bool = False) -> tuple[int, TableMeta] | None:
        """Return a table's number and description.

        Committed ones are remembered while they exist: number and size never change, recipe and fingerprint may still
        become known.
        """
        found = self._numbers.get(key)
        if found is None or txn.get(layout.table_key(b"t", found[0])) is None:  # it may have been dropped since
            self._numbers.pop(key, None)
            found = tables.find(txn, key)
        if found is not None and remember:
            self._numbers[key] = found
        return found

    def _found(self, txn: Transaction, key: TableKey, remember: bool = False) -> tuple[int, TableMeta]:
        return self._find(txn, key, remember) or tables.existing(txn, key)

    def _read(self, work: Callable[[Transaction], T], buffers: bool = False) -> T:
        return self._open().read(work, buffers)

    def _write(self, work: Callable[[Transaction], T], expected_bytes: int = 0) -> T:
        if self.readonly:
            raise StoreReadOnly(f"the store {self.path} was opened for reading only: open it with readonly=False.")
        return self._open().write(work, expected_bytes)

    def _open(self) -> Environment:
        if self._environment is None:
            self._environment = acquire(self.path, not self.readonly, self._map_size)
        return self._environment

    def _own(self) -> claims.Owner:
        """Return who this store object is; another one after a fork."""
        if self._owner is None or self._owner.pid != os.getpid():
            self._owner = claims.Owner()
        return self._owner


def _reopened(kind: type[StoreHandle], path: Path, readonly: bool, map_size: int) -> StoreHandle:
    return kind(path, readonly=readonly, map_size=map_size)
