"""Something done again and again beside a long work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["repeating"]


@contextmanager
def repeating(work: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call ``work`` every so many seconds from a thread of its own; the last call is over when the block is left."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(seconds):
            work()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
