"""The cells of NAS-Bench-101: the published hash, the enumeration, the canonical form and the file of cells."""

from __future__ import annotations

import errno
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.errors import InvalidArchitecture
from nasgym.spaces import NB101
from nasgym.spaces.nb101 import table
from nasgym.spaces.nb101.codes import edge_bit, graphs
from nasgym.spaces.nb101.graphs import OPERATIONS, as_matrix, hash_cell, hash_graph, kept_vertices
from nasgym.spaces.nb101.hashing import hash_cells
from tests.nb101_golden import C1, C3, CELLS


def matrix_of(rows: list[str]) -> np.ndarray:
    return np.array([[int(c) for c in row] for row in rows])


@pytest.mark.parametrize("digest", CELLS)
def test_published_hashes(digest: str) -> None:
    rows, operations = CELLS[digest]
    assert hash_cell(matrix_of(rows), operations) == digest
    assert hash_cell(matrix_of(rows).tolist(), operations) == digest
    assert hash_cell(matrix_of(rows).astype(float), operations) == digest  # numbers of any kind, one hash


@settings(deadline=None)  # a loaded machine may take its time
@given(st.integers(0, 2**28 - 1), st.lists(st.sampled_from(OPERATIONS), min_size=6, max_size=6), st.randoms())
def test_the_hash_does_not_depend_on_the_order_of_vertices(bits: int, operations: list[str], random) -> None:
    matrix = np.zeros((8, 8), dtype=int)
    matrix[np.triu_indices(8, 1)] = [bits >> i & 1 for i in range(28)]
    labels = [-1, *map(OPERATIONS.index, operations), -2]
    order = list(range(8))
    random.shuffle(order)
    moved = matrix[np.ix_(order, order)]
    assert hash_graph(moved, [labels[v] for v in order]) == hash_graph(matrix, labels)


@settings(deadline=None)  # a loaded machine may take its time
@given(st.integers(0, 2**21 - 1), st.lists(st.sampled_from(OPERATIONS), min_size=5, max_size=5))
def test_pruned_or_not_a_cell_has_one_hash(bits: int, operations: list[str]) -> None:
    matrix = np.zeros((7, 7), dtype=int)
    matrix[np.triu_indices(7, 1)] = [bits >> i & 1 for i in range(21)]
    kept = kept_vertices(matrix)
    if not kept:
        with pytest.raises(InvalidArchitecture, match="disconnected"):
            hash_cell(matrix, operations)
        return
    fewer = [operations[v - 1] for v in kept[1:-1]]
    assert hash_cell(matrix, operations) == hash_cell(matrix[np.ix_(kept, kept)], fewer)


def test_two_larger_graphs_that_differ_share_a_hash() -> None:
    """The known limit: a ring of eight and two rings of four look alike from every vertex."""

    def between_input_and_output(pairs: list[tuple[int, int]]) -> np.ndarray:
        matrix = np.zeros((10, 10), dtype=int)
        matrix[0, 1:5] = matrix[5:9, 9] = 1
        for x, y in pairs:
            matrix[x, y] = 1
        return matrix

    ring = between_input_and_output([(1, 5), (1, 6), (2, 6), (2, 7), (3, 7), (3, 8), (4, 8), (4, 5)])
    two = between_input_and_output([(x, y) for x in (1, 2) for y in (5, 6)] + [(x, y) for x in (3, 4) for y in (7, 8)])
    reach_ring = {tuple(row) for row in (ring @ ring.T)[1:5, 1:5].tolist()}
    reach_two = {tuple(row) for row in (two @ two.T)[1:5, 1:5].tolist()}
    assert {max(r) for r in reach_ring} == {max(r) for r in reach_two} and len(reach_ring) != len(reach_two)
    assert hash_cell(ring, [C3] * 8) == hash_cell(two, [C3] * 8)


