"""Whether a search still has numbers, asked once per epoch: each question waits for the device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from nasgym.errors import SearchDiverged
from nasgym.training.sharing.learner import Learner

__all__ = ["check_finite"]


def check_finite(learner: Learner, epoch: int) -> None:
    """Raise `SearchDiverged` where the loss of epoch ``epoch``, the weights or what is learnt is not finite any more.

    The last update counts too: no loss has seen it yet.
    """
    training, schedule = learner.training, learner.training.schedule
    score = training.score()
    lost = [] if score is None or score.finite else ["loss"]
    if not _finite(training.network.state_dict().values()):
        lost.append("weights")
    own = _finite(learner.learnt())
    if lost or not own:
        what = [*lost, *([] if own else ["architecture's parameters"])]
        raise SearchDiverged(
            f"the super-network diverged in epoch {epoch + 1} of {schedule.epochs}, at a learning rate of "
            f"{schedule.rate(epoch):g}: {_listed(what)} not finite any more. {_remedy(learner, lost, own)}"
        )


def _remedy(learner: Learner, lost: Sequence[str], own: bool) -> str:
    """Return what to change, the likelier first: weights and architecture may have taken each other along."""
    weights = "a lower learning_rate" + ("" if learner.training.schedule.clip else ", or clip gradients (clip=5)")
    parts = [weights, learner.remedy] if lost else [learner.remedy, weights]
    return f"Take {', or '.join([weights] if own else parts)}."


def _listed(what: Sequence[str]) -> str:
    """Return a subject with its verb: ``"its loss and its weights are"``."""
    return " and ".join(f"its {name}" for name in what) + (" is" if list(what) == ["loss"] else " are")


def _finite(tensors: Iterable[Tensor]) -> bool:
    """Tell whether all floats are finite; this waits for the device."""
    floats = [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
    if not floats:
        return True
    return bool(torch.stack(list(torch._foreach_norm(floats, ord=math.inf))).isfinite().all())
