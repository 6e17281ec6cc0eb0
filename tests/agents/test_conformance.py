"""Every agent on every space keeps the rules; the checks themselves catch agents that do not."""

import random
from dataclasses import dataclass

import numpy as np
import pytest

from nasgym.agents import agent_class, agent_names, describe, get_agent
from nasgym.errors import InvalidBudget, InvalidSetting, MissingResult, UnsuitableTask
from nasgym.spaces import get_space, space_names
from nasgym.testing import check_agent, check_space, synthetic_task

NAMES = agent_names()
EVALUATIONS = 25
QUICK = {
    "weight sharing": {"epochs": 1, "candidates": 3, "clock": "operations", "controller_steps": 1, "aggregate": 3},
    "predictor": {"members": 5},
    "smac": {"initial": 5, "challengers": 50},
    "ppo": {"epochs": 2},
    "maskable_ppo": {"epochs": 2},
    "dqn": {"updates": 2},
}
"""Settings of a family, where an agent has them, or of an agent, with which a search takes moments; of weight sharing
conftest.py leaves few images too."""


def quick(name):
    known = {item.name for item in describe(agent_class(name)).settings}
    settings = {**QUICK.get(agent_class(name).family, {}), **QUICK.get(name, {})}
    return get_agent(name, **{key: value for key, value in settings.items() if key in known})


def serves(name, space):
    try:
        get_agent(name).check_space(space)
    except UnsuitableTask:
        return False
    return True


SLOW = ("smac",)  # each fit of its forest takes a while: on one space always, on the others where there is time
SERVED = [
    pytest.param(name, space, marks=[pytest.mark.slow] if name in SLOW and space != "nb101-5" else [])
    for name in NAMES
    for space in space_names()
    if serves(name, get_space(space))
]
REFUSED = [(name, space) for name in NAMES for space in space_names() if not serves(name, get_space(space))]


@pytest.mark.parametrize(("name", "space"), SERVED)
def test_every_agent_keeps_the_rules_on_every_space_that_it_serves(name, space):
    check_agent(quick(name), space=space, evaluations=EVALUATIONS)


@pytest.mark.parametrize(("name", "space"), REFUSED)
def test_on_other_spaces_an_agent_says_why_not(name, space):
    with pytest.raises(UnsuitableTask, match=f"{space}.* such as "):
        get_agent(name).search(synthetic_task(space), 0)


@pytest.mark.parametrize("name", [name for name in NAMES if agent_class(name).family != "weight sharing"])
def test_every_agent_copes_with_decisions_that_differ_and_constrain_each_other(name, tiny_space):
    check_agent(quick(name), space=tiny_space, evaluations=EVALUATIONS)


def test_the_tiny_space_is_a_space(tiny_space):
    check_space(tiny_space)


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_makes_an_agent(name):
    for preset, settings in agent_class(name).presets.items():
        agent = get_agent(f"{name}:{preset}")
        assert {key: getattr(agent, key) for key in settings} == dict(settings)


