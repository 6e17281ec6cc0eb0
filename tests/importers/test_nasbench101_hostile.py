"""Broken records of NAS-Bench-101's file are refused by name, with the byte where they begin."""

import base64
import json
import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.errors import InvalidArchive, NasgymError
from nasgym.importers import import_nasbench101, nasbench101_metrics
from nasgym.importers.nasbench101 import TABLES
from nasgym.importers.nasbench101_faults import BadRecord
from nasgym.importers.nasbench101_metrics import read_metrics
from nasgym.importers.nasbench101_records import read_batch
from nasgym.store import Store
from tests.importers import nb101_records as records

ROW = json.loads(records.REAL)
MESSAGE = base64.b64decode(ROW[4])
OTHER_HASH = "b49ac8c578b4561d79ac7087988f1c61"


def with_metrics(message):
    return records.payload(*ROW[:4], message)


def with_value(moment, tag, value):
    at = 47 * moment + 2 + 9 * (tag - 1) + 1
    return with_metrics(MESSAGE[:at] + struct.pack("<d", value) + MESSAGE[at + 8 :])


def row(**changes):
    names = ("name", "epochs", "matrix", "operations", "metrics")
    return json.dumps([changes.get(name, value) for name, value in zip(names, ROW, strict=True)]).encode()


