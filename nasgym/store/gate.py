"""The gate of an environment: LMDB's memory map changes only while no transaction of this process is open."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Gate"]


class Gate:
    """Many transactions at a time, or one change of the memory map."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Be inside, with others, for a while."""
        with self._condition:
            while self._closed:
                self._condition.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Be alone for a while: nobody is inside."""
        self.shut()
        try:
            yield
        finally:
            self.open()

    def shut(self) -> None:
        """Let nobody in, and wait until nobody is inside."""
        with self._condition:
            while self._closed:
                self._condition.wait()
            self._closed = True
            while self._inside:
                self._condition.wait()

    def open(self) -> None:
        """Let others in again."""
        with self._condition:
            self._closed = False
            self._condition.notify_all()
