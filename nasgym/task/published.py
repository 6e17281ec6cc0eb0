"""Figures that the papers print for an agent under a protocol, to be shown beside one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["NASBENCH201_2020", "NATS_TSS", "Published"]


@dataclass(frozen=True)
class Published:
    """One cell of a published table: mean and standard deviation over runs, as fractions.

    Attributes:
        dataset: The data set that was searched.
        agent: The agent, by its name here.
        score: The score, by its name in the protocol.
        mean: Over the runs.
        std: Over the runs.
    """

    dataset: str
    agent: str
    score: str
    mean: float
    std: float


def _row(dataset: str, agent: str, scores: tuple[str, ...], text: str) -> Iterator[Published]:
    """Read one row as it is printed: ``mean±std`` in percent, one for each score."""
    for score, cell in zip(scores, text.split(), strict=True):
        mean, std = (float(number) / 100 for number in cell.split("±"))
        yield Published(dataset, agent, score, mean, std)


_SCORES_2020 = tuple(f"{d} {split}" for d in ("cifar10", "cifar100", "imagenet16-120") for split in ("valid", "test"))
_ROWS_2020 = {
    "random_search": "90.93±0.36 93.70±0.36 70.93±1.09 71.04±1.07 44.45±1.10 44.57±1.25",
    "regularized_evolution": "91.19±0.31 93.92±0.30 71.81±1.12 71.84±0.99 45.15±0.89 45.54±1.03",
    "reinforce": "91.09±0.37 93.85±0.37 71.61±1.12 71.71±1.09 45.05±1.02 45.24±1.18",
    "bohb": "90.82±0.53 93.61±0.52 70.74±1.29 70.85±1.28 44.26±1.36 44.42±1.49",
}
NASBENCH201_2020 = tuple(p for agent, text in _ROWS_2020.items() for p in _row("cifar10", agent, _SCORES_2020, text))
"""Dong and Yang, ICLR 2020, table 5: 500 runs each."""

_ROWS_NATS = {
    ("cifar10", "random_search"): "91.07±0.26 93.86±0.23",
    ("cifar10", "regularized_evolution"): "91.25±0.31 94.02±0.31",
    ("cifar10", "reinforce"): "91.12±0.25 93.90±0.26",
    ("cifar10", "bohb"): "91.17±0.27 93.94±0.28",
    ("cifar100", "random_search"): "71.46±0.97 71.55±0.97",
    ("cifar100", "regularized_evolution"): "72.28±0.95 72.23±0.84",
    ("cifar100", "reinforce"): "71.80±0.94 71.86±0.89",
    ("cifar100", "bohb"): "72.04±0.93 72.00±0.86",
    ("imagenet16-120", "random_search"): "45.03±0.91 45.28±0.97",
    ("imagenet16-120", "regularized_evolution"): "45.71±0.77 45.77±0.80",
    ("imagenet16-120", "reinforce"): "45.37±0.74 45.64±0.78",
    ("imagenet16-120", "bohb"): "45.55±0.79 45.70±0.86",
}
NATS_TSS = tuple(
    p for (dataset, agent), text in _ROWS_NATS.items() for p in _row(dataset, agent, ("valid", "test"), text)
)
"""Dong et al., NATS-Bench, TPAMI 2021, table 4, topology search space: 500 runs each."""