@pytest.mark.parametrize("name", NAMES)
def test_every_agent_says_what_it_is_and_documents_every_hyper_parameter(name):
    agent = get_agent(name)
    assert agent.name == name and agent.family and agent.source and type(agent).__doc__
    assert describe(agent) == describe(type(agent))
    for item in describe(agent).settings:
        assert len(item.doc) > 20, f"{name}.{item.name} is not documented"
        assert item.default == getattr(agent, item.name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"budget": None}, "inf simulated seconds"),
        ({"protocol": "free repeats"}, "repeated architectures cost nothing"),
    ],
)
def test_a_search_that_nothing_would_end_is_refused(name, settings, says):
    if settings.get("protocol"):
        from dataclasses import replace

        from nasgym.task import PROTOCOLS

        settings = {"protocol": replace(PROTOCOLS["plain"], charge_repeats=False)}
    with pytest.raises(InvalidBudget, match=f"(?s){says}.*max_evaluations="):
        get_agent(name).search(synthetic_task(**settings), 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_single_evaluation_is_a_budget_too(name):
    task = synthetic_task(budget=None, max_evaluations=1)
    quick(name).search(task, 3)
    assert task.evaluations == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_budget_below_one_evaluation_has_no_answer_and_is_no_error(name):
    task = synthetic_task(budget=0.5, seconds=10.0)  # even one epoch of ten takes a second
    quick(name).search(task, 0)
    assert (task.evaluations, task.incumbent, task.running) == (0, None, 0)
    assert task.exhausted


@pytest.mark.parametrize("name", NAMES)
def test_trainings_that_diverged_are_bad_evaluations_and_no_end(name):
    """A diverged training has the accuracy of guessing; here most have, so that models see nothing but equal ones."""
    task = synthetic_task(budget=250.0, accuracy=lambda rows: np.where(rows[:, 0] == 1, 0.6, 0.1))
    quick(name).search(task, 0)
    assert task.evaluations == 1 if quick(name).settles else task.remaining < 10.0
    assert task.running == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_result_that_is_missing_ends_the_search_with_an_error_that_names_it(name):
    """No agent goes on as if nothing had happened: the study records the failed run, and loses no other."""
    task = synthetic_task(accuracy=lambda rows: np.full(len(rows), np.nan))
    before = random.getstate(), np.random.get_state()[1].tolist()
    with pytest.raises(MissingResult, match="does not know valid_accuracy of architecture"):
        quick(name).search(task, 0)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert task.evaluations == 0


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("regularized_evolution", {"population": 0}, "population of RegularizedEvolution must be at least 1; got 0"),
        ("regularized_evolution", {"sample": 2.5}, "of type int; got 2.5"),
        ("reinforce", {"learning_rate": 0.0}, "above 0; got 0.0"),
        ("reinforce", {"learning_rate": float("nan")}, "finite; got nan"),
        ("reinforce", {"momentum": 1.0}, "at most 0.999; got 1.0"),
        ("reinforce", {"momentum": True}, "of type float; got True"),
        ("local_search", {"move": "second"}, "one of .*'first', 'best'.*; got 'second'"),
    ],
)
def test_a_hyper_parameter_out_of_its_bounds_is_refused(name, settings, says):
    with pytest.raises(InvalidSetting, match=says):
        get_agent(name, **settings)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_out_of_its_range_is_refused(name):
    for seed in (-1, 2**32, 2**70, 1.5, True, None):
        with pytest.raises(InvalidSetting, match=f"whole number from 0 to 4294967295; got {seed}"):
            get_agent(name).search(synthetic_task("nb201"), seed)


@dataclass(frozen=True)
class Bad:
    """An agent with one fault, chosen by name."""

    fault: str

    def search(self, task, seed):
        rng = np.random.default_rng(0 if self.fault == "ignores its seed" else seed)
        if self.fault == "numpy":
            np.random.rand()  # noqa: NPY002
        if self.fault == "Python":
            random.random()
        if self.fault == "unseeded":
            rng = np.random.default_rng()
        if self.fault == "peeks":
            task.benchmark.view(("test_accuracy",))
        if self.fault == "reads a record":
            task.benchmark.query(0)
        while not task.exhausted:
            if self.fault == "lazy" and task.evaluations > 10:
                return
            if self.fault == "spends at random":
                task.spend(random.SystemRandom().random() / 100)
            outcome = task.evaluate(task.space.sample(rng, 2))
            if self.fault == "divides":
                assert outcome.accuracies.std() > 0 or not outcome.counted.all()
        while self.fault == "endless":
            task.evaluate(task.space.sample(rng, 1))
        if self.fault == "spends too much":
            task.spend(100 * task.budget)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("numpy", "global generator of numpy"),
        ("Python", "global generator of Python"),
        ("unseeded", "equal seeds gave different searches"),
        ("ignores its seed", "different seeds gave the same search"),
        ("lazy", "simulated seconds left"),
        ("spends too much", "simulated seconds after the budget"),
        ("spends at random", "equal seeds gave different searches: other finished"),
        ("divides", "all trainings diverged"),
        ("endless", "goes on after task.exhausted"),
        ("peeks", "reads test_accuracy: test metrics are for the study"),
        ("reads a record", "a record with a test metric"),
    ],
)
def test_the_check_catches_an_agent_that_breaks_a_rule(fault, says):
    with pytest.raises(AssertionError, match=says):
        check_agent(Bad(fault))


def test_the_check_passes_an_agent_without_faults():
    check_agent(Bad("none"))