@pytest.mark.parametrize(
    ("matrix", "operations", "message"),
    [
        ([[0, 1, 0], [0, 0, 1]], [C3], r"square.*\(2, 3\)"),
        ([[0, 1], [0]], [], "rows of one length"),
        ([[0]], [], r"\(1, 1\)"),
        ([[0, 2], [0, 0]], [], "0 and 1"),
        ([[0, 1], [1, 0]], [], "upper triangular.*1→0"),
        ([[1, 1], [0, 0]], [], "upper triangular.*0→0"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["none"], "unknown operation 'none'"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", C3, "output"], "1 inner operations; got 3"),
        ([[0, 1, 0], [0, 0, 0], [0, 0, 0]], [C3], "disconnected"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], None, "list of names; got None"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], C3, "list of names; got 'conv3x3-bn-relu'"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [0], "unknown operation '0'"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], np.array([[C3, C1]]), "unknown operation"),
        (None, [C3], r"square.*\(\)"),
        ("010/001/000", [C3], r"square.*\(\)"),
        ([[0.0, np.nan], [0.0, 0.0]], [], "0 and 1"),
    ],
)
def test_what_is_no_cell_is_refused_by_name(matrix, operations, message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        hash_cell(matrix, operations)


def test_operations_may_be_an_array() -> None:
    assert hash_cell(as_matrix([[0, 1, 0], [0, 0, 1], [0, 0, 0]]), np.array([C3])) == next(
        digest for digest, (rows, ops) in CELLS.items() if len(rows) == 3 and ops == [C3]
    )


def test_the_enumeration_has_the_published_counts() -> None:
    known = graphs()
    sizes = known.vertices.astype(int)
    assert [int((sizes == v).sum()) for v in range(2, 8)] == [1, 2, 10, 121, 1_545, 4_793]
    assert [int((sizes == v).sum()) * 3 ** (v - 2) for v in range(2, 8)] == [1, 6, 90, 3_267, 125_145, 1_164_699]
    rows, _ = table.enumerate_cells()
    assert [int((sizes[rows] == v).sum()) for v in range(2, 8)] == [1, 6, 84, 2_441, 62_010, 359_082]
    edges = np.bincount(np.bitwise_count(known.codes[rows]))
    assert edges.tolist() == [0, 1, 3, 12, 60, 339, 2_134, 13_984, 78_822, 328_269]
    for v, size in table.SIZES.items():
        assert len(table.enumerate_cells(v)[0]) == size


def test_the_canonical_cell_is_the_first_of_its_class() -> None:
    """All labelled matrices of up to 5 vertices in published order, told apart by the plain hash."""
    seen: dict[str, tuple[int, int]] = {}
    for v in range(2, 6):
        for bits in range(1 << v * (v - 1) // 2):
            matrix = np.array([[int(x < y and bits >> edge_bit(x, y) & 1) for y in range(v)] for x in range(v)])
            if bits.bit_count() > 9 or not (matrix[:-1].any(axis=1).all() and matrix[:, 1:].any(axis=0).all()):
                continue
            for labels in product(range(3), repeat=v - 2):
                number = sum(label * 3 ** (4 - i) for i, label in enumerate(labels))
                seen.setdefault(hash_graph(matrix, [-1, *labels, -2]), (bits, number))
    rows, labels = table.enumerate_cells(5)
    assert list(zip(graphs().codes[rows].tolist(), labels.tolist(), strict=True)) == sorted(seen.values())
    found = table.open_table(5)
    assert [row.tobytes().hex() for row in found.digests] == sorted(seen)


def test_every_order_of_the_vertices_is_one_cell() -> None:
    space = NB101()
    rng = np.random.default_rng(3)
    for genotype in space.sample(rng, 20):
        matrix = np.zeros((7, 7), dtype=int)
        matrix[np.triu_indices(7, 1)] = genotype[:21]
        operations = [OPERATIONS[op] for op in genotype[21:]]
        index = space.index(genotype[None])[0]
        for order in permutations(range(1, 6)):
            whole = [0, *order, 6]
            moved = matrix[np.ix_(whole, whole)]
            if not np.tril(moved).any():
                again = space.from_cell(moved, [operations[v - 1] for v in order])
                assert space.index(again[None])[0] == index


def test_many_at_once_the_hash_is_the_plain_one() -> None:
    space = NB101()
    indices = np.random.default_rng(0).integers(0, space.size, 300)
    known = graphs()
    graph, labels = space.table.graph(indices), space.table.labels(indices)
    digests = hash_cells(known.codes[graph], labels, known.vertices[graph])
    cells = space.cells(indices)
    assert [d.tobytes().hex() for d in digests] == [hash_cell(c.matrix, c.operations) for c in cells]


def test_all_hashes_are_the_published_ones() -> None:
    digests = NB101().table.digests
    hashes = [row.tobytes().hex() for row in digests]
    assert hashes == sorted(hashes)
    checksum = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    assert checksum == "a7f10bf770c1b5b8a221e37824e42b3b1a237a5d21ccf545bbe8e23abd933403"
    assert (hashes[0], hashes[-1]) == ("00005c142e6f48ac74fdcf73e3439874", "ffff76fafa7b0cdf545fd7feee9c8bf9")


@pytest.mark.slow
def test_all_cells_are_enumerated_within_a_minute_of_one_core(tmp_path: Path, monkeypatch) -> None:
    code = "import time; from nasgym.spaces.nb101.table import open_table\nopen_table(7); print(time.process_time())"
    monkeypatch.setenv("NASGYM_CACHE", str(tmp_path))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=280)
    assert float(run.stdout) < 60
    assert "enumerating the 423,624 cells" in run.stderr
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size < 15_000_000


@pytest.fixture
def cells_file(tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """The file of the cells of up to 4 vertices, in a cache of its own."""
    monkeypatch.setenv("NASGYM_CACHE", str(tmp_path / "cache"))
    table.open_table.cache_clear()
    yield table.cache_file(4)
    table.open_table.cache_clear()


def test_the_file_is_made_once_and_mapped(cells_file: Path, monkeypatch) -> None:
    made = table.open_table(4)
    assert [path.name for path in cells_file.parent.iterdir()] == [cells_file.name]
    table.open_table.cache_clear()
    monkeypatch.setattr(table, "_make_table", None)  # not needed again
    found = table.open_table(4)
    assert np.array_equal(found.digests, made.digests) and np.array_equal(found.cells, made.cells)
    assert not found.digests.flags.writeable


@pytest.mark.parametrize("damage", ["empty", "cut", "one bit"])
def test_a_damaged_file_is_made_again(damage: str, cells_file: Path) -> None:
    made = table.open_table(4)
    sound = cells_file.read_bytes()
    broken = {"empty": b"", "cut": sound[:-1], "one bit": bytes([sound[0] ^ 1]) + sound[1:]}[damage]
    cells_file.unlink()  # the old one is still mapped
    cells_file.write_bytes(broken)
    table.open_table.cache_clear()
    assert np.array_equal(table.open_table(4).digests, made.digests)
    assert cells_file.read_bytes() == sound


def test_where_nothing_can_be_written_the_cells_are_there_all_the_same(tmp_path: Path, monkeypatch, caplog) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NASGYM_CACHE", str(tmp_path / "file"))
    table.open_table.cache_clear()
    try:
        assert len(table.open_table(4).cells) == 91
    finally:
        table.open_table.cache_clear()
    assert "cannot be written" in caplog.text


def test_a_full_disk_leaves_no_draft(cells_file: Path, monkeypatch, caplog) -> None:
    def full(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert len(table.open_table(4).cells) == 91
    assert list(cells_file.parent.iterdir()) == [] and "no space left" in caplog.text


def test_the_file_lies_in_the_users_cache(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NASGYM_CACHE")
    monkeypatch.setenv("NASGYM_HOME", str(tmp_path))
    assert table.cache_file(7) == tmp_path / "cells" / "nb101-7.cells"
    monkeypatch.delenv("NASGYM_HOME")
    assert "nasgym" in table.cache_file(7).parts


def test_importing_enumerates_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NASGYM_CACHE", str(tmp_path / "cache"))
    code = (
        "import nasgym, nasgym.envs\n"
        "from nasgym.spaces import get_space, space_names\n"
        "from nasgym.spaces.nb101 import codes, table\n"
        "assert {'nb101', 'nb101-5'} <= set(space_names()) and get_space('nb101').size == 423_624\n"
        "assert codes.graphs.cache_info().currsize == table.open_table.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert not (tmp_path / "cache").exists()
