"""The original and the facade side by side: the same call, what comes out of both, and whether it is the same."""

import contextlib
import io
import random
import re
import sys
import warnings
from dataclasses import dataclass

import numpy as np

SUMS_ALIKE = sys.version_info < (3, 12)  # since then `sum` of floats carries a correction; the originals use it
_TIME = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]")
_OF_THE_CACHE = ("Call _prepare_info", "Call clear_params with archive_root=")


@dataclass
class Outcome:
    """What a call gave: a value or an error, and what it printed."""

    value: object
    error: BaseException | None
    printed: str

    def __str__(self):
        return f"{type(self.error).__name__}: {self.error}" if self.error else repr(self.value)


def outcome(call, *, seed=0):
    """Call, with Python's global generator at ``seed``."""
    random.seed(seed)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value, error = call(), None
        except Exception as raised:  # whatever the original raises is compared
            value, error = None, raised
    lines = [line for line in _TIME.sub("[TIME]", printed.getvalue()).splitlines() if not _is_of_the_cache(line)]
    return Outcome(value, error, "\n".join(lines))


def _is_of_the_cache(line):
    return any(line.removeprefix("[TIME] ").startswith(text) for text in _OF_THE_CACHE)


def assert_same(real, ours, where):
    """Equal values to the last digit, types and order of keys; equal printed lines; errors of the same kind."""
    if real.error is not None:
        wanted = ValueError if isinstance(real.error, AssertionError) else type(real.error)
        assert ours.error is not None, f"{where}: {real} there, {ours} here"
        assert isinstance(ours.error, wanted), f"{where}: {real} there, {ours} here"
        return
    assert ours.error is None, f"{where}: {real} there, {ours} here"
    assert plain(real.value) == plain(ours.value), f"{where}: {real} there, {ours} here"
    assert real.printed == ours.printed, f"{where}: printed\n{real.printed}\nthere, and here\n{ours.printed}"


def plain(value):
    """Return a value as plain ones that are equal where it is: types, order of keys and bits included."""
    if hasattr(value, "state_dict"):
        return [type(value).__name__, repr(value), fields(value.state_dict())]
    if isinstance(value, dict):
        return [(plain(key), plain(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.tolist()]
    if isinstance(value, float):
        return [type(value).__name__, float(value).hex() if SUMS_ALIKE else f"{value:.12g}"]
    return value


def fields(state):
    """Return the fields of a trial or an architecture; in a dictionary of numbers the order is no matter."""
    if not isinstance(state, dict):
        return plain(state)
    return sorted(((repr(key), fields(value)) for key, value in state.items()), key=lambda item: item[0])
