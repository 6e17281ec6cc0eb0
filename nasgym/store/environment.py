"""The LMDB environment under a store: opening, growth, locks, forks, and lmdb's errors in nasgym's words.

This is the only file that imports lmdb, and it does so when a store is opened. LMDB forbids a process to open one path
twice, so all stores on a path share one `Environment`. Transactions are short: a reader copies out what it wants and
ends, because a long one would stop the file's pages from being used again.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from nasgym.errors import StoreDamaged, StoreError, StoreFull, StoreReadOnly, StoreSchemaError
from nasgym.store.gate import Gate
from nasgym.store.layout import META_KEY, SCHEMA, check_schema, schema_record
from nasgym.store.pages import page_problem

if TYPE_CHECKING:
    import lmdb

__all__ = ["MAP_SIZE", "Environment", "Transaction", "acquire", "release"]

MAP_SIZE = 64 << 20
"""Bytes of address space at first; it doubles whenever the store outgrows it."""
_MAX_READERS = 1024
_LOCK_BYTES = 17 << 12  # 64 for each reader and the head, in whole pages
_DATA, _LOCK = "data.mdb", "lock.mdb"
_UNWRITABLE = (errno.EACCES, errno.EROFS, errno.EPERM)
_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)  # LMDB reports a short write as EIO

T = TypeVar("T")
Transaction = Any
"""An `lmdb.Transaction`, or `_Nothing` where the store does not exist yet."""


class _Nothing:
    """What a transaction shows of a store that has not been written yet: no keys."""

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:
        return default

    def cursor(self) -> _Nothing:
        return self

    def set_range(self, key: bytes) -> bool:
        return False


class Environment:
    """One LMDB environment of this process, opened on first use.

    Args:
        path: The directory of the store.
        writable: Whether it may be opened for writing; where the disk forbids that it is opened for reading.
        map_size: Bytes of address space at first.
    """

    def __init__(self, path: Path, writable: bool, map_size: int = MAP_SIZE) -> None:
        self.path, self.writable, self.users = path, writable, 0
        self._map_size = map_size
        self._gate = Gate()
        self._writing = threading.Lock()
        self._opening = threading.Lock()
        self._env: lmdb.Environment | None = None
        self._env_writable = False
        self._obstacle: int | None = None  # the system's error number that kept it from being opened for writing

    @property
    def exists(self) -> bool:
        """Whether there is a store on the disk."""
        return (self.path / _DATA).is_file()

    @property
    def map_size(self) -> int:
        """Bytes of address space now, 0 before the first use."""
        return int(self._env.info()["map_size"]) if self._env is not None else 0

    def read(self, work: Callable[[Transaction], T], buffers: bool = False) -> T:
        """Return ``work(transaction)`` on one consistent state; the transaction ends before this returns."""
        begin = _begin_buffers if buffers else _begin
        while True:
            if self._env is None and not self._open_for_reading():
                return work(_Nothing())
            with self._lmdb_errors() as lmdb:
                try:
                    with self._gate.shared():
                        if self._env is not None:
                            with begin(self._env) as txn:
                                return work(txn)
                except lmdb.MapResizedError:
                    self._adopt_map_size()

    def write(self, work: Callable[[Transaction], T], expected_bytes: int = 0) -> T:
        """Return ``work(transaction)`` when what it wrote is safe on the disk; on any exception nothing is written.

        Args:
            work: Called again from the start when the map had to grow, so it must not consume anything.
            expected_bytes: How much it will write, where known, to grow once and not by doubling.
        """
        with self._writing:
            self._open_for_writing()
            if expected_bytes:
                self._make_room(expected_bytes)
            while True:
                with self._lmdb_errors() as lmdb:
                    try:
                        with self._gate.shared():
                            env = self._env
                            assert env is not None  # only this method and close() change it, under self._writing
                            with env.begin(write=True) as txn:
                                return work(txn)
                    except lmdb.MapFullError:
                        self._grow(2 * self.map_size)
                    except lmdb.MapResizedError:
                        self._adopt_map_size()
                    except lmdb.Error:
                        with self._gate.exclusive():
                            self._close()  # LMDB refuses everything after a failed write of its first pages
                        raise

    def close(self) -> None:
        """Close the environment; the next use opens it again."""
        with self._writing, self._opening, self._gate.exclusive():
            self._close()

    def _open_for_reading(self) -> bool:
        with self._opening:
            if self._env is None:
                if self.path.exists() and not self.path.is_dir():
                    raise StoreDamaged(f"{self.path} is a file, and a store is a directory: check the path.")
                if not self.exists:
                    return False
                self._open(writable=self.writable)
            return self._env is not None

    def _open_for_writing(self) -> None:
        if not self.writable:
            raise StoreReadOnly(f"the store {self.path} was opened for reading only: open it with readonly=False.")
        with self._opening:
            if self._env is None or not self._env_writable:
                with self._gate.exclusive():
                    self._close()
                    self._create_directory()
                    self._open(writable=True)
            if not self._env_writable and self._obstacle in _NO_ROOM:
                raise StoreFull(f"the disk has no room for the store {self.path}: free some space, then repeat.")
            if not self._env_writable:
                raise StoreReadOnly(
                    f"the store {self.path} cannot be written by this user: change its permissions, "
                    "or set NASGYM_HOME to a directory of yours."
                )

    def _create_directory(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            named = {_UNWRITABLE: StoreReadOnly, _NO_ROOM: StoreFull}
            known = next((named[codes] for codes in named if error.errno in codes), StoreError)
            raise known(
                f"the store's directory {self.path} cannot be made ({error}): set NASGYM_HOME to a directory of yours."
            ) from error

    def _open(self, writable: bool) -> None:
        with self._lmdb_errors() as lmdb:
            try:
                if writable:
                    self._allocate_lock()
                self._env = self._lmdb_open(writable)
                self._env_writable = writable
            except (OSError, lmdb.Error) as error:
                self._obstacle = getattr(error, "code", getattr(error, "errno", None))
                if not writable or self._obstacle not in (*_UNWRITABLE, *_NO_ROOM):
                    raise
                self._env_writable = False
                if self.exists:  # what can be read shall be read
                    self._env = self._lmdb_open(False)
            try:
                if self._env is not None:
                    self._check()
            except BaseException:
                self._close()
                raise

    def _lmdb_open(self, writable: bool) -> lmdb.Environment:
        import lmdb

        options: dict[str, Any] = {"map_size": self._map_size, "max_readers": _MAX_READERS, "max_spare_txns": 0}
        if writable:
            return lmdb.open(str(self.path), **options)
        # A store that nobody can be writing (an installed table, a read-only or full disk) needs no lock file.
        lock = os.access(self.path / _LOCK, os.W_OK) and (
            _is_allocated((self.path / _LOCK).stat()) or shutil.disk_usage(self.path).free > _LOCK_BYTES
        )
        options |= {"readonly": True, "create": False}
        try:
            return lmdb.open(str(self.path), lock=lock, **options)
        except lmdb.Error as error:
            if not lock or getattr(error, "code", None) not in _NO_ROOM:
                raise
            return lmdb.open(str(self.path), lock=False, **options)

    def _allocate_lock(self) -> None:
        """Give the lock file its room: LMDB writes it through memory, where a full disk would kill the process."""
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _is_allocated(os.fstat(descriptor)):
                os.posix_fallocate(descriptor, 0, _LOCK_BYTES)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system that cannot do that
                raise
        finally:
            os.close(descriptor)

    def _check(self) -> None:
        import lmdb

        assert self._env is not None
        self._check_length()
        while True:
            try:
                return self._check_schema()
            except lmdb.MapResizedError:  # another process has made the store larger since it was opened here
                self._env.set_mapsize(0)

    def _check_schema(self) -> None:
        assert self._env is not None
        with self._env.begin() as txn:
            entries, found = txn.stat()["entries"], txn.get(META_KEY)
        check_schema(found, bool(entries), self.path)
        if self._env_writable:
            self._env.reader_check()  # a killed reader's slot would keep old pages from being used again
            if found is None:
                with self._env.begin(write=True) as txn:
                    txn.put(META_KEY, schema_record(SCHEMA), overwrite=False)

    def _check_length(self) -> None:
        """Raise `StoreDamaged` where pages are missing: reading one would kill the process."""
        assert self._env is not None
        file = self.path / _DATA
        needed = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        if file.stat().st_size < needed and (problem := page_problem(file)) is not None:  # the last may be free ones
            raise StoreDamaged(
                f"the store {self.path} is cut off, {file.stat().st_size} bytes of {needed}: {problem}. "
                "Restore it from a copy or an export."
            )

    def _close(self) -> None:
        if self._env is not None:
            self._map_size = max(self._map_size, self.map_size)
            self._env.close()
            self._env = None

    def _make_room(self, expected: int) -> None:
        assert self._env is not None
        used = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        if self.map_size < used + 2 * expected:
            self._grow(max(2 * self.map_size, used + 2 * expected))

    def _grow(self, size: int) -> None:
        page = 1 << 16
        with self._lmdb_errors(), self._gate.exclusive():
            if self._env is not None:
                self._env.set_mapsize((size + page - 1) // page * page)

    def _adopt_map_size(self) -> None:
        with self._lmdb_errors(), self._gate.exclusive():
            if self._env is not None:
                self._env.set_mapsize(0)  # another process made the store larger: take its size

    @contextmanager
    def _lmdb_errors(self) -> Iterator[Any]:
        import lmdb

        try:
            yield lmdb
        except (lmdb.MapFullError, lmdb.MapResizedError):
            raise
        except lmdb.Error as error:
            self._translate(error, lmdb)

    def _translate(self, error: Exception, lmdb: Any) -> NoReturn:  # noqa: ANN401 - the module, imported late
        code, where = getattr(error, "code", None), f"the store {self.path}"
        if isinstance(error, lmdb.VersionMismatchError):
            raise StoreSchemaError(f"{where} was written by another version of LMDB: export it there.") from error
        if code in _NO_ROOM or isinstance(error, lmdb.DiskError):
            raise StoreFull(
                f"the disk has no room for {where} or fails ({error}). Nothing was lost: free some space, then repeat."
            ) from error
        if isinstance(error, lmdb.ReadonlyError) or code in _UNWRITABLE:
            raise StoreReadOnly(f"{where} cannot be written ({error}): change its permissions.") from error
        broken = (lmdb.InvalidError, lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.PanicError)
        if isinstance(error, broken):
            raise StoreDamaged(f"{where} is damaged ({error}). Restore it from a copy or an export.") from error
        raise StoreError(f"{where} cannot be used ({error}).") from error


_environments: dict[str, Environment] = {}
_registry = threading.RLock()  # a store may be collected, and released, while another one is acquired


def acquire(path: Path, writable: bool, map_size: int) -> Environment:
    """Return this process's environment on ``path``, shared by all stores there; give it back with `release`."""
    name = str(path.resolve())
    with _registry:
        environment = _environments.get(name)
        if environment is None:
            environment = _environments[name] = Environment(Path(name), writable, map_size)
        environment.writable |= writable
        environment.users += 1
        return environment


def release(environment: Environment) -> None:
    """Give an environment back; the last user closes it."""
    with _registry:
        environment.users -= 1
        if environment.users == 0:
            environment.close()
            _environments.pop(str(environment.path), None)


def _is_allocated(lock: os.stat_result) -> bool:
    """Tell whether a lock file has all its room on the disk; where that cannot be arranged it counts as yes."""
    return not hasattr(os, "posix_fallocate") or lock.st_blocks * 512 >= _LOCK_BYTES


def _begin(env: lmdb.Environment) -> Transaction:
    return env.begin()


def _begin_buffers(env: lmdb.Environment) -> Transaction:
    return env.begin(buffers=True)


def _before_fork() -> None:
    _registry.acquire()
    for environment in _environments.values():
        environment._writing.acquire()
        environment._opening.acquire()
        environment._gate.shut()


def _after_fork() -> None:
    for environment in _environments.values():
        environment._gate.open()
        environment._opening.release()
        environment._writing.release()
    _registry.release()


def _after_fork_in_child() -> None:
    # No transaction was open at the fork, so the child's copy of the environment can be closed: its own is opened
    # on the next use. The parent's is another process's and stays as it is.
    for environment in _environments.values():
        with suppress(Exception):
            environment._close()
        environment._env = None
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
