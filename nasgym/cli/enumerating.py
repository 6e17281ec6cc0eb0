"""How far a search space is that enumerates its cells: once for a user, inside whatever command first needs them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from nasgym.cli import show

__all__ = ["showing_enumeration"]

_LOG = logging.getLogger("nasgym.spaces.nb101.table")  # by name: most commands need no such space


@contextmanager
def showing_enumeration() -> Iterator[None]:
    """Show what the log tells of an enumeration: a line when it begins, and progress on stderr."""
    level = _LOG.level
    with ExitStack() as shown:
        handler = _Shown(shown)
        _LOG.addHandler(handler)
        _LOG.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            _LOG.removeHandler(handler)
            _LOG.setLevel(level)


class _Shown(logging.Handler):
    """Begins with the first warning; the numbers that follow are cells done and all cells."""

    def __init__(self, shown: ExitStack) -> None:
        super().__init__()
        self._shown = shown
        self._advance: Callable[[float, str], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        if record.levelno >= logging.WARNING:
            show.status(record.getMessage())
            self._advance = self._advance or self._shown.enter_context(show.counter("enumerating", total=1.0))
        elif self._advance is not None and isinstance(record.args, tuple):
            done, size = map(int, record.args)  # type: ignore[arg-type]
            self._advance(done / size, f"{done:,} of {size:,} cells")
            if done == size:
                self._shown.close()
                self._advance = None
