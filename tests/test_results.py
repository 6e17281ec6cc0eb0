import math
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasgym import results
from nasgym.errors import InvalidSetting, StoreDamaged, StoreSchemaError, UnknownName
from nasgym.results import METRICS, Evaluation, Series, TableKey, decode, encode, mean

BITS = st.integers(0, 2**64 - 1) | st.sampled_from(
    [0, 1 << 63, 1, 0x000FFFFFFFFFFFFF, 0x7FF0000000000000, 0x7FF8000000000123, 0x7FF0000000000001, 0xFFF8000000000000]
)
HALVES = st.floats(width=16).map(lambda value: struct.unpack("<Q", struct.pack("<d", value))[0])
EPOCHS = st.lists(st.integers(0, 2**40), min_size=1, max_size=30, unique=True).map(sorted) | st.integers(1, 40).map(
    lambda n: list(range(1, n + 1))
)


@st.composite
def series(draw: st.DrawFn) -> Series:
    epochs = draw(EPOCHS)
    bits = draw(st.lists(draw(st.sampled_from([BITS, HALVES])), min_size=len(epochs), max_size=len(epochs)))
    values = np.array(bits, dtype=np.uint64).view(np.float64)
    return Series.of(values, epochs, draw(st.sampled_from(["fraction", "percent", "nats", "seconds"])))


EVALUATIONS = st.builds(
    Evaluation,
    index=st.integers(0, 2**62),
    seed=st.integers(0, 2**62) | st.just("mean"),
    epochs=st.integers(0, 10**6),
    series=st.dictionaries(st.sampled_from(list(METRICS)) | st.text(max_size=20), series(), max_size=6),
    diverged=st.booleans(),
    provenance=st.dictionaries(st.text(max_size=10), st.text(max_size=30), max_size=4),
)


@given(EVALUATIONS)
def test_a_record_comes_back_bit_for_bit(evaluation: Evaluation) -> None:
    found = decode(encode(evaluation))
    assert found == evaluation
    assert list(found.series) == list(evaluation.series)
    for name, given_series in evaluation.series.items():
        assert found.series[name].values.tobytes() == given_series.values.tobytes()
    assert encode(found) == encode(evaluation)


@given(EVALUATIONS, st.data())
def test_a_mutated_record_is_damaged_and_nothing_else(evaluation: Evaluation, data: st.DataObject) -> None:
    encoded = encode(evaluation)
    at = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(StoreDamaged):
        decode(encoded[:at])
    changed = bytearray(encoded)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((StoreDamaged, StoreSchemaError)):
        decode(bytes(changed))


def packed(body: bytes, version: int = 1) -> bytes:
    """Return a record whose checksum is right, whatever it holds."""
    deflate = zlib.compressobj() if version == 1 else zlib.compressobj(wbits=-15, zdict=results._WORDS)
    squeezed = deflate.compress(body) + deflate.flush()
    return struct.pack("<2sBI", b"NG", version, zlib.crc32(squeezed, version)) + squeezed


@given(EVALUATIONS, st.data())
def test_a_wrong_body_under_a_right_checksum_is_damaged_or_read(evaluation: Evaluation, data: st.DataObject) -> None:
    body = bytearray(results._verified_body(encode(evaluation))[1])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(packed(bytes(body[: data.draw(st.integers(0, len(body)))]), version=2))
    except StoreDamaged:
        return
    encode(found)  # what is read is a proper evaluation


HEAD = '{"index":1,"seed":0,"epochs":1,"diverged":false,"provenance":{},"series":[%s]}'


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "3",
        "[" * 5000,
        HEAD % "1",
        HEAD % '["a","percent","<f8",0,1]',
        HEAD % '["a","percent","<f8",-1,1]',
        HEAD % '["a","percent","<f8",1000000000000,1]',
        HEAD % '["a","percent","<i8",1,1]',
        HEAD % '["a","miles","<f4",1,1]',
        HEAD % '[5,"percent","<f4",1,1]',
        HEAD % '["a","percent","<f4",1,1e300]',
        HEAD.replace('"seed":0', '"seed":1.5') % "",
        HEAD.replace('"seed":0', '"seed":"median"') % "",
        HEAD.replace('"index":1', '"index":true') % "",
        HEAD.replace('"index":1', '"index":-1') % "",
        HEAD.replace('"provenance":{}', '"provenance":[]') % "",
        HEAD.replace('"diverged":false', '"diverged":0') % "",
    ],
)
def test_a_wrong_header_is_damaged(header: str) -> None:
    text = header.encode()
    with pytest.raises(StoreDamaged):
        decode(packed(struct.pack("<I", len(text)) + text + b"\0" * 16))


