"""Modules of NAS-Bench-101 as scripts for the original write them, and what a made-up file says of them."""

from nasgym.compat.nasbench import api
from nasgym.spaces import NB101
from tests.importers import nb101_records as records
from tests.nb101_golden import C1, C3, CELLS, PARAMETERS
from tests.nb101_golden import POOL as MP

INPUT, OUTPUT = "input", "output"
OPS = [C3, C1, MP]
KEYS = [
    "module_adjacency",
    "module_operations",
    "trainable_parameters",
    "training_time",
    "train_accuracy",
    "validation_accuracy",
    "test_accuracy",
]
SPACE = NB101()


def matrix(text):
    return [[int(digit) for digit in row] for row in text.split("/")]


def index_of(digits):
    return int(SPACE.index(SPACE.from_str([digits]))[0])


def spec_of(digits):
    return api.ModelSpec(*GOLDEN[digits])


def expected(index, epochs, repeat, halfway):
    """The numbers of the synthetic file: seconds, train, validation, test."""
    points, _ = records.Maker(0).numbers(index, epochs)
    return points[repeat, 1 if halfway else 2, 1:].tolist()


GOLDEN = {digits: (matrix("/".join(rows)), [INPUT, *ops, OUTPUT]) for digits, (rows, ops) in CELLS.items()}
INCEPTION, INCEPTION_OPS = GOLDEN["28cfc7874f6d200472e1a9dcd8650aa0"]
INDICES = sorted({*map(index_of, PARAMETERS), *range(1000, 1040)})
"""The modules of the made-up file."""
