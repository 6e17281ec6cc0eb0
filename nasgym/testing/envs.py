"""The conformance check of environments. It raises `AssertionError` and needs no test framework."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from gymnasium.vector import AutoresetMode

from nasgym.envs.base import TaskEnv
from nasgym.errors import EpisodeOver, InvalidAction, MissingResult
from nasgym.task import Task
from nasgym.testing.tasks import FailingTask, synthetic_task

__all__ = ["check_env"]

Rollout = list[tuple[Any, ...]]
_TOLD = {"architecture", "accuracy", "evaluation_seconds", "simulated_seconds", "counted", "budget_exhausted"}


def check_env(env: str | gymnasium.Env, *, steps: int = 60, seed: int = 0, **options: Any) -> None:
    """Check that an environment keeps Gymnasium's rules and nasgym's, with warnings as errors.

    Beside Gymnasium's own check: equal seeds give equal rollouts, a copy through pickle goes on alike, masks agree
    and are kept to, errors have names, no test metric is told, rewards are finite, a budget truncates, an evaluation
    that fails changes nothing, and the batched environment equals single ones. The environment itself is not stepped:
    it is made again on a copy of its task.

    Args:
        env: An id, or an environment made by ``gymnasium.make``.
        steps: Length of the rollouts.
        seed: Of the actions.
        **options: Arguments of the environment; ``task`` is a task of your own (for an id: made-up results).

    Raises:
        AssertionError: A rule is broken; the message says which.
    """
    spec = gymnasium.spec(env) if isinstance(env, str) else env.spec
    assert spec is not None, "the environment has no spec: make it with gymnasium.make()"
    given = options.pop("task", None) or (None if isinstance(env, str) else env.unwrapped.task)  # type: ignore[attr-defined]
    task: Task = given or synthetic_task(spec.kwargs.get("space", "nb201"), budget=None)
    name = spec.id

    def make(**more: Any) -> TaskEnv:
        made = gymnasium.make(name, **{**options, "task": copy.deepcopy(task), **more}).unwrapped
        assert isinstance(made, TaskEnv), f"{made!r} is not an environment over a task"
        made.judge.owned = "task" not in more  # the copy is its own: a seed starts the clock again
        return made

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gymnasium_check_env(make(illegal="repair"))
        for check in (_check_seeds, _check_pickle, _check_masks, _check_errors, _check_budget, _check_failures):
            check(make, steps, seed)
        if spec.vector_entry_point is not None:
            _check_batched(make, name, options, task, steps, seed)
            _check_batched_failures(name, options, task, steps, seed)


Make = Callable[..., TaskEnv]


def _check_seeds(make: Make, steps: int, seed: int) -> None:
    env = make()
    first = _rollout(env, steps, seed)
    _assert_same(_rollout(env, steps, seed), first, "equal seeds, the same environment")
    _assert_same(_rollout(make(), steps, seed), first, "equal seeds, another environment")
    for _, reward, _, _, info in first:
        assert np.isfinite(reward), f"a reward is {reward}"
        assert not any("test" in key for key in info), f"info tells a test metric: {sorted(info)}"
        assert _TOLD <= set(info) or "architecture" not in info, f"info lacks {sorted(_TOLD - set(info))}"


def _check_pickle(make: Make, steps: int, seed: int) -> None:
    env = make()
    _rollout(env, steps // 2 + 1, seed)
    again = pickle.loads(pickle.dumps(env))
    _assert_same(_go_on(again, steps, seed), _go_on(env, steps, seed), "a copy through pickle")


def _check_masks(make: Make, steps: int, seed: int) -> None:
    env = make(illegal="error")
    actions = int(env.action_space.n)  # type: ignore[attr-defined]
    rng = np.random.default_rng(seed)
    _, info = env.reset(seed=seed)
    for _ in range(steps):
        mask = info["action_mask"]
        assert mask.dtype == np.int8 and mask.shape == (actions,), f"action_mask: {mask.dtype}, {mask.shape}"
        assert env.action_masks().dtype == np.bool_, f"action_masks(): {env.action_masks().dtype}"
        assert np.array_equal(env.action_masks(), mask), 'action_masks() and info["action_mask"] differ'
        for forbidden in np.flatnonzero(mask == 0)[:1].tolist():
            _assert_raises(InvalidAction, partial(env.step, forbidden), f"forbidden action {forbidden}")
        _, _, terminated, truncated, info = env.step(int(rng.choice(np.flatnonzero(mask))))
        if terminated or truncated:
            _, info = env.reset()


def _check_errors(make: Make, steps: int, seed: int) -> None:
    env = make(illegal="repair")
    actions = int(env.action_space.n)  # type: ignore[attr-defined]
    _assert_raises(EpisodeOver, partial(env.step, 0), "a step before reset")
    env.reset(seed=seed)
    for wrong in (-1, actions, 0.5, None):
        _assert_raises(InvalidAction, partial(env.step, wrong), f"action {wrong}")
    _until_end(env)
    _assert_raises(EpisodeOver, partial(env.step, 0), "a step after the end")
    env.reset()
    env.step(np.int64(0))  # what a network gives
    env.close()
    env.close()


def _check_budget(make: Make, steps: int, seed: int) -> None:
    """A limit of two evaluations: the third is refused, says so and is worth nothing."""
    env = make(illegal="repair")
    task = env.task
    limited = Task(task.benchmark, task.protocol, budget=task.budget, max_evaluations=2)
    env = make(illegal="repair", task=limited)
    env.reset(seed=seed)
    seen: Rollout = []
    while len(seen) < 3:
        stepped = env.step(0)
        seen += [stepped] if "counted" in stepped[4] else []
        if stepped[2] or stepped[3]:
            env.reset()
    for _, reward, terminated, truncated, info in seen[2:]:
        assert not info["counted"] and info["budget_exhausted"], "a refused evaluation must say so"
        assert truncated and not terminated and reward == 0.0, "a refused evaluation: truncated, and worth nothing"
    assert [s[4]["counted"] for s in seen[:2]] == [True, True], "evaluations within the budget are counted"


def _check_batched(make: Make, name: str, options: dict[str, Any], task: Task, steps: int, seed: int) -> None:
    """Three environments in a batch against three single ones that share a task."""
    shared = copy.deepcopy(task)
    singles = [make(illegal="repair", task=shared) for _ in range(3)]
    batched = gymnasium.make_vec(
        name,
        num_envs=3,
        autoreset_mode=AutoresetMode.DISABLED,
        **{**options, "illegal": "repair", "task": copy.deepcopy(task)},
    )
    rng = np.random.default_rng(seed)
    observations, _ = batched.reset(seed=seed)
    begin = np.ones(3, dtype=np.bool_)
    for _ in range(steps):
        for env, observation, begins in zip(singles, observations, begin, strict=True):
            if begins:
                alone, _ = env.reset(options={"start": observation - 1})
                assert np.array_equal(alone, observation), "batched and single differ after reset"
        actions = rng.integers(0, singles[0].action_space.n, 3)  # type: ignore[attr-defined]
        together = batched.step(actions)
        for i, env in enumerate(singles):
            step = env.step(int(actions[i]))
            info = {key: together[4][key][i] for key in step[4]}
            _assert_same([(*(part[i] for part in together[:4]), info)], [step], "batched and single")
        observations, begin = together[0], together[2] | together[3]
        if begin.any():
            observations, _ = batched.reset(options={"reset_mask": begin})
    batched.close()


def _check_failures(make: Make, steps: int, seed: int) -> None:
    """Each step is tried where evaluations fail, then taken; an environment without failures must do the same."""
    task = make().task
    env, sound = (make(task=FailingTask(task)) for _ in range(2))
    rng = np.random.default_rng(seed)
    for made in (env, sound):
        made.reset(seed=seed)
    for _ in range(steps):
        action = int(rng.choice(np.flatnonzero(sound.action_masks())))
        stepped = _tried(env, action, lambda: (env.genotype, env.action_masks()))
        _assert_same([stepped], [sound.step(action)], "a step whose evaluation failed at first")
        if stepped[2] or stepped[3]:
            for made in (env, sound):
                made.reset()


def _check_batched_failures(name: str, options: dict[str, Any], task: Task, steps: int, seed: int) -> None:
    """The same as `_check_failures` for batches."""
    given = {**options, "num_envs": 3, "autoreset_mode": AutoresetMode.DISABLED, "illegal": "repair"}
    env, sound = (gymnasium.make_vec(name, **{**given, "task": FailingTask(copy.deepcopy(task))}) for _ in range(2))
    rng = np.random.default_rng(seed)
    for made in (env, sound):
        made.reset(seed=seed)
    for _ in range(steps):
        actions = rng.integers(0, sound.single_action_space.n, 3)  # type: ignore[attr-defined]
        stepped = _tried(env, actions, lambda: (env.genotypes, env.action_masks()))  # type: ignore[attr-defined]
        _assert_same([stepped], [sound.step(actions)], "a batched step whose evaluation failed at first")
        begin = stepped[2] | stepped[3]
        if begin.any():
            for made in (env, sound):
                made.reset(options={"reset_mask": begin.copy()})


def _tried(env: Any, action: Any, state: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Take a step; where it evaluates something, let it fail once before, which must change nothing."""
    before = copy.deepcopy(state())
    task: FailingTask = env.unwrapped.task
    task.fails = True
    try:
        stepped: tuple[Any, ...] = env.step(action)
    except MissingResult:
        same = all(np.array_equal(one, two) for one, two in zip(state(), before, strict=True))
        assert same, "an evaluation that failed changed the cell or the mask"
        task.fails = False
        stepped = env.step(action)
    task.fails = False
    return stepped


