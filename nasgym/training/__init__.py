"""Training: data sets in memory, one network trained by a recipe."""

from nasgym.training.datasets import data_folder, download, fingerprint, load_dataset
from nasgym.training.engines import Engine, solo_engine
from nasgym.training.images import ImageData, Split
from nasgym.training.progress import EpochReport
from nasgym.training.trainer import Trainer

__all__ = [
    "Engine",
    "EpochReport",
    "ImageData",
    "Split",
    "Trainer",
    "data_folder",
    "download",
    "fingerprint",
    "load_dataset",
    "solo_engine",
]
