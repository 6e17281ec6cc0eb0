"""Claims: who is training what, so that nothing is trained twice. No lmdb here."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from nasgym.store import layout
from nasgym.store.environment import Transaction
from nasgym.store.layout import Cell

__all__ = ["Owner", "drop", "renew", "take"]


@dataclass(frozen=True)
class Owner:
    """Who holds a claim: one store object of one process."""

    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: str | None = field(default_factory=lambda: _started(os.getpid()))

    @property
    def is_dead(self) -> bool:
        """Whether the process is known to have ended; on another host nothing is known.

        A process that has its number but was started at another time is another one.
        """
        if self.host != socket.gethostname() or os.name != "posix":  # elsewhere os.kill would end the process
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        now = _started(self.pid)
        return None not in (self.started, now) and self.started != now


def _started(pid: int) -> str | None:
    """Return the boot and the clock tick in which a process was started; None where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    ticks = status.rpartition(")")[2].split()[19]  # field 22; the name before it may hold blanks and brackets
    return f"{_boot()}:{ticks}"


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def take(txn: Transaction, number: int, cell: Cell, owner: Owner, seconds: float) -> bool:
    """Claim a cell unless it is stored or somebody, this owner included, holds it."""
    if txn.get(layout.cell_key(b"r", number, cell.index, cell.seed)) is not None:
        return False
    key = layout.cell_key(b"l", number, cell.index, cell.seed)
    held = _holder(txn.get(key))
    if held is not None and held[1] > time.time() and not held[0].is_dead:
        return False
    _hold(txn, key, owner, seconds)
    return True


def renew(txn: Transaction, number: int, cell: Cell, owner: Owner, seconds: float) -> None:
    """Hold a claim for longer, if it is this owner's."""
    key = layout.cell_key(b"l", number, cell.index, cell.seed)
    held = _holder(txn.get(key))
    if held is not None and held[0] == owner:
        _hold(txn, key, owner, seconds)


def drop(txn: Transaction, number: int, cell: Cell, owner: Owner) -> None:
    """Give up a claim, if it is this owner's."""
    key = layout.cell_key(b"l", number, cell.index, cell.seed)
    held = _holder(txn.get(key))
    if held is not None and held[0] == owner:
        txn.delete(key)


def _hold(txn: Transaction, key: bytes, owner: Owner, seconds: float) -> None:
    txn.put(key, json.dumps({**asdict(owner), "until": time.time() + seconds}).encode())


def _holder(data: bytes | None) -> tuple[Owner, float] | None:
    """Return a claim's owner and end; one that cannot be read counts as none, since it only delays work."""
    try:
        claim = json.loads(bytes(data or b""))
        owner = Owner(claim["host"], int(claim["pid"]), claim["token"], claim.get("started"))
        return owner, float(claim["until"])
    except (ValueError, KeyError, TypeError):
        return None
