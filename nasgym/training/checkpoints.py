"""Checkpoints of long trainings: one file each, written whole or not at all, read without running code."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

__all__ = ["Checkpoint"]

_VERSION = 2
_log = logging.getLogger(__name__)


class Checkpoint:
    """The checkpoint of one training.

    Args:
        folder: Where checkpoints lie; made when needed. None: nothing is written or read.
        identity: Everything that determines the training; another identity is another file.
        interval: Seconds between two checkpoints, so that short trainings write none.
    """

    def __init__(self, folder: Path | None, identity: Mapping[str, str], interval: float) -> None:
        text = json.dumps({"version": _VERSION, **identity}, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:24]
        self.path = None if folder is None else folder / f"{name}.ckpt"
        self._interval, self._last = interval, time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Return what was saved last, or None; a damaged file is reported in the log and counts as none.

        All tensors lie on the CPU: a ``load_state_dict`` moves those that belong elsewhere, and leaves the steps that
        Adam counts where they are read without waiting for a device.
        """
        if self.path is None or not self.path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError) as error:
            _log.warning("the checkpoint %s cannot be read (%s); the training begins anew.", self.path, error)
            return None
        return state

    def save_if_due(self, networks: Callable[[], Mapping[str, Any]], rows: Sequence[Sequence[float]]) -> None:
        """Write what ``networks`` gives, and ``rows``, if the interval has passed since the last time."""
        if self.path is not None and time.monotonic() - self._last >= self._interval:
            self.save(networks, rows)

    def save(self, networks: Callable[[], Mapping[str, Any]], rows: Sequence[Sequence[float]]) -> None:
        """Write what ``networks`` gives, and ``rows``, now.

        Where it cannot be written, on a full disk say, the log tells so and the training goes on.
        """
        if self.path is None:
            return
        self._last = time.monotonic()
        partial = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save({"networks": networks(), "rows": [list(row) for row in rows]}, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except (OSError, RuntimeError) as error:
            _log.warning("no checkpoint could be written to %s (%s).", self.path, error)
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the file: the training has ended. Where that fails, the log tells so: the result is what counts."""
        if self.path is None:
            return
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("the checkpoint %s could not be deleted (%s).", self.path, error)
