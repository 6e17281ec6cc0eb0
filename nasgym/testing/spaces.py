"""The conformance check of search spaces. It raises `AssertionError` and needs no test framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.errors import InvalidArchitecture
from nasgym.spaces import Genotypes, Macro, Space

__all__ = ["check_space"]


def check_space(space: Space, *, seed: int = 0, samples: int = 64) -> None:
    """Check a search space against the contract of `nasgym.spaces.Space`, on random architectures.

    Args:
        space: The space.
        seed: Of the architectures that are drawn.
        samples: How many are drawn.

    Raises:
        AssertionError: A rule of the contract is broken; the message says which.
    """
    assert isinstance(space, Space), f"{space!r} lacks methods of nasgym.spaces.Space"
    global_state = _global_random_state()
    _check_description(space)
    genotypes = _check_samples(space, seed, samples)
    for check in (
        _check_integers,
        _check_strings,
        _check_classes,
        _check_masks,
        _check_mutation,
        _check_neighbours,
        _check_costs,
        _check_operations,
        _check_graphs,
        _check_bad_batches,
    ):
        before = genotypes.copy()
        check(space, genotypes, np.random.default_rng(seed))
        assert np.array_equal(genotypes, before), f"{check.__name__.removeprefix('_check_')}: an argument was changed"
    assert _global_random_state() == global_state, "numpy's global generator was used: draw from the rng that is given"


def _check_description(space: Space) -> None:
    choices = np.asarray(space.choices)
    assert isinstance(space.name, str) and space.name, "name: a space needs one"
    assert space.size >= 1, f"size: {space.size} architectures"
    assert choices.shape == (space.num_decisions,), f"choices: shape {choices.shape}, {space.num_decisions} decisions"
    assert (choices >= 1).all() and choices.max() <= 127, f"choices: {choices.tolist()} do not fit into int8"
    assert len(set(space.decision_labels())) == space.num_decisions, "decision_labels: one distinct label per decision"
    for decision, options in enumerate(choices.tolist()):
        labels = space.choice_labels(decision)
        assert len(set(labels)) == options, f"choice_labels({decision}): {labels} for {options} options"


def _check_samples(space: Space, seed: int, n: int) -> Genotypes:
    genotypes = space.sample(np.random.default_rng(seed), n)
    _assert_architectures(space, genotypes, "sample")
    assert genotypes.shape[0] == n, f"sample: {genotypes.shape[0]} rows for n={n}"
    again = space.sample(np.random.default_rng(seed), n)
    assert np.array_equal(genotypes, again), "sample: equal seeds gave different architectures"
    assert space.sample(np.random.default_rng(seed), 0).shape == (0, space.num_decisions), "sample: n=0 gives no rows"
    return genotypes


def _check_integers(space: Space, genotypes: Genotypes, rng: np.random.Generator) -> None:
    drawn = np.concatenate([[0, space.size - 1], rng.integers(0, space.size, len(genotypes))])
    built = space.from_index(drawn)
    _assert_architectures(space, built, "from_index")
    assert np.array_equal(space.index(built), drawn), "index(from_index(i)) is not i"
    indices = space.index(genotypes)
    assert indices.shape == (len(genotypes),) and indices.dtype == np.int64, "index: int64[n]"
    assert ((indices >= 0) & (indices < space.size)).all(), "index: outside 0..size-1"
    for outside in (-1, space.size):
        _assert_refused(f"from_index([{outside}])", str(outside), space.from_index, [outside])


def _check_strings(space: Space, genotypes: Genotypes, rng: np.random.Generator) -> None:
    strings = space.to_str(genotypes)
    assert len(strings) == len(genotypes) and all(isinstance(s, str) for s in strings), "to_str: one string per row"
    parsed = space.from_str(strings)
    _assert_architectures(space, parsed, "from_str")
    assert np.array_equal(space.index(parsed), space.index(genotypes)), "from_str(to_str(g)): another architecture"
    assert space.to_str(parsed) == strings, "to_str(from_str(s)) is not s"
    assert space.from_str([]).shape == (0, space.num_decisions), "from_str([]): no rows"
    for bad in ("", "no architecture", strings[0] + "x"):
        _assert_refused(f"from_str([{bad!r}])", repr(bad), space.from_str, [bad])


def _check_classes(space: Space, genotypes: Genotypes, rng: np.random.Generator) -> None:
    representatives = space.canonical(genotypes)
    assert representatives.shape == (len(genotypes),), "canonical: int64[n]"
    again = space.canonical(space.from_index(representatives))
    assert np.array_equal(again, representatives), "canonical: the representative of a class is not its own"


def _check_masks(space: Space, genotypes: Genotypes, rng: np.random.Generator) -> None:
    n, width = len(genotypes), int(space.choices.max())
    walk = rng.integers(-1, 2, size=genotypes.shape).astype(np.int8)  # undecided columns hold anything
    for step, options in enumerate(space.choices.tolist()):
        other = walk.copy()
        other[:, step:] = 0
        mask = space.action_mask(walk, step)
        assert mask.shape == (n, width) and mask.dtype == np.bool_, f"action_mask: bool[n, {width}], got {mask.shape}"
        assert np.array_equal(mask, space.action_mask(other, step)), f"action_mask: undecided columns read, step {step}"
        assert mask.any(axis=1).all(), f"action_mask: nothing is allowed at step {step}"
        assert not mask[:, options:].any(), f"action_mask: allows more than the {options} options of step {step}"
        possible = space.action_mask(genotypes, step)[np.arange(n), genotypes[:, step]]
        assert possible.all(), f"action_mask: forbids the way to {genotypes[~possible][:1].tolist()} at step {step}"
        walk[:, step] = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
    assert space.is_valid(walk).all(), "action_mask: allowed choices led to an invalid architecture"


def _check_mutation(space: Space, genotypes: Genotypes, rng: np.random.Generator) -> None:
    children = space.mutate(np.random.default_rng(1), genotypes)
    _assert_architectures(space, children, "mutate")
    assert children.shape == genotypes.shape, f"mutate: {children.shape} from {genotypes.shape}"
    assert (children != genotypes).any(axis=1).all(), "mutate: a child equals its parent"
    again = space.mutate(np.random.default_rng(1), genotypes)
    assert np.array_equal(children, again), "mutate: equal seeds gave different children"


def _check_neighbours(space: Space, genotypes: Genotypes, rng: np.random.Generator) -> None:
    for row, around in zip(genotypes[:8], space.neighbours(genotypes[:8]), strict=True):
        near = np.array(list(_one_change(row, space.choices)), dtype=np.int8)
        expected = {tuple(r) for r in near[space.is_valid(near)].tolist()}
        found = [tuple(r) for r in around.tolist()]
        assert len(set(found)) == len(found), f"neighbours of {row.tolist()}: some twice"
        assert set(found) == expected, f"neighbours of {row.tolist()}: not all valid single changes and no others"


def _check_costs(space: Space, genotypes: Genotypes, rng: np.random.Generator) -> None:
    small, large = Macro(channels=4, cells_per_stage=1), Macro(channels=8, cells_per_stage=2)
    for name, cost in (("parameters", space.parameters), ("flops", space.flops)):
        few, many = cost(genotypes, small), cost(genotypes, large)
        assert few.shape == (len(genotypes),) and few.dtype == np.int64, f"{name}: int64[n]"
        assert (few > 0).all() and (many > few).all(), f"{name}: a wider network must cost more"


def _check_operations(space: Space, genotypes: Genotypes, rng: np.random.Generator) -> None:
    names, counts = space.operation_names(), space.computed_operations(genotypes)
    assert isinstance(names, tuple) and names and all(isinstance(n, str) and n for n in names), "operation_names: names"
    assert len(set(names)) == len(names), f"operation_names: some twice in {names}"
    shape = (len(genotypes), len(names))
    assert counts.shape == shape and counts.dtype == np.int64, f"computed_operations: int64{list(shape)}"
    assert (counts >= 0).all(), "computed_operations: below zero"
    backwards = space.computed_operations(genotypes[::-1])
    assert np.array_equal(backwards[::-1], counts), "computed_operations: a row depends on the others of its batch"
    nothing = space.computed_operations(genotypes[:0])
    assert nothing.shape == (0, len(names)), "computed_operations: n=0 gives no rows"


def _check_graphs(space: Space, genotypes: Genotypes, rng: np.random.Generator) -> None:
    undecided = np.full(space.num_decisions, -1, dtype=np.int8)
    for row in (undecided, *genotypes[:8]):
        graph = space.graph(row)
        assert len(graph.nodes) >= 2, "graph: an input and an output at least"
        for source, target, _ in graph.edges:
            assert 0 <= source < target < len(graph.nodes), f"graph: edge {source}→{target} of {len(graph.nodes)} nodes"


def _check_bad_batches(space: Space, genotypes: Genotypes, rng: np.random.Generator) -> None:
    wide = np.zeros((2, space.num_decisions + 1), dtype=np.int8)
    calls: dict[str, Callable[[NDArray[np.integer]], object]] = {
        "is_valid": space.is_valid,
        "index": space.index,
        "to_str": space.to_str,
        "canonical": space.canonical,
        "mutate": lambda g: space.mutate(rng, g),
        "neighbours": space.neighbours,
        "parameters": lambda g: space.parameters(g, Macro()),
        "flops": lambda g: space.flops(g, Macro()),
        "computed_operations": space.computed_operations,
    }
    for name, call in calls.items():
        _assert_refused(f"{name} of one genotype without a batch axis", "shape", call, genotypes[0])
        _assert_refused(f"{name} of rows that are too long", str(wide.shape), call, wide)
    outside = genotypes[:1].copy()
    outside[0, 0] = space.choices[0]
    assert not space.is_valid(outside).any(), f"is_valid: choice {outside[0, 0]} of decision 0 does not exist"
    _assert_refused("to_str of an invalid genotype", str(outside[0, 0]), space.to_str, outside)


def _one_change(row: Genotypes, choices: NDArray[np.int64]) -> Iterator[Genotypes]:
    for decision, options in enumerate(choices.tolist()):
        for choice in range(options):
            if choice != row[decision]:
                changed = row.copy()
                changed[decision] = choice
                yield changed


def _assert_architectures(space: Space, genotypes: Genotypes, where: str) -> None:
    shape = (len(genotypes), space.num_decisions)
    assert genotypes.shape == shape, f"{where}: shape {genotypes.shape} instead of {shape}"
    assert genotypes.dtype == np.int8, f"{where}: {genotypes.dtype} instead of int8"
    assert space.is_valid(genotypes).all(), f"{where}: gave invalid architectures"


def _assert_refused(what: str, named: str, call: Callable[[Any], object], argument: Any) -> None:
    """Assert that the call raises `InvalidArchitecture` with ``named`` in its message."""
    try:
        call(argument)
    except InvalidArchitecture as error:
        assert named in str(error), f"{what}: the message {str(error)!r} does not name {named}"
    else:
        raise AssertionError(f"{what}: InvalidArchitecture expected")


def _global_random_state() -> str:
    return repr(np.random.get_state(legacy=False))
