"""Packed arrays: every value comes back with all its bits, and published curves become small."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym import results
from nasgym.errors import StoreDamaged
from nasgym.packing import pack, unpack
from nasgym.results import Evaluation, Series, decode, encode
from tests.importers.official_samples import averaged, counted

ANY_FLOAT = st.integers(0, 2**64 - 1).map(lambda bits: np.array(bits, np.uint64).view(np.float64)[()])
KNOWN = st.sampled_from([0.0, -0.0, 5e-324, 1.7e308, float("inf"), float("nan"), 1 / 3, 100.0, -1.5, 2.0**-1074])


def there_and_back(values):
    coding, data = pack(values)
    coding = json.loads(json.dumps(coding))
    found, end = unpack(coding, len(values), b"before" + data + b"after", 6)
    assert end == 6 + len(data)
    return coding, data, found


@settings(max_examples=300, deadline=None)
@given(st.lists(ANY_FLOAT | KNOWN | st.floats(0, 100, width=32), min_size=1, max_size=40))
def test_any_floats_come_back_with_all_their_bits(values):
    array = np.array(values, dtype=np.float64)
    assert there_and_back(array)[2].tobytes() == array.tobytes()


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([1, 3125, 625, 375, 37925, 7]),
    st.integers(-40, 60),
    st.lists(st.integers(0, 2**49), min_size=2, max_size=30),
)
def test_quotients_of_whole_numbers_come_back_with_all_their_bits(divisor, shift, numbers):
    array = np.ldexp(np.array(numbers, dtype=np.float64), -shift) / divisor
    assert there_and_back(array)[2].tobytes() == array.tobytes()


@settings(max_examples=100, deadline=None)
@given(ANY_FLOAT | KNOWN | st.floats(0, 1000), st.integers(2, 300), st.sampled_from("csm"))
def test_one_number_stands_for_its_sums_and_means(value, count, kind):
    with np.errstate(all="ignore"):
        array = np.full(count, value)
        array = array if kind == "c" else np.cumsum(array) / (np.arange(1, count + 1) if kind == "m" else 1)
    found = there_and_back(array)  # the warnings of numpy are errors in tests: there are none
    assert found[2].tobytes() == array.tobytes()
    if np.isfinite(array).all():
        assert len(found[1]) == 8


@pytest.mark.parametrize(
    ("images", "divisor"), [(25_000, 3125), (10_000, 625), (5_000, 625), (6_000, 375), (151_700, 37925)]
)
def test_averages_of_batches_take_five_bytes_or_less(images, divisor):
    rng = np.random.default_rng(images)
    for curve in (averaged(rng, 200, 2.3, 0.01, images), averaged(rng, 200, 20, 95, images)):
        coding, data, _ = there_and_back(curve)
        assert coding[0] == divisor and len(data) < 6.1 * 200


def test_accuracies_of_counted_images_take_three_bytes_or_less():
    coding, data, _ = there_and_back(np.array(counted(np.random.default_rng(1), 200, 10, 90, 10_000)))
    assert len(data) <= 3 * 200, coding


def test_chance_is_kept_as_it_is():
    array = np.random.default_rng(0).random(200)
    coding, data, found = there_and_back(array)
    assert coding == "p" and len(data) == 1600 and found.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("coding", "count"),
    [("x", 3), ("c", 0), ("c", 2**40), ("c", True), ("<f8", 10**6), ([3125, 0, 60], 3), ([0, 0, 8], 3), ([1, 2], 3),
     ([1, 9999, 8], 3), ([1, 0, 8.0], 3), (None, 3), ({}, 3), ("p", 100)],
)  # fmt: skip
def test_what_is_no_packing_is_damage(coding, count):
    with pytest.raises(StoreDamaged):
        unpack(coding, count, bytes(64), 0)


def test_records_of_the_first_version_are_read():
    old = bytes.fromhex(
        "4e470169cb68b6789c2d8c410ac2301444a36b4f31ebbfb15d548ae015c46d2925a45f0d844492b4548ae23574e92d3c82b7325567f3863f"
        "33ff298418a16dcb03cae59210985b94455110f8e4d431a473466875cffe3045d1774c3879d7b3955631ca11d1398312032ed303af39adaa"
        "0abd34ba6da4529d97ea8cb462afd8c6e4d6fb0c9493ed8ca9a942f452dbc6b8105266650cdfca0a94515ed797ed4e5cc56d267e9affb9f8"
        "f3719ff4dafcf8de7c001cf83f8f"
    )
    curves = {
        "valid_accuracy": Series.of([50.5, float("nan"), -0.0], [1, 2, 12], "percent"),
        "train_loss": Series.of([0.1, 0.2], [3, 4], "nats"),
    }
    assert decode(old) == Evaluation(11, 777, 12, curves, True, {"tool": "x"})


def test_a_record_that_inflates_without_end_is_damage():
    small = Evaluation(1, 1, 1, {"train_loss": Series.of(np.zeros(1 << 20), np.arange(1 << 20), "nats")})
    assert len(encode(small)) < 300
    assert decode(encode(small)) == small


def test_the_words_of_records_never_change():
    """Records are deflated with them: with others, no stored record could be read."""
    assert (
        hashlib.sha256(results._WORDS).hexdigest() == "d9fe1be8780a6b8cc08ec4bd3cbd5d228f18bd8c6b2de47486225496279778c1"
    )
