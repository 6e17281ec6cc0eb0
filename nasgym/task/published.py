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
        agent: The agent by its name here, with the preset of the published settings where its defaults are others.
        score: The score, by its name in the protocol.
        mean: Over the runs.
        std: Over the runs.
        seconds: What one search took, where it ended by itself: a budget below that is another search, a greater one
            is not. None: the search was that of the protocol's budget.
    """

    dataset: str
    agent: str
    score: str
    mean: float
    std: float
    seconds: float | None = None


def _row(
    dataset: str, agent: str, scores: tuple[str, ...], text: str, seconds: float | None = None
) -> Iterator[Published]:
    """Read one row as it is printed: ``mean±std`` in percent, one for each score."""
    for score, cell in zip(scores, text.split(), strict=True):
        mean, std = (float(number) / 100 for number in cell.split("±"))
        yield Published(dataset, agent, score, mean, std, seconds)


_SCORES_2020 = tuple(f"{d} {split}" for d in ("cifar10", "cifar100", "imagenet16-120") for split in ("valid", "test"))
_ROWS_2020 = {
    "random_search": "90.93±0.36 93.70±0.36 70.93±1.09 71.04±1.07 44.45±1.10 44.57±1.25",
    "regularized_evolution": "91.19±0.31 93.92±0.30 71.81±1.12 71.84±0.99 45.15±0.89 45.54±1.03",
    "reinforce": "91.09±0.37 93.85±0.37 71.61±1.12 71.71±1.09 45.05±1.02 45.24±1.18",
    "bohb:nb201-2020": "90.82±0.53 93.61±0.52 70.74±1.29 70.85±1.28 44.26±1.36 44.42±1.49",
}
_DARTS = "39.77±0.00 54.30±0.00 15.03±0.00 15.61±0.00 16.43±0.00 16.32±0.00"
_SHARING_2020 = {
    "rsps:nb201-2020": (8007, "80.42±3.58 84.07±3.61 52.12±5.55 52.31±5.77 27.22±3.24 26.28±3.09"),
    "darts_v1:nb201-2020": (11626, _DARTS),
    "darts_v2:nb201-2020": (35782, _DARTS),
    "gdas:nb201-2020": (31610, "89.89±0.08 93.61±0.09 71.34±0.04 70.70±0.30 41.59±1.33 41.71±0.98"),
    "setn:nb201-2020": (34140, "84.04±0.28 87.64±0.00 58.86±0.06 59.05±0.24 33.06±0.02 32.52±0.21"),
    "enas:nb201-2020": (14059, "37.51±3.19 53.89±0.58 13.37±2.35 13.96±2.33 15.06±1.95 14.84±2.10"),
    "rsps:nb201-2020-batch": (7587, "84.16±1.69 87.66±1.69 59.00±4.60 58.33±4.34 31.56±3.28 31.14±3.88"),
    "gdas:nb201-2020-batch": (28926, "90.00±0.21 93.51±0.13 71.14±0.27 70.61±0.26 41.70±1.26 41.84±0.90"),
    "setn:nb201-2020-batch": (31010, "82.25±5.17 86.19±4.63 56.86±7.59 56.87±7.77 32.54±3.63 31.90±4.07"),
}
NASBENCH201_2020 = (
    *(p for agent, text in _ROWS_2020.items() for p in _row("cifar10", agent, _SCORES_2020, text)),
    *(p for agent, (s, text) in _SHARING_2020.items() for p in _row("cifar10", agent, _SCORES_2020, text, s)),
)
"""Dong and Yang, ICLR 2020, table 5: 500 runs each, of weight sharing 3, without budget and with the seconds that one
search took. Its rows with BN = 0 (statistics of the batch) are those of the presets ``nb201-2020-batch``."""

_ROWS_NATS = {
    ("cifar10", "random_search"): "91.07±0.26 93.86±0.23",
    ("cifar10", "regularized_evolution"): "91.25±0.31 94.02±0.31",
    ("cifar10", "reinforce"): "91.12±0.25 93.90±0.26",
    ("cifar10", "bohb:nats"): "91.17±0.27 93.94±0.28",
    ("cifar100", "random_search"): "71.46±0.97 71.55±0.97",
    ("cifar100", "regularized_evolution"): "72.28±0.95 72.23±0.84",
    ("cifar100", "reinforce"): "71.80±0.94 71.86±0.89",
    ("cifar100", "bohb:nats"): "72.04±0.93 72.00±0.86",
    ("imagenet16-120", "random_search"): "45.03±0.91 45.28±0.97",
    ("imagenet16-120", "regularized_evolution"): "45.71±0.77 45.77±0.80",
    ("imagenet16-120", "reinforce"): "45.37±0.74 45.64±0.78",
    ("imagenet16-120", "bohb:nats"): "45.55±0.79 45.70±0.86",
}
NATS_TSS = tuple(
    p for (dataset, agent), text in _ROWS_NATS.items() for p in _row(dataset, agent, ("valid", "test"), text)
)
"""Dong et al., NATS-Bench, TPAMI 2021, table 4, topology search space: 500 runs each."""
