"""From an architecture to its network, for every search space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nasgym.errors import UnknownName
from nasgym.networks.nats_sss import NatsSSSNetwork
from nasgym.networks.nb101 import nb101_network
from nasgym.networks.nb201 import NB201Network
from nasgym.spaces import Macro, Space
from nasgym.spaces.nb101 import NB101_SPACES

__all__ = ["build_network"]

_BUILDERS: dict[str, Callable[[NDArray[np.integer], Macro], nn.Module]] = {
    "nats-sss": NatsSSSNetwork,
    **{space.name: nb101_network for space in NB101_SPACES},
    "nb201": NB201Network,
}


def build_network(space: Space | str, genotype: NDArray[np.integer], macro: Macro) -> nn.Module:
    """Return the network of one architecture, with first weights from the global CPU generator.

    Args:
        space: A search space or its name.
        genotype: ``int8[num_decisions]``.
        macro: The skeleton: channels, cells per stage, classes, input channels.

    Raises:
        UnknownName: No network is known for that space.
        InvalidArchitecture: The genotype is not in the space.
    """
    name = space if isinstance(space, str) else space.name
    if name not in _BUILDERS:
        raise UnknownName("network of the search space", name, _BUILDERS)
    return _BUILDERS[name](genotype, macro)
