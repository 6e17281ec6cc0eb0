import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym.costs import PARTS, CostModel, FitError
from nasgym.errors import InvalidArchitecture, InvalidSetting, NasgymError, StoreDamaged, StoreSchemaError
from nasgym.spaces import NB201
from tests.costs.samples import SPACE, TRUTH, model, truth

EVERY = SPACE.from_index(np.arange(SPACE.size))


def test_seconds_are_the_sum_over_what_is_computed() -> None:
    found = model().seconds(SPACE, EVERY, 10)
    counts = SPACE.computed_operations(EVERY)
    assert list(found) == ["train_seconds", "valid_seconds", "test_seconds"]
    np.testing.assert_allclose(found["train_seconds"], 10 * truth(counts, "train"))
    np.testing.assert_allclose(found["valid_seconds"], truth(counts, "valid"))
    np.testing.assert_allclose(found["test_seconds"], truth(counts, "test"))
    cell = SPACE.from_str(["|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"])
    by_hand = TRUTH["train"][0] + TRUTH["train"][1] + TRUTH["train"][5] + TRUTH["train"][8]
    assert model().seconds(SPACE, cell, 1)["train_seconds"].tolist() == pytest.approx([by_hand])


def test_equal_networks_cost_the_same() -> None:
    seconds = model().seconds(SPACE, EVERY, 3)["train_seconds"]
    counts = SPACE.computed_operations(EVERY)
    _, group = np.unique(counts, axis=0, return_inverse=True)
    for number in range(0, group.max(), 50):
        assert len(set(seconds[group.ravel() == number].tolist())) == 1


def test_the_whole_space_takes_milliseconds() -> None:
    known = model()
    start = time.process_time()
    known.seconds(SPACE, EVERY, 10)
    assert time.process_time() - start < 0.1


coefficient = st.floats(0, 1e6, allow_nan=False)
row = st.tuples(*[coefficient] * (len(SPACE.operation_names()) + 1))


@given(st.fixed_dictionaries(dict.fromkeys(PARTS, row)), st.integers(1, 500), st.integers(0, SPACE.size - 1))
def test_no_seconds_are_below_zero(coefficients: dict[str, tuple[float, ...]], epochs: int, index: int) -> None:
    found = model(coefficients=coefficients).seconds(SPACE, SPACE.from_index([index]), epochs)
    assert all(values.dtype == np.float64 and values.shape == (1,) and values[0] >= 0 for values in found.values())


@given(
    st.fixed_dictionaries(dict.fromkeys(PARTS, row)),
    st.builds(FitError, *[st.floats(-1e9, 1e9)] * 3),
    st.text(),
)
def test_json_gives_back_what_it_got(coefficients: Any, error: FitError, name: str) -> None:
    known = model(coefficients=coefficients, errors=dict.fromkeys(PARTS, error), dataset=name)
    assert CostModel.from_json(json.loads(json.dumps(known.to_json()))) == known


def test_json_of_a_later_version() -> None:
    record = model().to_json()
    assert CostModel.from_json({**record, "of tomorrow": [1]}) == model()
    with pytest.raises(StoreSchemaError, match="has version 2, this nasgym reads up to 1"):
        CostModel.from_json({**record, "version": 2})


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every field of a JSON object."""
    if not isinstance(value, dict):
        return []
    return [p for name, inner in value.items() for p in ((*before, name), *paths(inner, (*before, name)))]


WRONG: list[Any] = ["gone", None, True, {"a": 1}, [None], [[1]], float("nan"), "text", -1.5, 10**400]


def damages() -> list[Any]:
    """Return every field with every value that it must not hold."""
    return [
        pytest.param(path, wrong, id=f"{'.'.join(path)}={str(wrong)[:9]}")
        for path in paths(model().to_json())
        for wrong in WRONG
        if not may_hold(path, wrong)
    ]


def may_hold(path: tuple[str, ...], wrong: Any) -> bool:
    inside: Any = model().to_json()
    for name in path:
        inside = inside[name]
    return wrong != "gone" and type(wrong) is type(inside) and not isinstance(wrong, list | dict) and wrong == wrong


@pytest.mark.parametrize(("path", "wrong"), damages())
def test_damage_names_the_field(path: tuple[str, ...], wrong: Any) -> None:
    record = json.loads(json.dumps(model().to_json()))
    inside = record
    for name in path[:-1]:
        inside = inside[name]
    if wrong == "gone":
        del inside[path[-1]]
    else:
        inside[path[-1]] = wrong
    with pytest.raises((StoreDamaged, StoreSchemaError)) as caught:
        CostModel.from_json(record)
    assert path[-1] in str(caught.value) or path[0] in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda c: st.dictionaries(st.text(), c)))
def test_no_json_breaks_it(record: Any) -> None:
    with pytest.raises(NasgymError):
        CostModel.from_json(record)


def test_coefficients_that_cannot_be() -> None:
    with pytest.raises(InvalidSetting, match="8 features need 9.*got 2"):
        model(coefficients={**TRUTH, "valid": (1.0, 2.0)})
    with pytest.raises(InvalidSetting, match="'test' are seconds of 0 or more; got -0.5"):
        model(coefficients={**TRUTH, "test": (*TRUTH["test"][:-1], -0.5)})
    with pytest.raises(InvalidSetting, match="are those of train, valid, test"):
        model(coefficients={"train": TRUTH["train"]})
    with pytest.raises(StoreDamaged, match="got -1"):
        CostModel.from_json({**model().to_json(), "coefficients": {p: [-1.0] * 9 for p in PARTS}})


def test_what_it_was_not_fitted_to() -> None:
    class Other(NB201):
        name = "other"

    class Counting(NB201):
        def operation_names(self) -> tuple[str, ...]:
            return ("flops",)

    with pytest.raises(InvalidSetting, match="of the search space 'nb201', not 'other'"):
        model().seconds(Other(), EVERY, 1)
    with pytest.raises(InvalidSetting, match="knows the operations nor_conv_3x3, .*; 'nb201' counts flops"):
        model().seconds(Counting(), EVERY, 1)
    with pytest.raises(InvalidSetting, match="1 epoch or more; got 0"):
        model().seconds(SPACE, EVERY, 0)
    with pytest.raises(InvalidArchitecture):
        model().seconds(SPACE, EVERY[0], 1)


def test_it_needs_numpy_alone() -> None:
    code = "import sys, nasgym.costs; assert not {'torch', 'scipy', 'lmdb'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
