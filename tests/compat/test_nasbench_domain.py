"""What `nasbench` takes for a module of its domain, and how it refuses the rest."""

import numpy as np
import pytest

from nasgym.compat.nasbench import api
from tests.compat.nasbench_modules import C3, GOLDEN, INCEPTION, INCEPTION_OPS, INPUT, OUTPUT, matrix

CHAIN8 = np.eye(8, k=1, dtype=int)
DENSE = np.triu(np.ones((5, 5), dtype=int), 1)
WRONG = {
    "disconnected": (matrix("00/00"), [INPUT, OUTPUT], "invalid spec, provided graph is disconnected."),
    "vertices": (CHAIN8, [INPUT, *[C3] * 6, OUTPUT], "too many vertices, got 8 (max vertices = 7)"),
    "edges": (DENSE, [INPUT, C3, C3, C3, OUTPUT], "too many edges, got 10 (max edges = 9)"),
    "resnet": (*GOLDEN["8990de2aa6c16c245b66f633938a95e3"], "too many edges, got 10 (max edges = 9)"),
    "both": (
        np.triu(np.ones((8, 8), dtype=int), 1),
        [INPUT, *["x"] * 6, OUTPUT],
        "too many vertices, got 8 (max vertices = 7)",
    ),
    "first": (matrix("010/001/000"), [C3, C3, OUTPUT], "first operation should be 'input'"),
    "last": (matrix("010/001/000"), [INPUT, C3, C3], "last operation should be 'output'"),
    "order": (matrix("010/001/000"), [C3, "none", C3], "first operation should be 'input'"),
    "operation": (
        matrix("010/001/000"),
        [INPUT, "none", OUTPUT],
        "unsupported op none (available ops = ['conv3x3-bn-relu', 'conv1x1-bn-relu', 'maxpool3x3'])",
    ),
    "entries": ([[0, 2], [0, 0]], [INPUT, OUTPUT], "entries of a matrix are 0 and 1; got [[0, 2], [0, 0]]"),
}


@pytest.mark.parametrize("kind", list(WRONG))
def test_what_is_out_of_the_domain_is_named_in_the_published_order(nasbench, kind):
    edges, ops, message = WRONG[kind]
    spec = api.ModelSpec(edges, ops)
    assert nasbench.is_valid(spec) is False
    for ask in (nasbench.query, nasbench.get_metrics_from_spec):
        with pytest.raises(api.OutOfDomainError) as caught:
            ask(spec)
        assert str(caught.value) == message
    assert nasbench.get_budget_counters() == (0.0, 0)


def test_an_invalid_number_of_epochs_comes_before_everything(nasbench):
    with pytest.raises(api.OutOfDomainError) as caught:
        nasbench.query(api.ModelSpec(*WRONG["disconnected"][:2]), epochs=5)
    assert str(caught.value) == f"invalid number of epochs, must be one of {nasbench.valid_epochs}"


def test_bounds_are_those_after_pruning(nasbench):
    loose = np.zeros((9, 9), dtype=np.int8)
    loose[0, 1:8] = loose[0, 8] = 1  # seven loose vertices
    spec = api.ModelSpec(loose, [INPUT, *["anything"] * 7, OUTPUT])
    assert nasbench.is_valid(spec) is True
    assert nasbench.query(spec)["trainable_parameters"] == 882_570


def test_bounds_of_the_settings_are_heeded(nasbench):
    spec = api.ModelSpec(INCEPTION, INCEPTION_OPS)
    assert nasbench.is_valid(spec)
    nasbench.query(spec)
    nasbench.config["max_edges"] = 8
    assert not nasbench.is_valid(spec)
    with pytest.raises(api.OutOfDomainError, match="too many edges, got 9"):
        nasbench.query(spec)


@pytest.mark.parametrize("kind", ["vertices", "edges", "operation"])
def test_settings_that_allow_more_than_there_is_end_in_a_key_error(nasbench, kind):
    nasbench.config.update(module_vertices=9, max_edges=40)
    nasbench.config["available_ops"].append("none")
    spec = api.ModelSpec(*WRONG[kind][:2])
    assert nasbench.is_valid(spec)
    with pytest.raises(KeyError, match="at most 7 vertices and 9 edges with conv3x3-bn-relu.* got .*'input'"):
        nasbench.query(spec)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_operations_and_matrices_of_any_sequence_are_accepted(nasbench, kind):
    spec = api.ModelSpec(np.array(INCEPTION, dtype=float), kind(INCEPTION_OPS))
    assert nasbench.query(spec)["trainable_parameters"] == 2_694_282
