"""How the readers of NAS-Bench-101's file tell each other which record is broken."""

from __future__ import annotations

__all__ = ["BadRecord"]


class BadRecord(Exception):  # noqa: N818 - it never leaves the importer, which knows the byte where the record begins
    """A record that cannot be imported.

    Args:
        at: Its place in the batch that was given.
        what: What is wrong, one clause with the value and the bound.
    """

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at, self.what = at, what
