"""Stores that are full, damaged, newer, not writable, or no stores at all."""

import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasgym.errors import NasgymError, StoreDamaged, StoreError, StoreFull, StoreReadOnly, StoreSchemaError
from nasgym.store import Store, layout
from nasgym.store.pages import page_problem
from tests.store.samples import KEY, OTHER, evaluation

ROOT = Path(__file__).parents[2]


def filled(path: Path, rows: int = 400) -> Path:
    with Store(path) as store:
        store.ensure_table(KEY, 1000)
        store.put(KEY, [evaluation(i, s, blob=os.urandom(40).hex()) for i in range(rows) for s in (0, "mean")])
        store.build_columns(KEY)
        store.put(KEY, [evaluation(999)])
    return path / "data.mdb"


def set_record(path: Path, key: bytes, value: bytes) -> None:
    with Store(path) as store:
        store._write(lambda txn: txn.put(key, value))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the system refuse larger files, as a full disk would."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_a_full_disk_loses_nothing(store: Store) -> None:
    store.put(KEY, [evaluation(1)])
    with files_of_at_most(store.size_on_disk + 4096):
        with pytest.raises(StoreFull, match=r"no room for the store .*/store .*free some space, then repeat"):
            store.put(KEY, [evaluation(i, blob=os.urandom(2000).hex()) for i in range(2, 300)])
        assert store.get(KEY, 1, 0) == evaluation(1)
    assert store.info(KEY).rows == 1
    assert store.verify() == []
    store.put(KEY, [evaluation(i) for i in range(2, 300)])
    assert store.info(KEY).rows == 299


def test_a_store_on_a_full_disk_can_be_read_and_later_written(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "lock.mdb").unlink()
    with Store(tmp_path) as store, Store(tmp_path / "new") as new:
        with files_of_at_most(4096):  # not even the lock file has room
            assert store.get(KEY, 1, 0) is not None
            with pytest.raises(StoreFull, match="no room for the store"):
                store.put(KEY, [evaluation(1, 9)])
            with pytest.raises(StoreFull, match="no room for the store"):
                new.ensure_table(KEY, 10)
            assert new.keys() == []
        store.put(KEY, [evaluation(1, 9)])
        new.ensure_table(KEY, 10)
        assert new.keys() == [KEY]


def test_no_room_for_columns_is_no_reason_to_fail(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(KEY, [evaluation(i) for i in range(300)])

    def full(*_: object) -> None:
        raise StoreFull("no room")

    monkeypatch.setattr(Store, "build_columns", full)
    assert store.columns(KEY, ["valid_accuracy"]).stored.sum() == 300


@pytest.mark.parametrize("content", [b"garbage" * 5000, b"x", b"\0" * 8192, bytes(range(256)) * 64])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    for readonly in (False, True):
        with pytest.raises(StoreDamaged, match=f"{tmp_path} is damaged .*Restore it from a copy or an export"):
            Store(tmp_path, readonly=readonly).keys()
    assert (tmp_path / "data.mdb").read_bytes() == content
    problems = Store(tmp_path).verify()
    assert len(problems) == 1
    assert "data.mdb is damaged" in problems[0]


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("architecture")
    with pytest.raises(StoreDamaged, match=r"results\.csv is a file, and a store is a directory"):
        Store(tmp_path / "results.csv").keys()
    with pytest.raises(StoreError, match="cannot be made"):
        Store(tmp_path / "results.csv").ensure_table(KEY, 10)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    import lmdb

    with lmdb.open(str(tmp_path)) as env, env.begin(write=True) as txn:
        txn.put(b"key", b"value")
    for use in (lambda s: s.keys(), lambda s: s.ensure_table(KEY, 10)):
        with pytest.raises(StoreDamaged, match="not a store of nasgym: choose another directory"):
            use(Store(tmp_path))
    with lmdb.open(str(tmp_path)) as env, env.begin() as txn:
        assert list(txn.cursor()) == [(b"key", b"value")]


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = filled(tmp_path)
    set_record(tmp_path, layout.META_KEY, layout.schema_record(layout.SCHEMA + 1))
    before = file.read_bytes()
    for use in (lambda s: s.get(KEY, 1, 0), lambda s: s.put(KEY, [evaluation(5, 5)]), lambda s: s.verify()):
        with pytest.raises(StoreSchemaError, match=r"has schema 2, this nasgym knows up to 1: upgrade"):
            use(Store(tmp_path))
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "meta", [b"", b"null", b"{}", b'{"application": "x", "schema": 1}', b'{"schema": "x"}', b"\xff"]
)
def test_an_unreadable_schema(tmp_path: Path, meta: bytes) -> None:
    filled(tmp_path, 2)
    set_record(tmp_path, layout.META_KEY, meta)
    with pytest.raises(StoreDamaged, match="not a store of nasgym"):
        Store(tmp_path).keys()