def _rollout(env: TaskEnv, steps: int, seed: int) -> Rollout:
    env.reset(seed=seed)
    return _go_on(env, steps, seed)


def _go_on(env: TaskEnv, steps: int, seed: int) -> Rollout:
    """Go on from a fresh episode with legal actions drawn from a generator."""
    rng = np.random.default_rng(seed)
    env.reset()
    seen: Rollout = []
    for _ in range(steps):
        seen.append(env.step(int(rng.choice(np.flatnonzero(env.action_masks())))))
        if seen[-1][2] or seen[-1][3]:
            env.reset()
    return seen


def _until_end(env: TaskEnv) -> None:
    over = False
    while not over:
        _, _, terminated, truncated, _ = env.step(0)
        over = terminated or truncated


def _assert_same(found: Rollout, expected: Rollout, what: str) -> None:
    assert len(found) == len(expected), f"{what}: {len(found)} steps instead of {len(expected)}"
    for number, (one, two) in enumerate(zip(found, expected, strict=True)):
        *stepped, info = one
        *wanted, wanted_info = two
        assert set(info) == set(wanted_info), f"{what}, step {number}: info has {sorted(set(info) ^ set(wanted_info))}"
        pairs = [*zip(stepped, wanted, strict=True), *((info[key], wanted_info[key]) for key in info)]
        for a, b in pairs:
            same = a == b if isinstance(a, str) else np.array_equal(a, b, equal_nan=True)
            assert same, f"{what}, step {number}: {a} and {b}"


def _assert_raises(error: type[Exception], call: Callable[[], Any], what: str) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"{what}: no {error.__name__}")
