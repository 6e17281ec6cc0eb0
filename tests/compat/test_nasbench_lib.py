"""Specs, graphs and settings under the original's names, by the published values."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasgym.compat.nasbench.lib import config, graph_util
from nasgym.compat.nasbench.lib.model_spec import ModelSpec
from nasgym.compat.nasbench.modules import OutOfDomainError, check
from nasgym.errors import InvalidArchitecture, InvalidSetting
from nasgym.spaces import NB101
from tests.compat.nasbench_modules import C1, C3, GOLDEN, INCEPTION, INCEPTION_OPS, INPUT, MP, OPS, OUTPUT, matrix


@pytest.mark.parametrize("digits", list(GOLDEN))
def test_the_hashes_are_the_published_ones(digits):
    edges, ops = GOLDEN[digits]
    assert ModelSpec(edges, ops).hash_spec(OPS) == digits
    assert graph_util.hash_module(np.array(edges), [-1, *(OPS.index(op) for op in ops[1:-1]), -2]) == digits
    assert graph_util.hash_module(np.array(edges, dtype=float), [-1, *map(OPS.index, ops[1:-1]), -2]) == digits


# Pruning


def test_what_lies_on_no_path_is_pruned():
    edges = matrix("01101/00010/00000/00001/00000")  # vertex 2 leads nowhere
    spec = ModelSpec(edges, [INPUT, C3, C1, MP, OUTPUT])
    assert spec.valid_spec
    assert spec.matrix.tolist() == matrix("0101/0010/0001/0000")
    assert spec.ops == [INPUT, C3, MP, OUTPUT]
    assert spec.original_matrix.tolist() == edges
    assert spec.original_ops == [INPUT, C3, C1, MP, OUTPUT]


@pytest.mark.parametrize("text", ["00/00", "010/000/000", "0", "0100/0000/0001/0000"])
def test_without_a_path_to_the_output_the_spec_is_invalid(text):
    edges = matrix(text)
    spec = ModelSpec(edges, [INPUT, *[C3] * (len(edges) - 2), OUTPUT][: len(edges)])
    assert (spec.valid_spec, spec.matrix, spec.ops) == (False, None, None)
    with pytest.raises(ValueError, match="disconnected"):
        spec.hash_spec(OPS)
    with pytest.raises(InvalidArchitecture, match="disconnected"):
        spec.visualize()


@st.composite
def raw_graphs(draw, most=9):
    size = draw(st.integers(2, most))
    bits = draw(st.integers(0, 2 ** (size * (size - 1) // 2) - 1))
    edges = np.fromfunction(graph_util.gen_is_edge_fn(bits), (size, size), dtype=np.int8)
    return edges, [INPUT, *draw(st.lists(st.sampled_from(OPS), min_size=size - 2, max_size=size - 2)), OUTPUT]


@settings(deadline=None, max_examples=100)
@given(raw_graphs())
def test_pruning_keeps_exactly_the_vertices_on_paths(graph):
    edges, ops = graph
    spec = ModelSpec(edges, ops)
    reach = np.linalg.matrix_power(edges + np.eye(len(ops), dtype=int), len(ops)) > 0
    kept = np.flatnonzero(reach[0] & reach[:, -1])
    assert spec.valid_spec == bool(reach[0, -1])
    if spec.valid_spec:
        assert np.array_equal(spec.matrix, edges[np.ix_(kept, kept)])
        assert spec.ops == [ops[v] for v in kept]
        assert graph_util.is_full_dag(spec.matrix)


def test_nothing_of_the_caller_is_changed_or_kept():
    edges, ops = np.array(matrix("0110/0000/0001/0000")), [INPUT, C3, MP, OUTPUT]
    spec = ModelSpec(edges, ops)
    edges[0, 2], ops[2] = 0, C1
    assert spec.matrix.tolist() == matrix("010/001/000") and spec.ops == [INPUT, MP, OUTPUT]
    assert spec.original_matrix[0, 2] == 1 and spec.original_ops[2] == MP
    spec.matrix[0, 1], spec.ops[1] = 0, C3
    assert spec.original_matrix[0, 2] == 1 and spec.original_ops[2] == MP


# What is accepted


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, bool, np.float32])
@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_arrays_and_lists_of_any_number_type_are_accepted(dtype, kind):
    edges, ops = GOLDEN["00005c142e6f48ac74fdcf73e3439874"]
    loose = np.zeros((8, 8), dtype=dtype)
    loose[:6, :6], loose[:6, 7] = np.array(edges)[:6, :6], np.array(edges)[:6, 6]  # vertex 6 is loose
    spec = ModelSpec(loose, kind([*ops[:6], C1, OUTPUT]))
    assert spec.matrix.dtype == dtype and isinstance(spec.ops, list)
    assert spec.hash_spec(OPS) == "00005c142e6f48ac74fdcf73e3439874"


@pytest.mark.parametrize(
    ("edges", "ops", "message"),
    [
        ([[0, 1, 0], [0, 0, 1]], [INPUT, C3, OUTPUT], r"must be square; got the shape \(2, 3\)"),
        ([[0, 1], [0]], [INPUT, OUTPUT], "must be square: rows of one length"),
        ([0, 1], [INPUT, OUTPUT], "must be square"),
        ([[0, 1], [0, 0]], [INPUT, C3, OUTPUT], "length of ops must match matrix dimensions: 2 vertices, 3 ops"),
        ([[0, 1], [1, 0]], [INPUT, OUTPUT], "must be upper triangular"),
        ([[1, 1], [0, 0]], [INPUT, OUTPUT], "must be upper triangular"),
        ([["0", "1"], ["0", "0"]], [INPUT, OUTPUT], "must be of numbers"),
        (np.array([[0, None], [0, 0]], dtype=object), [INPUT, OUTPUT], "must be of numbers"),
        ([[0, 1], [0, 0]], None, "ops must be a row of one operation for each vertex.*got None"),
        ([[0, 1], [0, 0]], np.array([[INPUT, OUTPUT]] * 2), "ops must be a row of one operation for each vertex"),
        (
            [[0, 1, 0], [0, 0, 1], [0, 0, 0]],
            [INPUT, [C3], OUTPUT],
            "ops must be a row of one operation for each vertex",
        ),
    ],
)
def test_what_is_no_module_is_a_value_error_that_says_why(edges, ops, message):
    with pytest.raises(ValueError, match=message) as caught:
        ModelSpec(edges, ops)
    assert isinstance(caught.value, InvalidArchitecture)


def test_a_matrix_of_objects_that_are_numbers_is_accepted():
    spec = ModelSpec(np.array(INCEPTION, dtype=object), INCEPTION_OPS)
    assert spec.hash_spec(OPS) == ModelSpec(INCEPTION, INCEPTION_OPS).hash_spec(OPS)
    check(spec, config.build_config())


@pytest.mark.parametrize("entry", [float("inf"), float("nan"), 2])
def test_an_entry_that_is_no_edge_is_out_of_the_domain(entry):
    with pytest.raises(OutOfDomainError, match="too many edges, got inf|entries of a matrix are 0 and 1"):
        check(ModelSpec([[0, entry], [0, 0]], [INPUT, OUTPUT]), config.build_config())


def test_an_unknown_operation_has_no_hash():
    with pytest.raises(ValueError, match="'conv5x5' is none of the operations conv3x3-bn-relu, conv1x1"):
        ModelSpec(matrix("010/001/000"), [INPUT, "conv5x5", OUTPUT]).hash_spec(OPS)


def test_a_picture_needs_graphviz(monkeypatch):
    spec = ModelSpec(INCEPTION, INCEPTION_OPS)
    monkeypatch.setitem(__import__("sys").modules, "graphviz", None)
    with pytest.raises(InvalidSetting, match="pip install graphviz"):
        spec.visualize()


def test_a_picture_has_every_vertex_and_edge(monkeypatch):
    class Digraph:
        def __init__(self):
            self.nodes, self.edges = {}, []

        def node(self, name, label):
            self.nodes[name] = label

        def edge(self, source, target):
            self.edges.append((source, target))

    monkeypatch.setitem(__import__("sys").modules, "graphviz", type("graphviz", (), {"Digraph": Digraph}))
    drawn = ModelSpec(matrix("0101/0010/0001/0000"), ["a", C3, MP, "b"]).visualize()
    assert drawn.nodes == {"0": "input", "1": C3, "2": MP, "3": "output"}
    assert drawn.edges == [("0", "1"), ("0", "3"), ("1", "2"), ("2", "3")]


# Graphs


def test_edges_are_bits_by_column():
    is_edge = graph_util.gen_is_edge_fn(0b010011)
    made = np.fromfunction(is_edge, (4, 4), dtype=np.int8)
    assert made.tolist() == matrix("0110/0001/0000/0000")
    assert not is_edge(2, 1) and is_edge(0, 1)
    big = np.fromfunction(graph_util.gen_is_edge_fn(1 << 65), (12, 12), dtype=np.int8)
    assert np.argwhere(big).tolist() == [[10, 11]]


def test_the_published_enumeration_of_small_cells():
    found = {}
    for size in range(2, 6):
        for bits in range(2 ** (size * (size - 1) // 2)):
            edges = np.fromfunction(graph_util.gen_is_edge_fn(bits), (size, size), dtype=np.int8)
            if not graph_util.is_full_dag(edges) or graph_util.num_edges(edges) > 9:
                continue
            for labels in itertools.product(range(3), repeat=size - 2):
                found.setdefault(graph_util.hash_module(edges, [-1, *labels, -2]), (edges, labels))
    assert len(found) == 2532
    space = NB101(5)
    assert sorted(found) == space.hash(space.from_index(np.arange(space.size)))


@settings(deadline=None, max_examples=60)
@given(raw_graphs(most=7), st.randoms(use_true_random=False))
def test_another_order_of_the_vertices_is_isomorphic_and_has_the_same_hash(graph, rng):
    edges, ops = graph
    order = list(range(len(ops)))
    rng.shuffle(order)
    moved, moved_ops = graph_util.permute_graph(edges, ops, order)
    for v, w in itertools.product(range(len(ops)), repeat=2):
        assert moved[order[v], order[w]] == (edges[v, w] == 1)
    assert [moved_ops[order[v]] for v in range(len(ops))] == ops
    assert graph_util.is_isomorphic((edges, ops), (moved, moved_ops))
    labels = [{INPUT: -1, OUTPUT: -2}.get(op, 0) for op in ops]
    assert graph_util.hash_module(*graph_util.permute_graph(edges, labels, order)) == graph_util.hash_module(
        edges, labels
    )


@settings(deadline=None, max_examples=60)
@given(raw_graphs(most=5), raw_graphs(most=5))
def test_isomorphic_is_what_trying_all_orders_says(one, other):
    (edges1, ops1), (edges2, ops2) = one, other
    tried = len(ops1) == len(ops2) and any(
        np.array_equal(moved, edges2 == 1) and labels == ops2
        for moved, labels in (
            graph_util.permute_graph(edges1, ops1, p) for p in itertools.permutations(range(len(ops1)))
        )
    )
    assert graph_util.is_isomorphic(one, other) == tried


def test_the_known_pair_of_one_hash_is_not_isomorphic():
    def edges(pairs):
        made = np.zeros((10, 10), dtype=int)
        for source, target in pairs:
            made[source, target] = 1
        return made

    ends = [(0, v) for v in range(1, 5)] + [(v, 9) for v in range(5, 9)]
    circle = edges([*ends, (1, 5), (1, 6), (2, 6), (2, 7), (3, 7), (3, 8), (4, 8), (4, 5)])  # a ring of eight
    pairs = edges([*ends, (1, 5), (1, 6), (2, 5), (2, 6), (3, 7), (3, 8), (4, 7), (4, 8)])  # two rings of four
    labels = [-1, *[0] * 8, -2]
    assert graph_util.hash_module(circle, labels) == graph_util.hash_module(pairs, labels)
    assert not graph_util.is_isomorphic((circle, labels), (pairs, labels))


def test_a_graph_needs_a_label_for_each_vertex():
    with pytest.raises(ValueError, match="3 labels need a matrix of as many rows; got the shape"):
        graph_util.hash_module(np.zeros((2, 2), dtype=int), [-1, 0, -2])
    assert not graph_util.is_isomorphic((np.zeros((2, 2)), [0, 1]), (np.zeros((3, 3)), [0, 1, 2]))


# Settings


def test_the_settings_are_the_published_ones_and_the_callers():
    made = config.build_config()
    assert (made["module_vertices"], made["max_edges"], made["num_repeats"]) == (7, 9, 3)
    assert made["available_ops"] == OPS and made["train_epochs"] == 108 and len(made) == 25
    made["available_ops"].append("more")
    assert config.build_config()["available_ops"] == OPS
