"""The search space NAS-Bench-101: genotypes, masks, strings, samplers, mutations, encodings and costs."""

from __future__ import annotations

import pickle
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.spaces import NB101, Macro
from nasgym.spaces.nb101.codes import LABELS, canonical, graphs, prune
from nasgym.spaces.nb101.costs import OPERATION_NAMES, parameters, vertex_channels
from nasgym.spaces.nb101.encodings import from_edge_slots, from_edge_weights
from nasgym.spaces.nb101.graphs import OPERATIONS, hash_cell, kept_vertices
from nasgym.spaces.nb101.layout import layout_of
from nasgym.spaces.nb101.masks import completable
from tests.nb101_golden import PARAMETERS

SPACE = NB101()
PUBLISHED = Macro(channels=128, cells_per_stage=3, classes=10)


def matrix_of(genotype: np.ndarray, vertices: int = 7) -> np.ndarray:
    matrix = np.zeros((vertices, vertices), dtype=int)
    matrix[np.triu_indices(vertices, 1)] = genotype[: vertices * (vertices - 1) // 2]
    return matrix


def is_cell(genotype: np.ndarray, vertices: int = 7) -> bool:
    """The published validity, one genotype at a time."""
    matrix = matrix_of(genotype, vertices)
    kept = kept_vertices(matrix)
    return bool(kept) and matrix[np.ix_(kept, kept)].sum() <= 9


def test_sizes_names_and_decisions() -> None:
    assert (SPACE.name, SPACE.size, SPACE.num_decisions) == ("nb101", 423_624, 26)
    small = NB101(5)
    assert (small.name, small.size, small.num_decisions) == ("nb101-5", 2_532, 13)
    assert SPACE.decision_labels()[:7] == ("0→1", "0→2", "0→3", "0→4", "0→5", "0→6", "1→2")
    assert small.decision_labels()[-3:] == ("vertex 1", "vertex 2", "vertex 3")
    assert pickle.loads(pickle.dumps(small)) == small and hash(small) == hash(NB101(5))
    assert NB101(np.int64(5)).name == "nb101-5"
    for wrong in (2, 8, 5.5, 5.0, "5", None, True):
        with pytest.raises(InvalidSetting, match=f"3 to 7 vertices; got {wrong!r}"):
            NB101(wrong)


@settings(deadline=None)  # a loaded machine may take its time
@given(st.lists(st.integers(0, 1), min_size=21, max_size=21), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_validity_and_hash_are_the_published_ones(edges: list[int], operations: list[int]) -> None:
    genotype = np.array([edges + operations], dtype=np.int8)
    valid = is_cell(genotype[0])
    assert SPACE.is_valid(genotype)[0] == valid
    if valid:
        assert SPACE.hash(genotype) == [hash_cell(matrix_of(genotype[0]), [OPERATIONS[op] for op in operations])]
    else:
        with pytest.raises(InvalidArchitecture, match="disconnected|at most 9 edges after pruning"):
            SPACE.index(genotype)


@pytest.mark.parametrize("vertices", [3, 4, 5, 6, 7])
def test_a_few_genotypes_are_the_cells_that_they_are_among_many(vertices: int) -> None:
    """A few are read one by one, many at once: by code of its own each."""
    space = NB101(vertices)
    rng = np.random.default_rng(vertices)
    rows = rng.integers(-1, space.choices + 1, size=(3_000, space.num_decisions)).astype(np.int8)
    rows[:2_500] = rng.integers(0, space.choices, size=(2_500, space.num_decisions))  # most of the others are wrong
    together = space.is_valid(rows)
    assert 0 < together.sum() < 2_600
    assert [bool(space.is_valid(row[None])[0]) for row in rows] == together.tolist()
    cells = rows[together]
    assert [int(space.index(row[None])[0]) for row in cells] == space.index(cells).tolist()
    assert [text for row in cells[:50] for text in space.to_str(row[None])] == space.to_str(cells[:50])


@settings(deadline=None)  # a loaded machine may take its time
@given(st.integers(0, SPACE.size - 1), st.randoms(use_true_random=False))
def test_hash_index_and_string_do_not_depend_on_the_order_of_the_vertices(index: int, random) -> None:
    (cell,) = SPACE.cells([index])
    labels = [-1, *map(OPERATIONS.index, cell.operations), -2]
    order = _random_topological_order(cell.matrix, random)
    moved, operations = cell.matrix[np.ix_(order, order)], [OPERATIONS[labels[v]] for v in order[1:-1]]
    row = SPACE.from_cell(moved, operations)[None]
    assert SPACE.index(row).tolist() == SPACE.canonical(row).tolist() == [index]
    assert SPACE.hash(row) == [hash_cell(moved, operations)] == [hash_cell(cell.matrix, cell.operations)]
    assert SPACE.to_str(row) == SPACE.to_str(SPACE.from_index([index]))


def _random_topological_order(matrix: np.ndarray, random) -> list[int]:
    """An order of the vertices in which edges still lead to later ones."""
    order: list[int] = []
    while len(order) < len(matrix):
        order.append(
            random.choice(
                [v for v in range(len(matrix)) if v not in order and set(np.flatnonzero(matrix[:, v])) <= set(order)]
            )
        )
    return order


@pytest.mark.parametrize("as_operations", [list, tuple, np.array])
@pytest.mark.parametrize("as_matrix", [list, np.ndarray.tolist, np.asarray, lambda m: m.astype(float)])
def test_lists_and_arrays_are_taken_alike(as_matrix, as_operations) -> None:
    matrix, operations = np.eye(4, k=1, dtype=int), as_operations([OPERATIONS[0], OPERATIONS[2]])
    row = SPACE.from_cell(as_matrix(matrix), operations)
    assert SPACE.to_str(row[None]) == ["0100/0010/0001/0000+conv3x3-bn-relu+maxpool3x3"]
    assert SPACE.index(row[None].tolist()) == SPACE.index(row[None])
    assert hash_cell(as_matrix(matrix), operations) == SPACE.hash(row[None])[0]


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        ([0] * 26, "disconnected"),
        ([1] * 21 + [0] * 5, "at most 9 edges after pruning;.*has 21"),
        ([2] + [0] * 25, r"first 21 entries.*0\.\.1"),
        ([1] * 6 + [0] * 15 + [3] * 5, r"the others in 0\.\.2"),
        ([1] * 6 + [0] * 15 + [-1] * 5, r"the others in 0\.\.2"),
        ([300] + [0] * 25, r"first 21 entries"),
        ([0.5] * 26, "integers; got an array of float64"),
        ([0] * 25, r"shape \(n, 26\); got \(1, 25\)"),
    ],
)
@pytest.mark.parametrize("method", ["index", "hash", "canonical", "to_str", "neighbours", "computed_operations"])
def test_bad_genotypes_are_named(method: str, genotype: list[int], message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        getattr(SPACE, method)(np.array([genotype]))


def test_every_index_comes_back() -> None:
    for space in (SPACE, NB101(5), NB101(6)):
        every = np.arange(space.size)
        assert np.array_equal(space.index(space.from_index(every)), every)


def test_the_restricted_space_holds_the_cells_of_few_vertices() -> None:
    small = NB101(5)
    hashes = small.hash(small.from_index(np.arange(small.size)))
    assert hashes == sorted(hashes)
    everywhere = SPACE.from_str(hashes)
    assert SPACE.hash(everywhere) == hashes
    assert max(len(cell.matrix) for cell in small.cells(np.arange(small.size))) == 5


@pytest.mark.parametrize("vertices", [3, 4])
def test_masks_allow_exactly_what_can_become_a_cell(vertices: int) -> None:
    space = NB101(vertices)
    every = np.array(list(product((0, 1), repeat=space.num_edges)), dtype=np.int8)
    every = np.concatenate([every, np.zeros((len(every), vertices - 2), dtype=np.int8)], axis=1)
    cells = every[[is_cell(row, vertices) for row in every]]
    _check_masks(space, cells, [row[:step] for row in cells for step in range(space.num_edges)])


def _check_masks(space: NB101, cells: np.ndarray, prefixes: list[np.ndarray]) -> None:
    for prefix in prefixes:
        step = len(prefix)
        begins = (cells[:, :step] == prefix).all(axis=1)
        partial = np.full((1, space.num_decisions), -1, dtype=np.int8)
        partial[0, :step] = prefix
        allowed = {int(c) for c in np.unique(cells[begins, step])}
        assert set(np.flatnonzero(space.action_mask(partial, step)[0]).tolist()) == allowed


def test_masks_know_the_limit_of_nine_edges() -> None:
    """With 5 vertices one matrix of ten edges is too many; with 6 vertices many are: all are tried out."""
    space = NB101(6)
    codes = np.arange(1 << 15)
    every = (codes[:, None] >> np.arange(15) & 1).astype(np.int8)
    every = np.concatenate([every, np.zeros((len(every), 4), dtype=np.int8)], axis=1)
    cells = every[space.is_valid(every)]
    rng = np.random.default_rng(0)
    _check_masks(
        space,
        cells,
        [
            cells[i, :step]
            for i, step in zip(rng.integers(len(cells), size=300), rng.integers(15, size=300), strict=True)
        ],
    )


def test_one_by_one_the_masks_are_those_of_a_batch() -> None:
    codes = np.random.default_rng(0).integers(0, 1 << 21, 2_000).astype(np.int32)
    codes &= np.random.default_rng(1).integers(0, 1 << 21, 2_000).astype(np.int32)
    for open_vertices in (0, 0b111111, 0b111000, 0b100000):
        together = completable(codes, open_vertices)
        assert 0 < together.sum() < len(codes) or open_vertices == 0b111111
        assert together.tolist() == [bool(completable(codes[i : i + 1], open_vertices)[0]) for i in range(len(codes))]


def test_random_episodes_end_in_cells_of_at_most_nine_edges() -> None:
    rng = np.random.default_rng(0)
    for seed_of_bias in (0.2, 0.5, 0.9):
        walk = np.full((400, 26), -1, dtype=np.int8)
        for step in range(26):
            mask = SPACE.action_mask(walk, step)
            worth = np.where(mask, rng.random(mask.shape) + [0, 2 * seed_of_bias - 1, 0], -9)
            walk[:, step] = worth.argmax(axis=1)
        assert all(is_cell(row) for row in walk)


def test_strings_round_trip_and_are_of_the_canonical_cell() -> None:
    (text,) = SPACE.to_str(SPACE.from_str(["b49ac8c578b4561d79ac7087988f1c61"]))
    assert text == "010/001/000+conv3x3-bn-relu"
    assert SPACE.to_str(SPACE.from_str(["043721b9c7fe8c5fad811d47d83132ec"])) == ["01/00"]
    longer = "01000/00010/00000/00001/00000+conv3x3-bn-relu+maxpool3x3+conv1x1-bn-relu"  # vertex 2 is loose
    assert SPACE.to_str(SPACE.from_str([longer])) == ["0100/0010/0001/0000+conv3x3-bn-relu+conv1x1-bn-relu"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("010/001/000+conv5x5", "unknown operation 'conv5x5'.*Known: conv3x3-bn-relu"),
        ("010/001/000", "1 inner operations; got 0"),
        ("010/000/000+maxpool3x3", "disconnected"),
        ("010/001", "no square matrix"),
        ("01x/001/000+maxpool3x3", "no square matrix"),
        ("010/101/000+maxpool3x3", "upper triangular"),
        ("0111111/0011110/0001000/0000100/0000010/0000001/0000000" + "+maxpool3x3" * 5, "at most 9 edges"),
        ("f" * 32, "no cell of nb101 has the hash"),
        (7, "int 7"),
    ],
)
def test_bad_strings_are_named(text, message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        SPACE.from_str([text])


def test_larger_matrices_are_pruned_before_they_are_refused() -> None:
    matrix = np.zeros((9, 9), dtype=int)
    matrix[0, 4] = matrix[4, 8] = matrix[2, 3] = 1
    operations = [OPERATIONS[0]] * 3 + [OPERATIONS[2]] + [OPERATIONS[0]] * 3
    row = SPACE.from_cell(matrix, operations)
    assert SPACE.hash(row[None]) == ["53cee42601ad14d661bb6878031d6acb"]
    chain = np.eye(9, k=1, dtype=int)
    with pytest.raises(InvalidArchitecture, match="9 vertices after pruning; nb101 has at most 7"):
        SPACE.from_cell(chain, [OPERATIONS[0]] * 7)
    with pytest.raises(InvalidArchitecture, match="7 vertices after pruning; nb101-5 has at most 5"):
        NB101(5).from_cell(np.eye(7, k=1, dtype=int), [OPERATIONS[0]] * 5)
    full = np.triu(np.ones((7, 7), dtype=int), 1)
    with pytest.raises(InvalidArchitecture, match="at most 9 edges after pruning; .* has 21"):
        SPACE.from_cell(full.tolist(), tuple([OPERATIONS[0]] * 5))


def test_uniform_draws_and_published_draws_differ() -> None:
    rng = np.random.default_rng(0)
    sizes = [
        [len(cell.matrix) for cell in SPACE.cells(SPACE.index(drawn(rng, 3_000)))]
        for drawn in (SPACE.sample, SPACE.sample_matrices)
    ]
    uniform, published = (np.bincount(s, minlength=8)[2:] / 3_000 for s in sizes)
    assert uniform[-1] == pytest.approx(359_082 / 423_624, abs=0.03)
    assert published == pytest.approx([0.098, 0.202, 0.275, 0.302, 0.119, 0.003], abs=0.03)


def test_the_shares_of_valid_random_matrices_and_of_both_faults_are_the_published_ones() -> None:
    tried = np.random.default_rng(0).integers(0, SPACE.choices, size=(20_000, 26)).astype(np.int8)
    assert SPACE.is_valid(tried).mean() == pytest.approx(0.731, abs=0.01)
    edges = np.bitwise_count(prune(layout_of(7).codes(tried), np.zeros((20_000, 5), dtype=int))[0])
    assert (edges == 0).mean() == pytest.approx(0.072, abs=0.01)  # disconnected
    assert (edges > 9).mean() == pytest.approx(0.197, abs=0.01)


def test_published_mutations() -> None:
    parents = np.repeat(SPACE.from_str(["53cee42601ad14d661bb6878031d6acb"]), 4_000, axis=0)  # most children are valid
    many, one = SPACE.mutate(np.random.default_rng(0), parents), SPACE.mutate_one(np.random.default_rng(0), parents)
    assert (many != parents)[:, 21:].mean() == pytest.approx(1 / 5, abs=0.02)
    assert 2 < (many != parents)[:, :21].sum(axis=1).mean() < 3.5  # 3 by draw; what is invalid is drawn again
    assert ((one != parents).sum(axis=1) == 1).all()
    assert SPACE.is_valid(many).all() and SPACE.is_valid(one).all()
    changed = (one != parents).any(axis=0)
    assert changed[21:].all() and changed[:21].sum() == 19  # neither edge of the only path can go: 19 of 21


def test_encoding_b_names_edges_from_the_last_bit() -> None:
    slots = np.array([[20] * 9, [0] * 9, [20, 17, *[19] * 7]])
    rows = from_edge_slots(slots, np.zeros((3, 5), dtype=int))
    edges = [{SPACE.edges[i] for i in np.flatnonzero(row[:21])} for row in rows]
    assert edges == [{(0, 1)}, {(5, 6)}, {(0, 1), (0, 3), (0, 2)}]
    with pytest.raises(InvalidArchitecture, match=r"slots are in 0\.\.20; got 21"):
        from_edge_slots(np.full((1, 9), 21), np.zeros((1, 5), dtype=int))


def test_encoding_c_takes_the_heaviest_edges() -> None:
    weights = np.linspace(0, 1, 21)[None]
    (row,) = from_edge_weights(np.array([3]), weights, np.array([[2, 1, 0, 1, 2]]))
    assert np.flatnonzero(row[:21]).tolist() == [18, 19, 20] and row[21:].tolist() == [2, 1, 0, 1, 2]
    assert not from_edge_weights(np.array([0]), weights, np.zeros((1, 5), dtype=int)).any()
    for count, wrong, message in (([10], weights, r"counts are in 0\.\.9; got 10"), ([1], weights[:, 1:], "21")):
        with pytest.raises(InvalidArchitecture, match=message):
            from_edge_weights(np.array(count), wrong, np.zeros((1, 5), dtype=int))
    unsigned = from_edge_weights(np.array([1]), np.arange(21, dtype=np.uint8)[None], np.zeros((1, 5), dtype=int))
    assert np.flatnonzero(unsigned[0]).tolist() == [20]


@pytest.mark.parametrize(
    ("count", "weights", "operations", "message"),
    [
        (3, [[0.5] * 21], [[0] * 5], r"counts are integers of the shape \(n,\); got int64\(\)"),
        ([[3]], [[0.5] * 21], [[0] * 5], r"counts are integers of the shape \(n,\); got int64\(1, 1\)"),
        ("many", [[0.5] * 21], [[0] * 5], "counts are integers"),
        (None, [[0.5] * 21], [[0] * 5], "counts are integers"),
        ([3.0], [[0.5] * 21], [[0] * 5], "counts are integers"),
        ([3], [[0.5] * 20 + [np.nan]], [[0] * 5], "weights of edges are numbers; got nan"),
        ([3], [["heavy"] * 21], [[0] * 5], "weights of edges are numbers; got an array of <U5"),
        ([3], [[None] * 21], [[0] * 5], "weights of edges are numbers; got an array of object"),
        ([3], [[0.5] * 21, [0.5]], [[0] * 5], "weights have rows of one length"),
        ([3], [[0.5] * 21], [[0] * 5, [0]], "operations have rows of one length"),
        ([3], [[0.5] * 21], [["conv3x3-bn-relu"] * 5], "operations are integers"),
        ([3], [[0.5] * 21], [[0] * 5] * 2, "operations are given for 2 cells, edges for 1"),
    ],
)
def test_what_is_no_encoding_c_is_named(count, weights, operations, message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        from_edge_weights(count, weights, operations)


@pytest.mark.parametrize("digest", PARAMETERS)
def test_published_parameters(digest: str) -> None:
    assert SPACE.parameters(SPACE.from_str([digest]), PUBLISHED).tolist() == [PARAMETERS[digest]]


def test_as_many_other_orders_as_published_have_other_parameters() -> None:
    """All labelled graphs: those that are not the first of their cell, and those of them with another count."""
    known = graphs()
    ways = 3 ** (known.vertices.astype(int) - 2)
    graph = np.repeat(np.arange(len(known.codes)), ways)
    labels = np.concatenate([np.arange(n, dtype=np.int32) * (LABELS // n) for n in ways.tolist()])
    first = canonical(known.codes[graph], labels)
    other = (first.graph != graph) | (first.labels != labels)
    assert other.sum() == 869_584
    given = parameters(graph[other], labels[other], PUBLISHED)
    assert (given != parameters(first.graph[other], first.labels[other], PUBLISHED)).sum() == 177_009


def test_parameters_of_all_cells() -> None:
    counts = SPACE.parameters(SPACE.from_index(np.arange(SPACE.size)), PUBLISHED)
    assert (counts.min(), (counts == counts.min()).sum()) == (227_274, 32)
    assert (counts.max(), (counts == counts.max()).sum()) == (49_979_274, 42)
    assert counts.sum() == 3_583_758_170_075 and len(np.unique(counts)) == 3_336
    assert np.sort(counts)[len(counts) // 2] == 5_356_682


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs", "inner"),
    [
        (["0110", "0001", "0001", "0000"], 8, 15, [8, 7]),
        (["01110", "00001", "00001", "00001", "00000"], 8, 8, [3, 3, 2]),
        (["01000", "00110", "00001", "00001", "00000"], 8, 9, [5, 5, 4]),
        (["01010", "00101", "00010", "00001", "00000"], 8, 15, [8, 7, 7]),
        (["0100", "0010", "0001", "0000"], 16, 8, [8, 8]),
        (["01", "00"], 5, 1, []),
    ],
)
def test_published_channels(rows: list[str], inputs: int, outputs: int, inner: list[int]) -> None:
    edges = np.array([[[c == "1" for c in row] for row in rows]])
    assert vertex_channels(edges, inputs, outputs).tolist() == [inner]


def test_multiply_accumulates_of_a_chain() -> None:
    """One 3x3 vertex, one cell per stage: a stem, projections, convolutions and the classifier, by hand."""
    row = SPACE.from_str(["b49ac8c578b4561d79ac7087988f1c61"])
    macro = Macro(channels=8, cells_per_stage=1, classes=10, in_channels=3, resolution=32)
    stages = [(8, 8, 32), (8, 16, 16), (16, 32, 8)]
    by_hand = 27 * 8 * 32**2 + sum(side**2 * (a * b + 9 * b * b) for a, b, side in stages) + 32 * 10 + 10
    assert SPACE.flops(row, macro).tolist() == [by_hand]


def test_operations_of_the_inception_cell() -> None:
    counts = SPACE.computed_operations(SPACE.from_str(["28cfc7874f6d200472e1a9dcd8650aa0"]))[0]
    named = dict(zip(OPERATION_NAMES, counts.tolist(), strict=True))
    assert named == {
        "conv3x3-bn-relu": 3,
        "conv1x1-bn-relu": 1,
        "maxpool3x3": 1,
        "projection": 4,
        "sum": 0,
        "conv3x3 multiply-accumulates": 3 * 9 * 32**2,
        "conv1x1 multiply-accumulates": 32**2,
        "projection multiply-accumulates": 4 * 128 * 32,
        "pooled channels": 32,
        "normalised channels": 8 * 32,
    }


def test_an_undecided_cell_is_drawn_with_question_marks() -> None:
    graph = SPACE.graph(np.full(26, -1))
    assert graph.nodes == ("in", *"?" * 5, "out") and len(graph.edges) == 21
    row = SPACE.from_str(["b49ac8c578b4561d79ac7087988f1c61"])[0]
    assert SPACE.graph(row).edges == ((0, 1, ""), (1, 6, ""))
