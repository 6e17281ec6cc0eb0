"""The simulated clock: seconds charged to one worker or several, and the budget's edge."""

from __future__ import annotations

import heapq
import math

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidBudget, InvalidSetting

__all__ = ["SimulatedClock", "check_budget"]


class SimulatedClock:
    """Seconds charged so far, against a budget.

    A job that would start at or after the budget is refused. One that would end after it is refused too, or allowed
    with ``overshoot``. The first refusal ends the clock: later, shorter jobs are not squeezed in (both published
    protocols stop there). A limit on the number of jobs ends it in the same way.

    Attributes:
        budget: In simulated seconds; infinite where there is none.
        workers: Simulated workers; a job starts on the one that is free first.
        max_jobs: How many jobs may run; infinite where there is no limit.
        now: The simulated time of the latest result.
        exhausted: Whether a job was refused, or none can start any more.
    """

    def __init__(
        self,
        budget: float | None = None,
        *,
        workers: int = 1,
        overshoot: bool = False,
        max_jobs: int | None = None,
    ) -> None:
        """Start at zero seconds with all workers free."""
        if not isinstance(workers, int) or workers < 1:
            raise InvalidSetting(f"workers must be a whole number of 1 or more; got {workers!r}.")
        if max_jobs is not None and (isinstance(max_jobs, bool) or not isinstance(max_jobs, int) or max_jobs < 1):
            raise InvalidBudget(f"a limit of evaluations is a whole number above 0 (None: no limit); got {max_jobs!r}.")
        self.budget = check_budget(budget)
        self.max_jobs = math.inf if max_jobs is None else max_jobs
        self.workers, self.overshoot = workers, overshoot
        self.restart()

    def restart(self) -> None:
        """Go back to zero seconds."""
        self.now, self.exhausted = 0.0, False
        self._jobs = 0
        self._free = [0.0] * self.workers

    @property
    def remaining(self) -> float:
        """Simulated seconds left, never negative."""
        return max(0.0, self.budget - self.now)

    def start(self, seconds: float) -> float | None:
        """Start a job on the worker that is free first; return when it ends, or None if it is refused."""
        began = max(self._free[0], self.now)
        ends = began + seconds
        if self.exhausted or began >= self.budget or (ends > self.budget and not self.overshoot):
            self.exhausted = True
            return None
        heapq.heapreplace(self._free, ends)
        self._count(1)
        return ends

    def advance(self, to: float) -> None:
        """Move the present to ``to``, the end of a job."""
        self.now = max(self.now, to)
        if max(self._free[0], self.now) >= self.budget:
            self.exhausted = True

    def charge(self, seconds: float) -> float | None:
        """Run one job to its end on a single worker; return when it ended, or None if it is refused."""
        ends = self.start(seconds)
        if ends is not None:
            self.advance(ends)
        return ends

    def charge_all(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Run jobs one after the other on a single worker, the sums in the order of single charges.

        Returns:
            ``float64[k]``: when each of the first ``k`` jobs ended; the others are refused.
        """
        ends = seconds.astype(np.float64)
        if len(ends):
            ends[0] += self.now
        np.add.accumulate(ends, out=ends)  # sequential, so equal to charging one by one
        accepted = 0 if self.exhausted else int(min(self._room(ends), self.max_jobs - self._jobs))
        self._count(accepted)
        if accepted:
            self.now = float(ends[accepted - 1])
            self._free[0] = self.now
        if accepted < len(seconds) or self.now >= self.budget:
            self.exhausted = True
        return ends[:accepted]

    def spend(self, seconds: float) -> None:
        """Wait until all workers are free, then occupy all of them for so many seconds; that is no job.

        Seconds that were measured are spent already, so nothing is refused: the present may move past the budget.
        """
        self.join()
        self._free = [self.now + seconds] * self.workers
        self.advance(self._free[0])

    def join(self) -> None:
        """Wait until all workers are free."""
        self._free = [max(self.now, *self._free)] * self.workers
        self.advance(self._free[0])

    def _count(self, jobs: int) -> None:
        self._jobs += jobs
        if self._jobs >= self.max_jobs:
            self.exhausted = True

    def _room(self, ends: NDArray[np.float64]) -> int:
        """Return how many of the jobs that end one after the other at ``ends`` fit into the budget."""
        if math.isinf(self.budget):
            return len(ends)
        began_in_time = int(np.searchsorted(ends, self.budget)) + (self.now < self.budget)
        in_time = len(ends) if self.overshoot else int(np.searchsorted(ends, self.budget, side="right"))
        return min(began_in_time, in_time, len(ends))


def check_budget(budget: float | None) -> float:
    """Return the budget in simulated seconds, infinite for None; raises `InvalidBudget` unless it is above zero."""
    if budget is None:
        return math.inf
    seconds = (
        float(budget) if isinstance(budget, (int, float, np.number)) and not isinstance(budget, bool) else math.nan
    )
    if math.isnan(seconds) or seconds <= 0:
        raise InvalidBudget(f"a budget is a number of simulated seconds above 0 (None: no budget); got {budget!r}.")
    return seconds