EXTRA_EDGES = "0111111001111100011110000111000001100000010000000"
BROKEN = {
    "no JSON": (b"hello", "no JSON text"),
    "deep JSON": (b"[" * 30_000, "no JSON text"),
    "a JSON number": (b"1234", "no list of hash"),
    "four values": (json.dumps(ROW[:4]).encode(), "no list of hash"),
    "epochs as text": (row(epochs="4"), "no list of hash"),
    "epochs true": (row(epochs=True), "no list of hash"),
    "epochs 5": (row(epochs=5), "trained for 5 epochs; published trainings have (4, 12, 36, 108)"),
    "epochs of another record": (row(epochs=12), "its evaluations are at epochs [0.0, 2.0, 4.0], not [0, 6, 12]"),
    "short hash": (row(name="00005c14"), "a hash has 32 hexadecimal digits"),
    "hash in capitals": (row(name=ROW[0].upper()), "a hash has 32 hexadecimal digits"),
    "hash with a surrogate": (row(name="\ud800"), "a hash has 32 hexadecimal digits"),
    "unknown hash": (row(name="0" * 32), "no cell of nb101 has its hash 00000000"),
    "hash of another cell": (row(name=OTHER_HASH), f"its hash is {OTHER_HASH}, but that of its matrix"),
    "operations of another cell": (row(operations=ROW[3].replace("maxpool3x3", "conv1x1-bn-relu")), "but that of its"),
    "matrix of 48": (row(matrix=ROW[2][1:]), "48 entries, which is none of 2x2 to 7x7"),
    "matrix of nothing": (row(matrix=""), "0 entries"),
    "matrix with 2": (row(matrix=ROW[2].replace("1", "2")), "not of 0 and 1 above the diagonal alone"),
    "matrix with letters": (row(matrix="x" * 49), "not of 0 and 1 above the diagonal alone"),
    "matrix with a loop": (row(matrix="1" + ROW[2][1:]), "not of 0 and 1 above the diagonal alone"),
    "too many edges": (row(matrix=EXTRA_EDGES), "is no cell of nb101"),
    "no edges": (row(matrix="0" * 49), "is no cell of nb101"),
    "too few operations": (row(operations="input,output"), "a matrix of 7 vertices has input, 5 of"),
    "unknown operation": (row(operations=ROW[3].replace("maxpool3x3", "none")), "its operations are"),
    "no input": (row(operations=ROW[3].replace("input", "in")), "its operations are"),
    "no base64": (row(metrics="*" * 20), "no base64"),
    "cut base64": (row(metrics=ROW[4][:102]), "no base64"),
    "no metrics": (row(metrics=""), "0 evaluations"),
    "cut message": (with_metrics(MESSAGE[:100]), "ends behind the message"),
    "cut at a tag": (with_metrics(MESSAGE[:47]), "1 evaluations; there are three"),
    "endless number": (with_metrics(b"\x10" + b"\xff" * 11), "more than ten bytes"),
    "a number cut off": (with_metrics(MESSAGE + b"\x20\xff"), "is cut off"),
    "length of an exabyte": (with_metrics(b"\x0a" + records.varint(1 << 60)), "ends behind the message"),
    "wrong wire type": (with_metrics(b"\x08\x01" + MESSAGE), "wire type 0 instead of 2"),
    "group": (with_metrics(MESSAGE + b"\x23"), "wire type 3, which there is none of"),
    "two evaluations": (with_metrics(MESSAGE[47:]), "2 evaluations"),
    "four evaluations": (with_metrics(MESSAGE[:47] + MESSAGE), "4 evaluations"),
    "no parameters": (with_metrics(MESSAGE[:141] + MESSAGE[146:]), "without trainable_parameters"),
    "no total time": (with_metrics(MESSAGE[:146]), "without total_time"),
    "no test accuracy": (with_metrics(b"\x0a\x24" + MESSAGE[2:38] + MESSAGE[47:]), "without test_accuracy"),
    "negative parameters": (
        with_metrics(MESSAGE[:141] + b"\x10" + records.varint((1 << 64) - 5) + MESSAGE[146:]),
        "trainable_parameters; there are at most 2147483647",
    ),
    "accuracy nan": (with_value(2, 4, np.nan), "an accuracy that is no number in 0..1"),
    "accuracy in percent": (with_value(1, 5, 94.3), "an accuracy that is no number in 0..1"),
    "negative accuracy": (with_value(1, 3, -0.1), "an accuracy that is no number in 0..1"),
    "endless seconds": (with_value(2, 2, np.inf), "a training time that is no number of 0 or more seconds"),
    "negative seconds": (with_value(1, 2, -1.0), "a training time that is no number of 0 or more seconds"),
    "total time nan": (with_metrics(MESSAGE[:-8] + struct.pack("<d", np.nan)), "a total time that is no number"),
    "other epochs": (with_value(2, 1, 5.0), "its evaluations are at epochs [0.0, 2.0, 5.0], not [0, 2, 4]"),
    "epoch nan": (with_value(0, 1, np.nan), "its evaluations are at epochs [nan, 2.0, 4.0]"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_record_is_refused_by_name(kind):
    payload, says = BROKEN[kind]
    with pytest.raises(BadRecord) as caught:
        read_batch([records.REAL, payload, records.REAL])
    assert caught.value.at == 1
    assert says in caught.value.what


def test_the_error_tells_the_byte_and_what_came_before_is_kept(tmp_path):
    bad = [BROKEN[kind][0] for kind in ("accuracy nan", "no JSON", "unknown hash")]
    good = list(records.Maker().records([4], epochs=(4,)))
    path, store = tmp_path / "a.tfrecord", Store(tmp_path / "store")
    for first in range(3):  # whichever check finds something first, the first broken record is named
        path.write_bytes(records.framed([*good, *bad[first:], *bad[:first]]))
        with pytest.raises(
            InvalidArchive, match=f"the record at byte {len(records.framed(good)):,} is broken"
        ) as caught:
            import_nasbench101(store, path)
        assert "Download the file again; what was imported stays" in str(caught.value)
        assert store.seeds(TABLES[4], 4) == [0, 1, 2]


def test_a_broken_first_record_leaves_the_store_as_it_was(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(records.framed([b"hello"]))
    with pytest.raises(InvalidArchive, match="byte 0 is broken: it is no JSON text.*; nothing was imported"):
        import_nasbench101(Store(tmp_path / "store"), tmp_path / "a.tfrecord")
    assert Store(tmp_path / "store").keys() == []


def test_a_fourth_training_is_refused(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(records.framed([records.REAL] * 4))
    size = len(records.framed([records.REAL]))
    with pytest.raises(InvalidArchive, match=f"byte {3 * size:,} is broken: it is training number 4 .* there are 3"):
        import_nasbench101(Store(tmp_path / "store"), tmp_path / "a.tfrecord")


def test_known_faults_are_imported_as_they_are_and_told(tmp_path):
    other = with_metrics(MESSAGE[:141] + b"\x10" + records.varint(8_555_531) + MESSAGE[146:])
    turned = json.loads(next(iter(records.Maker().records([77_777]))))
    side = int(len(turned[2]) ** 0.5)
    matrix = np.array(list(turned[2]), dtype="U1").reshape(side, side)
    order = another_order(matrix)
    names = turned[3].split(",")
    turned[2], turned[3] = "".join(matrix[np.ix_(order, order)].ravel()), ",".join(names[at] for at in order)
    path, store = tmp_path / "a.tfrecord", Store(tmp_path / "store")
    path.write_bytes(records.framed([other, json.dumps(turned).encode()]))
    report = import_nasbench101(store, path)
    assert report.faults == {"params": 1, "order": 1}
    found = store.get(TABLES[4], 0, 0)
    assert found.provenance["faults"] == "params" and round(found.series["params"].values[0] * 1e6) == 8_555_531
    assert store.get(TABLES[4], 77_777, 0).provenance["faults"] == "order"


def another_order(matrix):
    """An order of the vertices in which the matrix is another one, upper triangular still."""
    side, rng = len(matrix), random.Random(0)
    while True:
        inner = rng.sample(range(1, side - 1), side - 2)
        order = [0, *inner, side - 1]
        turned = matrix[np.ix_(order, order)] == "1"
        if not np.tril(turned).any() and (turned != (matrix == "1")).any():
            return order


def test_other_valid_forms_are_read_the_same():
    """Fields in another order, unknown ones, the path of weights, and other JSON texts."""
    entries = [MESSAGE[at : at + 47] for at in (0, 47, 94)]
    with_path = b"\x0a\x35" + entries[2][2:] + b"\x32\x06" + b"/a/b/c"
    backwards = MESSAGE[146:] + MESSAGE[141:146] + entries[0] + entries[1] + with_path + b"\x38\x01\x4d1234"
    repeated = MESSAGE[:141] + b"\x10\x05" + MESSAGE[141:]  # of an optional field that comes twice the last one counts
    texts = [
        with_metrics(backwards),
        with_metrics(repeated),
        row(metrics=ROW[4].replace("\n", "")),
        json.dumps(ROW, indent=2).encode(),
        json.dumps(ROW).encode().replace(b"/", b"\\/").replace(b"\\n", b"\\u000a"),
    ]
    found = read_batch([records.REAL, *texts])
    for values in (*found.cells, found.epochs, *found.metrics):
        assert all(np.array_equal(values[0], value) for value in values)


def test_published_messages_are_read_many_at_once(monkeypatch):
    def never(message):
        raise AssertionError("one by one")

    monkeypatch.setattr(nasbench101_metrics, "_read_one", never)
    many = [base64.b64decode(json.loads(data)[4]) for data in records.Maker().records([0, 1, 423_623])]
    found = read_metrics([MESSAGE, *many])
    assert found.parameters[0] == 8_555_530 and found.total[0] == 413.7015450000763


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_change_of_a_message_does_harm(data):
    message = bytearray(MESSAGE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(message) - 1))
        message[at] = data.draw(st.integers(0, 255))
    cut = bytes(message[: data.draw(st.integers(0, len(message)))]) if data.draw(st.booleans()) else bytes(message)
    try:
        found = read_batch([with_metrics(cut)])
    except BadRecord as error:
        assert error.what
    else:
        assert np.isfinite(found.metrics.points).all()


@pytest.mark.slow
def test_no_change_of_a_file_does_harm(tmp_path):
    good = records.framed(list(records.Maker().records([1, 2], epochs=(4,))))
    rng = random.Random(0)
    for number in range(300):
        changed = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        path = tmp_path / f"{number}.tfrecord"
        path.write_bytes(changed[: rng.randrange(1, len(changed) + 1)])
        try:
            list(read_batch(list(part.data)) for part in import_parts(path))
        except (NasgymError, BadRecord) as error:
            assert str(error)


def import_parts(path):
    from nasgym.importers.tfrecord import read_records

    return read_records(path)
