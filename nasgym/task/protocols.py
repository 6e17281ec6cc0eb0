"""Rules of a search: which table is searched, what is charged, what happens at the budget's edge, what is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from nasgym.benchmark import SeedPolicy
from nasgym.errors import InvalidSetting, UnknownName
from nasgym.results import TableKey
from nasgym.task.published import NASBENCH201_2020, NATS_TSS, Published

__all__ = ["PROTOCOLS", "Protocol", "Score", "get_protocol"]

_SEARCHED = ("valid_accuracy", "train_accuracy")


@dataclass(frozen=True)
class Score:
    """A figure that a study reports for the architecture a run settled on, as the mean over stored seeds.

    Attributes:
        name: Column name in reports.
        metric: A metric of `nasgym.results.METRICS`.
        dataset: The data set it is read from; None: the task's own.
        recipe: The recipe it is read from; None: the one that was searched.
        instead: Pairs of data sets: of the first of a pair the figure stands in the table of the second.
    """

    name: str
    metric: str
    dataset: str | None = None
    recipe: str | None = None
    instead: tuple[tuple[str, str], ...] = ()

    def table(self, searched: TableKey) -> TableKey:
        """Return the table that the figure is read from, after a search of the table ``searched``."""
        dataset = self.dataset or searched.dataset
        return TableKey(searched.space, dict(self.instead).get(dataset, dataset), self.recipe or searched.recipe)


@dataclass(frozen=True)
class Protocol:
    """How a search is run and scored.

    Attributes:
        name: The id of the protocol.
        source: Where it is published.
        scores: What a study reports of the incumbent; the first one is what regret is computed on.
        metric: What the agent sees and maximises.
        space: The search space that it is published for; None: any.
        recipe: The recipe that is searched; None: the data set's default.
        epoch: The epoch at which an evaluation is read; None: the last.
        seeds: Which stored training answers an evaluation.
        overshoot: Whether an evaluation that starts within the budget may end after it.
        charge_repeats: Whether an architecture is charged again when it is evaluated again.
        resumes: Whether a training that was stopped after some epochs can go on, so that only the rest is charged:
            where its epochs are one curve, and not trainings of their own.
        fidelities: Where shorter trainings are not parts of the whole one: epochs -> the recipe whose table holds
            trainings of that length. Then there are no others.
        budgets: Published budget in simulated seconds by data set; ``"*"`` stands for all others.
        published: Figures that the source prints, for reports to show beside their own.
    """

    name: str
    source: str
    scores: tuple[Score, ...]
    metric: str = "valid_accuracy"
    space: str | None = None
    recipe: str | None = None
    epoch: int | None = None
    seeds: SeedPolicy = "random"
    overshoot: bool = False
    charge_repeats: bool = True
    resumes: bool = True
    fidelities: Mapping[int, str] = field(default_factory=dict)
    budgets: Mapping[str, float] = field(default_factory=dict)
    published: tuple[Published, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a metric that an agent must not see or cannot maximise."""
        if self.metric not in _SEARCHED:
            raise InvalidSetting(
                f"a search maximises one of {', '.join(_SEARCHED)}; got metric={self.metric!r}. Losses and costs are "
                "rewards of an environment (reward=), test metrics are scores that a study looks up."
            )

    def budget(self, dataset: str) -> float | None:
        """Return the published budget for a data set in simulated seconds, or None where there is none."""
        return self.budgets.get(dataset, self.budgets.get("*"))

    def check_space(self, space: str) -> None:
        """Raise `InvalidSetting` where the protocol is published for another search space."""
        if self.space not in (None, space):
            others = [name for name, rules in PROTOCOLS.items() if rules.space in (None, space)]
            raise InvalidSetting(
                f"the protocol {self.name!r} is one of the search space {self.space!r}; the task is one of {space!r}, "
                f"which has {', '.join(others)}."
            )


_TEST_OF_CIFAR10 = (("cifar10", "cifar10-full"),)
"""Published test accuracies of CIFAR-10 are of networks trained on all 50,000 training images (NATS-Bench, table 4)."""


def _final(dataset: str | None, label: str, recipe: str = "nb201-200") -> tuple[Score, Score]:
    return (
        Score(f"{label}valid", "valid_accuracy", dataset, recipe),
        Score(f"{label}test", "test_accuracy", dataset, recipe, _TEST_OF_CIFAR10),
    )


_FINAL_2020 = tuple(
    score for dataset in ("cifar10", "cifar100", "imagenet16-120") for score in _final(dataset, f"{dataset} ")
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol(
                name="plain",
                source="this project: search and score on one table",
                scores=(Score("valid", "valid_accuracy"), Score("test", "test_accuracy")),
            ),
            Protocol(
                name="nasbench201-2020",
                source="Dong and Yang, ICLR 2020, section 5 and table 5: searched with 12 epochs on CIFAR-10, "
                "the cell found is scored with 200 epochs on all data sets",
                scores=_FINAL_2020,
                space="nb201",
                recipe="nb201-12",
                budgets={"*": 12_000.0},
                published=NASBENCH201_2020,
            ),
            Protocol(
                name="nats-tss",
                source="Dong et al., NATS-Bench, TPAMI 2021, topology search space: searched with 12 epochs and scored "
                "with 200 epochs on the same data set; the last evaluation may end after the budget",
                scores=_final(None, ""),
                space="nb201",
                recipe="nb201-12",
                overshoot=True,
                budgets={"cifar10": 20_000.0, "cifar100": 40_000.0, "imagenet16-120": 120_000.0},
                published=NATS_TSS,
            ),
            Protocol(
                name="nasbench201-2020-lengths",
                source="this project: the rules of nasbench201-2020 with the tables of 12 and of 200 epochs joined, "
                "the lengths that its script of BOHB names; each training is charged as a whole, since their schedules "
                "differ, and a cell found was trained with 200 epochs",
                scores=_FINAL_2020,
                space="nb201",
                recipe="nb201-200",
                resumes=False,
                fidelities={12: "nb201-12"},
                budgets={"*": 12_000.0},
            ),
            Protocol(
                name="nats-sss",
                source="Dong et al., NATS-Bench, TPAMI 2021, size search space: searched with 12 epochs and scored "
                "with 90 epochs on the same data set; the last evaluation may end after the budget",
                scores=_final(None, "", "nats-sss-90"),
                space="nats-sss",
                recipe="nats-sss-12",
                overshoot=True,
                budgets={"cifar10": 20_000.0, "cifar100": 40_000.0, "imagenet16-120": 60_000.0},
            ),
            Protocol(
                name="nb101",
                source="Ying et al., NAS-Bench-101, ICML 2019, figure 7 and the published code: one of three trainings "
                "answers, its seconds are charged, and the incumbent's mean test accuracy counts (the best of all is "
                "0.943175752957662); shorter trainings have schedules of their own",
                scores=(Score("test", "test_accuracy"), Score("valid", "valid_accuracy")),
                space="nb101",
                recipe="nb101-108",
                overshoot=True,
                resumes=False,
                fidelities={4: "nb101-4", 12: "nb101-12", 36: "nb101-36"},
                budgets={"cifar10": 5e6},
            ),
        )
    }
)


def get_protocol(protocol: str | Protocol) -> Protocol:
    """Return a protocol by name, or the one given; raises `UnknownName` with near names."""
    if isinstance(protocol, Protocol):
        return protocol
    try:
        return PROTOCOLS[protocol]
    except KeyError:
        raise UnknownName("protocol", protocol, PROTOCOLS) from None
