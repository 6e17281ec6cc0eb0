"""What a search is charged while it trains: seconds that were measured, or operations over a stated rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

__all__ = ["Meter"]

_ABOVE = 1 + 1e-9  # so that what is kept still fits after the sums of floats are rounded


class Meter:
    """Counts operations and seconds, and passes the seconds on.

    Args:
        rate: Multiply-accumulates per charged second; None: seconds are measured.
        allowed: Seconds that may be charged in all.
        charge: Takes seconds as they are charged.
    """

    def __init__(
        self, rate: float | None = None, allowed: float = math.inf, charge: Callable[[float], None] | None = None
    ) -> None:
        self._stated, self.allowed, self._pass_on = rate, allowed, charge
        self.charged = 0.0
        self._operations = self._done = 0.0
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far, those that are not charged yet included."""
        if self._stated is None:
            return self.charged + time.perf_counter() - self._began
        return self.charged + self._operations / self._stated

    @property
    def rate(self) -> float:
        """Multiply-accumulates per second, stated or as measured so far; infinite before anything was."""
        if self._stated is not None:
            return self._stated
        return (self._done + self._operations) / self.seconds if self._done + self._operations else math.inf

    def count(self, operations: float) -> None:
        """Take note of multiply-accumulates that were done."""
        self._operations += operations

    def fits(self, operations: float, seconds: float = 0.0) -> bool:
        """Tell whether so many operations, and seconds beside, still fit into what is allowed."""
        return self.seconds + operations / self.rate + seconds <= self.allowed

    def charge(self, kept: float = 0.0) -> None:
        """Pass on what has come together since the last time, but leave ``kept`` seconds of what is allowed.

        Seconds that are measured can run over by a step, or by a pause of the machine; that part is not charged, so
        that the answer can still be evaluated.
        """
        before = self.charged
        self.charged = max(before, min(self.seconds, self.allowed - _ABOVE * kept))
        self._done, self._operations = self._done + self._operations, 0.0
        self._began = time.perf_counter()
        if self._pass_on is not None:
            self._pass_on(self.charged - before)

    def state(self) -> dict[str, float]:
        """Return what a checkpoint keeps."""
        return {"charged": self.charged, "done": self._done}

    def load_state(self, state: dict[str, float]) -> None:
        """Go on from a checkpoint: what was charged then is charged now, at once."""
        self.charged, self._done, self._operations = state["charged"], state["done"], 0.0
        self._began = time.perf_counter()
        if self._pass_on is not None:
            self._pass_on(self.charged)
