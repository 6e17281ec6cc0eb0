"""Records of trainings in the published form: short, and lossless."""

import dataclasses
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym import compact
from nasgym.errors import InvalidSetting, StoreDamaged, StoreSchemaError
from nasgym.results import Evaluation, Series, decode, encode

REALS = st.floats(allow_nan=False) | st.floats(width=32, allow_nan=False) | st.just(-0.0)
FLOATS_32 = st.floats(width=32, allow_nan=False)
BITS = st.integers(0, (1 << 64) - 1) | st.integers((1 << 63) - (1 << 52), (1 << 63) - 1)  # many of them no numbers
ANY_BITS = BITS.map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])


def evaluation(reals, *, index=5, seed=1, epochs=12, parameters=8_555_530, source="nasbench_full.tfrecord", faults=""):
    moments = [0, epochs // 2, epochs]
    names = ("train_accuracy", "valid_accuracy", "test_accuracy")
    series = {name: Series.of(reals[3 * at : 3 * at + 3], moments, "fraction") for at, name in enumerate(names)}
    series["train_seconds"] = Series.of(reals[9:12], moments, "seconds")
    series["total_seconds"] = Series.of(reals[12], epochs, "seconds")
    series["params"] = Series.of(parameters / 1e6, 0, "millions")
    provenance = {"tool": compact.TOOL, "source": source} | ({"faults": faults} if faults else {})
    return Evaluation(index, seed, epochs, series, False, provenance)


@settings(deadline=None)
@given(
    reals=st.lists(REALS, min_size=13, max_size=13)
    | st.lists(FLOATS_32, min_size=13, max_size=13)
    | st.lists(ANY_BITS, min_size=13, max_size=13),
    index=st.integers(0, (1 << 32) - 1),
    seed=st.integers(0, 255),
    epochs=st.integers(1, 127).map(lambda half: 2 * half),
    parameters=st.integers(0, (1 << 32) - 1),
    source=st.sampled_from(compact.SOURCES) | st.text(max_size=20).filter(lambda text: text not in compact.SOURCES),
    faults=st.sampled_from(["", "params", "order", "params,order"]),
)
def test_a_record_keeps_every_bit(reals, **fields):
    given_one = evaluation(reals, **fields)
    data = encode(given_one)
    assert data[2] == compact.VERSION
    found = decode(data)
    assert found == given_one and found.provenance == given_one.provenance
    assert encode(found) == data
    for name, series in given_one.series.items():
        assert found.series[name].values.tobytes() == series.values.tobytes()


@pytest.mark.parametrize("source", [5, None, ["a"], "\ud800"], ids=repr)
def test_a_source_of_any_kind_comes_back(source):
    """A file of results may hold anything in a provenance, half a surrogate pair too: JSON can escape that."""
    given_one = evaluation(REAL, source=source)
    assert decode(encode(given_one)) == given_one
    other = dataclasses.replace(given_one, provenance={"note": source})
    assert decode(encode(other)) == other


def test_a_published_training_takes_75_bytes():
    reals = np.float32(np.arange(13) / 9984).astype(float)
    assert len(encode(evaluation(reals))) == 75
    assert len(encode(evaluation(reals, source="other"))) == 80
    assert len(encode(evaluation(REAL))) == 75 + 12 * 4


REAL = [0.1] * 13


@pytest.mark.parametrize(
    "other",
    [
        evaluation(REAL, seed="mean"),
        evaluation(REAL, seed=256),
        evaluation(REAL, epochs=256),
        evaluation(REAL, parameters=1 << 32),
        evaluation(REAL, parameters=0.5),
        evaluation(REAL, faults="order,params"),
        evaluation(REAL, faults="unheard of"),
    ],
)
def test_what_has_another_form_is_kept_in_the_general_one(other):
    data = encode(other)
    assert data[2] == 2
    assert decode(data) == other and decode(data).provenance == other.provenance


def test_another_provenance_series_or_unit_is_kept_in_the_general_one():
    one = evaluation(REAL)
    others = [
        Evaluation(5, 1, 12, one.series, False, {**one.provenance, "note": "x"}),
        Evaluation(5, 1, 12, one.series, True, one.provenance),
        Evaluation(5, 1, 12, dict(list(one.series.items())[1:]), False, one.provenance),
        Evaluation(5, 1, 12, dict(reversed(one.series.items())), False, one.provenance),
        Evaluation(5, 1, 12, {**one.series, "params": Series.of(1.5, 1, "millions")}, False, one.provenance),
        Evaluation(5, 1, 12, {**one.series, "params": Series.of(1.5, 0, "percent")}, False, one.provenance),
    ]
    for other in others:
        assert encode(other)[2] == 2 and decode(encode(other)) == other


def test_many_records_at_once():
    rng = np.random.default_rng(0)
    rows = [evaluation(np.float32(rng.random(13)).astype(float), index=at, seed=at % 3) for at in range(50)]
    many = compact.decode_many([encode(row) for row in rows])
    for metric in compact.SERIES:
        for epoch in (None, 0, 6, 12, 3):
            singles = [row.value(metric, epoch) for row in rows]
            expected = np.array([np.nan if value is None else value for value in singles])
            assert np.array_equal(many.value(metric, epoch), expected, equal_nan=True)
    assert many.index.tolist() == list(range(50)) and set(many.seed.tolist()) == {0, 1, 2}


def test_records_that_are_mixed_or_damaged_are_left_to_the_reader_of_single_ones():
    good, wide = encode(evaluation([0.5] * 13)), encode(evaluation([0.1] * 13))
    assert compact.decode_many([good, good]) is not None and compact.decode_many([wide, wide]) is not None
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    for records in ([], [good, wide], [good, damaged], [good[:20]] * 2, [b"NG\2" + good[3:]]):
        assert compact.decode_many(records) is None


def test_numbers_out_of_their_bounds_are_refused():
    many = compact.decode_many([encode(evaluation(REAL))])
    many.seed[0] = 300
    with pytest.raises(InvalidSetting, match="seed of such trainings is 0 to 255; got 300"):
        compact.encode_many(many, "x")


@given(st.data())
def test_no_damage_goes_unnoticed(data):
    record = bytearray(encode(evaluation(REAL)))
    at = data.draw(st.integers(0, len(record) - 1))
    record[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((StoreDamaged, StoreSchemaError)):
        decode(bytes(record))


@given(st.binary(max_size=130))
def test_no_body_does_harm(body):
    record = compact._HEAD.pack(b"NG", compact.VERSION, zlib.crc32(body, compact.VERSION)) + body
    try:
        found = decode(record)
    except StoreDamaged:
        return
    assert found.epochs % 2 == 0
    compact.decode_many([record])
