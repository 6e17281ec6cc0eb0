"""Weight sharing: one super-network trained for all architectures, and what is learnt of them on the way."""

from nasgym.training.sharing.core import SharedTraining, SharingReport
from nasgym.training.sharing.learner import Learner
from nasgym.training.sharing.loop import train_and_settle
from nasgym.training.sharing.meter import Meter
from nasgym.training.sharing.schedule import Schedule

__all__ = ["Learner", "Meter", "Schedule", "SharedTraining", "SharingReport", "train_and_settle"]