def test_a_cut_off_store_is_refused(tmp_path: Path) -> None:
    file = filled(tmp_path)
    size = file.stat().st_size
    for rest in (size - 1, size - 4096 * 3, size // 2, 3 * 4096):
        os.truncate(file, rest)
        assert any("data.mdb is damaged" in problem for problem in Store(tmp_path).verify())
        for readonly in (False, True):
            with pytest.raises(StoreDamaged, match=r"is cut off, \d+ bytes of \d+: page \d+ is behind the end"):
                Store(tmp_path, readonly=readonly).keys()


def test_free_pages_may_be_missing_at_the_end(tmp_path: Path) -> None:
    file = filled(tmp_path)
    with Store(tmp_path) as store:  # a large value at the end of the file, which is deleted again
        store._write(lambda txn: txn.put(layout.column_key(1, "large", 3), os.urandom(300_000)))
        store._write(lambda txn: txn.delete(layout.column_key(1, "large", 3)))
    os.truncate(file, file.stat().st_size - 200_000)
    with Store(tmp_path) as store:
        assert store.get(KEY, 1, 0) is not None


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (layout.cell_key(b"r", 1, 5, 0), b"garbage", "the evaluation .* cannot be read: a record"),
        (layout.cell_key(b"r", 1, 77, 1), None, r"Cell\(index=77, seed=1\) holds architecture 5, seed 0"),
        (layout.table_key(b"s", 1), layout.TableState(9, 8, 0).encode(), "801 evaluations, but 8 were counted"),
        (layout.table_key(b"s", 1), b"short", "the state of a table has 5 bytes"),
        (layout.table_key(b"t", 1), b"[]", "list of tables cannot be read"),
        (b"zebra", b"", "1 keys belong to no table"),
        (layout.cell_key(b"r", 9, 5, 0), b"", "1 keys belong to no table"),
        (layout.table_key(b"r", 1) + b"x", b"", "a key of an evaluation has 6 bytes"),
        (layout.pending_key(1, 99), b"odd", "list of changed cells has the wrong length"),
        (layout.pending_key(1, 99), layout.encode_cells([(998, 3)]), "998 is listed as changed but has no evaluation"),
    ],
)
def test_verify_names_what_is_wrong(tmp_path: Path, key: bytes, value: bytes | None, said: str) -> None:
    filled(tmp_path)
    with Store(tmp_path) as store:
        assert store.verify() == []
        source = layout.cell_key(b"r", 1, 5, 0)
        store._write(lambda txn: txn.put(key, txn.get(source) if value is None else value))
        problems = store.verify()
    assert problems
    assert re.search(said, " ".join(problems)), problems


JUNK = st.binary(max_size=40) | st.sampled_from(
    [b"[]", b"{}", b"null", b'{"host": 1, "pid": "x"}', layout.schema_record(1)]
)
KEYS = st.builds(
    lambda kind, table, rest: kind + table.to_bytes(4, "big") + rest,
    st.sampled_from([b"t", b"s", b"r", b"c", b"p", b"l"]),
    st.integers(1, 2),
    st.binary(max_size=20) | st.just((5).to_bytes(8, "big") * 2) | st.just(b"\xff\xff\xff\xffvalid_accuracy"),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.dictionaries(KEYS | st.binary(min_size=1, max_size=6), JUNK, min_size=1, max_size=3))
