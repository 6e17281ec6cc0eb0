"""Errors: what a user catches them by, what they say, and that they travel between processes."""

from __future__ import annotations

import pickle

import pytest

from nasgym import errors
from nasgym.errors import NasgymError, UnknownName, near_names

CLASSES = [getattr(errors, name) for name in errors.__all__ if name != "near_names"]


@pytest.mark.parametrize("error", CLASSES, ids=lambda c: c.__name__)
def test_one_base_and_a_reason_to_exist(error: type[Exception]) -> None:
    assert issubclass(error, NasgymError)
    assert error.__doc__ and error.__doc__ != NasgymError.__doc__ or error is NasgymError


def test_every_error_is_listed() -> None:
    defined = {n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, NasgymError)}
    assert defined == {c.__name__ for c in CLASSES}


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("InvalidArchitecture", ValueError),
        ("InvalidAction", ValueError),
        ("InvalidBudget", ValueError),
        ("InvalidSetting", ValueError),
        ("InvalidTable", ValueError),
        ("EpisodeOver", RuntimeError),
        ("MissingResult", LookupError),
        ("UnknownName", LookupError),
        ("DatasetUnavailable", FileNotFoundError),
        ("DeviceMemoryExhausted", MemoryError),
        ("StoreReadOnly", PermissionError),
        ("StoreFull", OSError),
    ],
)
def test_the_builtin_that_users_would_catch(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize("error", [c for c in CLASSES if c is not UnknownName], ids=lambda c: c.__name__)
def test_errors_travel_between_processes(error: type[Exception]) -> None:
    copy = pickle.loads(pickle.dumps(error("what is wrong")))
    assert type(copy) is error and str(copy) == "what is wrong"
    assert type(error.__new__(error)) is error, "as tblib makes an error that it unpickles"


def test_an_unknown_name_travels_whole() -> None:
    first = UnknownName("dataset", "cifar", ["cifar10", "cifar100"], "Import it first.")
    copy = pickle.loads(pickle.dumps(first))
    assert str(copy) == str(first)
    assert (copy.kind, copy.name, copy.known, copy.remedy) == (first.kind, first.name, first.known, first.remedy)


def test_an_unknown_name_says_what_is_near_what_is_known_and_what_to_do() -> None:
    error = UnknownName("dataset", "cifar11", ["mnist", "cifar10"], "Import it first.")
    assert str(error) == "unknown dataset 'cifar11'. Did you mean 'cifar10'? Known: cifar10, mnist. Import it first."
    assert str(UnknownName("dataset", "x", [])) == "unknown dataset 'x'."
    assert "Did you mean" not in str(UnknownName("dataset", "zzz", ["cifar10"]))


def test_near_names_are_few_and_the_nearest_first() -> None:
    known = ["random_search", "random_walk", "local_search", "reinforce"]
    assert near_names("random_serch", known)[0] == "random_search"
    assert len(near_names("random", [f"random{i}" for i in range(9)])) == 3
    assert near_names("q", known) == []