def test_a_bomb_is_not_inflated() -> None:
    with pytest.raises(StoreDamaged, match="inflates to more than"):
        decode(packed(b"\0" * (65 << 20)))


def test_a_newer_record_says_so() -> None:
    data = bytearray(encode(Evaluation(1, 0, 1, {})))
    data[2] = 9
    with pytest.raises(StoreSchemaError, match="has version 9, this nasgym reads up to 3"):
        decode(bytes(data))


def test_a_changed_version_is_damage() -> None:
    data = bytearray(encode(Evaluation(1, 0, 1, {})))
    data[2] = 0
    with pytest.raises(StoreDamaged, match="checksum"):
        decode(bytes(data))


def test_narrow_numbers_take_little_room() -> None:
    def size(values: np.ndarray) -> int:
        return len(encode(Evaluation(1, 0, 200, {"valid_loss": Series.of(values, range(1, 201), "nats")})))

    values = np.random.default_rng(0).random(200)
    assert size(values.astype("f2")) < size(values.astype("f4")) < size(values)


def test_percent_is_kept_and_divided_on_reading() -> None:
    row = Evaluation(1, 0, 12, {"valid_accuracy": Series.of([50.0, 63.364], [6, 12], "percent")})
    assert row.series["valid_accuracy"].values[-1] == 63.364
    assert row.valid_accuracy == row.value("valid_accuracy", 12) == 63.364 / 100
    assert row.value("valid_accuracy", 6) == 0.5
    assert row.value("valid_accuracy", 7) is None
    assert row.test_accuracy is None
    with pytest.raises(UnknownName, match="unknown metric 'valid_acc'. Did you mean 'valid_accuracy'"):
        row.value("valid_acc")
    assert row.stopped_at(11).valid_accuracy == 0.5
    assert row.stopped_at(5).valid_accuracy is None


def test_the_mean_is_taken_over_those_that_know() -> None:
    rows = [
        Evaluation(1, 0, 2, {"valid_accuracy": Series.of([10.0, 20.0], [1, 2], "percent")}),
        Evaluation(1, 1, 2, {"valid_accuracy": Series.of([0.4], [2], "fraction")}, diverged=True),
    ]
    found = mean(rows)
    assert (found.seed, found.diverged) == ("mean", True)
    assert math.isclose(found.valid_accuracy or 0, 0.3)
    assert math.isclose(found.value("valid_accuracy", 1) or 0, 0.1)
    lost = Evaluation(1, 2, 2, {"valid_loss": Series.of([0.5, math.nan], [1, 2], "nats")}, diverged=True)
    assert math.isnan(mean([lost, lost]).value("valid_loss") or 0), "a loss that is not a number is not an unknown one"
    with pytest.raises(InvalidSetting, match="no evaluations"):
        mean([])


@pytest.mark.parametrize(
    ("values", "epochs"), [([], []), ([1, 2], [1]), ([1, 2], [2, 1]), ([1, 2], [1, 1]), ([1], [-1])]
)
def test_a_series_needs_values_and_increasing_epochs(values: list[float], epochs: list[int]) -> None:
    with pytest.raises(InvalidSetting, match="series"):
        Series.of(values, epochs, "nats")


@given(
    st.text(min_size=1).filter(lambda s: "/" not in s),
    st.text(min_size=1),
    st.text(min_size=1).filter(lambda s: "/" not in s),
)
def test_table_names_round_trip(space: str, dataset: str, recipe: str) -> None:
    key = TableKey(space, dataset, recipe)
    assert TableKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["", "nb201", "nb201/cifar10", "nb201/cifar10/", "/cifar10/x", "nb201//x"])
def test_a_table_name_has_three_parts(text: str) -> None:
    with pytest.raises(InvalidSetting, match="SPACE/DATASET/RECIPE"):
        TableKey.parse(text)