def test_any_junk_gives_named_errors_only(tmp_path: Path, junk: dict[bytes, bytes]) -> None:
    folder = tmp_path / "store"
    shutil.rmtree(folder, ignore_errors=True)
    with Store(folder) as store:
        store.ensure_table(KEY, 1000)
        store.put(KEY, [evaluation(5, 5), evaluation(6)])
        store._write(lambda txn: [txn.put(key, value) for key, value in junk.items()])
    with Store(folder) as store:
        for use in (
            lambda: store.verify(),
            lambda: store.tables(),
            lambda: store.columns(KEY, ["valid_accuracy"]),
            lambda: store.get(KEY, 5, 5),
            lambda: store.seeds(KEY, 5),
            lambda: list(store.scan(KEY)),
            lambda: store.claim(KEY, 5, 4, 60),
            lambda: store.put(KEY, [evaluation(5, 4)], on_conflict="replace"),
            lambda: store.build_columns(KEY),
            lambda: store.export(tmp_path / "file"),
        ):
            with suppress(NasgymError):
                use()


def test_a_damaged_record_is_an_error_and_the_others_are_read(tmp_path: Path) -> None:
    filled(tmp_path)
    set_record(tmp_path, layout.cell_key(b"r", 1, 5, 0), b"garbage")
    with Store(tmp_path) as store:
        with pytest.raises(StoreDamaged, match="a record"):
            store.get(KEY, 5, 0)
        assert store.get(KEY, 6, 0) is not None


SCRIPT = """
import json, sys
from nasgym.errors import NasgymError
from nasgym.store import Store
for line in sys.stdin:
    try:
        print(json.dumps(Store(line.strip()).verify()), flush=True)
    except NasgymError as error:
        print(json.dumps([str(error)]), flush=True)
"""


def test_verify_survives_flipped_bits_anywhere(tmp_path: Path) -> None:
    """LMDB trusts its file; a bad one may only ever give sentences."""
    whole = filled(tmp_path / "whole")
    rng = random.Random(1)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = 0
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for number in range(60):
            folder = tmp_path / str(number)
            folder.mkdir()
            data = bytearray(whole.read_bytes())
            for _ in range(rng.choice([1, 10, 200])):
                page = rng.randrange(len(data) // 4096) * 4096
                data[page + rng.choice([rng.randrange(24), rng.randrange(4096)])] ^= 1 << rng.randrange(8)
            (folder / "data.mdb").write_bytes(data)
            reader.stdin.write(f"{folder}\n")
            reader.stdin.flush()
            answer = reader.stdout.readline()
            assert answer, f"the reader died of store {number}"
            found += bool(json.loads(answer))
            shutil.rmtree(folder)
    assert found > 30


def test_the_walk_finds_nothing_in_a_sound_file(tmp_path: Path) -> None:
    assert page_problem(filled(tmp_path)) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission(tmp_path: Path) -> None:
    filled(tmp_path / "store")
    (tmp_path / "store" / "lock.mdb").chmod(0o444)
    (tmp_path / "store" / "data.mdb").chmod(0o444)
    with Store(tmp_path / "store") as store:
        assert store.get(KEY, 1, 0) is not None
        with pytest.raises(StoreReadOnly):
            store.put(KEY, [evaluation(1, 7)])


def test_a_store_that_the_disk_lets_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lmdb

    filled(tmp_path)
    real = lmdb.open

    def on_a_read_only_disk(path: str, **options: object) -> object:
        if options.get("readonly"):
            return real(path, **options)
        error = lmdb.Error(f"{path}: Read-only file system")
        error.code = 30
        raise error

    monkeypatch.setattr(lmdb, "open", on_a_read_only_disk)
    with Store(tmp_path) as store:
        assert store.get(KEY, 1, 0) is not None
        assert store.columns(KEY, ["valid_accuracy"]).stored.sum() == 801
        for write in (lambda: store.put(KEY, [evaluation(1, 7)]), lambda: store.ensure_table(OTHER, 5)):
            with pytest.raises(StoreReadOnly, match="cannot be written by this user: .*NASGYM_HOME"):
                write()
