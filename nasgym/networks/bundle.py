"""Many NAS-Bench-201 networks as one: each layer of all is one grouped operation.

The members lie side by side along the channels, ``[b, m * c, h, w]``, so that the convolutions of all members are one
grouped convolution and their batch norms are one batch norm: neither mixes members. Members may differ on every edge:
the edges that leave one node with the same operation, of whatever member and to whatever target, are gathered,
computed by one call, and added to their targets. What `NB201Network` leaves out is left out here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nasgym.errors import InvalidSetting
from nasgym.networks.bundle_cells import LiveEdge, Work, checked_genotypes, live_edges
from nasgym.networks.initial import initial_weights
from nasgym.spaces import Macro
from nasgym.spaces.nb201 import NUM_NODES

__all__ = ["BundleNetwork"]

_STAGES = 3
_OUTPUT = NUM_NODES - 1
_EPSILON, _MOMENTUM = 1e-5, 0.1  # PyTorch's defaults, which the published networks use
_Names = Sequence[tuple[int, str]]
_Spans = Sequence[tuple[int, int, int]]
"""Target, and where the edges to it begin and end among those of a call."""


class _Conv(nn.Module):
    """Convolutions without bias, one per group.

    Args:
        names: The member of each group, and the name of its module there.
        inputs: Channels that go into one group.
        outputs: Channels that come out of it.
        kernel: Side of the kernel.
        stride: In pixels.
    """

    def __init__(self, names: _Names, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.names, self.stride, self.padding = names, stride, kernel // 2
        self.weight = nn.Parameter(torch.empty(len(names) * outputs, inputs, kernel, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, groups * inputs, h, w]`` to ``[b, groups * outputs, h / stride, w / stride]``.

        ``[b, inputs, h, w]`` goes into every group.
        """
        groups = x.shape[1] // self.weight.shape[1]
        return functional.conv2d(x, self.weight, stride=self.stride, padding=self.padding, groups=groups)


class _Norm(nn.Module):
    """Batch norms, one per group; ``names`` as in `_Conv`."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, names: _Names, channels: int) -> None:
        super().__init__()
        self.names = names
        self.weight = nn.Parameter(torch.ones(len(names) * channels))
        self.bias = nn.Parameter(torch.zeros(len(names) * channels))
        self.register_buffer("running_mean", torch.zeros(len(names) * channels))
        self.register_buffer("running_var", torch.ones(len(names) * channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of ``[b, groups * channels, h, w]``."""
        statistics = (self.running_mean, self.running_var)
        return functional.batch_norm(x, *statistics, self.weight, self.bias, self.training, _MOMENTUM, _EPSILON)


class _BiasOfNorm(nn.Module):
    """Convolutions of zero, one per group: each gives the bias of its batch norm, everywhere."""

    def __init__(self, names: _Names, channels: int) -> None:
        super().__init__()
        self.names, self._channels = names, channels
        self.bias = nn.Parameter(torch.zeros(len(names) * channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[b, groups, channels, h, w]`` for any ``x`` of five such dimensions."""
        shape = (len(x), len(self.names), self._channels, *x.shape[3:])
        return self.bias.view(1, len(self.names), self._channels, 1, 1).expand(shape)


class _Classifier(nn.Module):
    """Linear layers with bias, one per member."""

    def __init__(self, members: int, features: int, classes: int) -> None:
        super().__init__()
        self.names = _everyone(members, "classifier")
        self.weight = nn.Parameter(torch.empty(members, classes, features))
        self.bias = nn.Parameter(torch.empty(members, classes))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[m, b, features]`` to logits ``[m, b, classes]``."""
        return torch.baddbmm(self.bias[:, None], features, self.weight.mT)


def _everyone(members: int, name: str) -> list[tuple[int, str]]:
    return [(member, name) for member in range(members)]


def _conv_norm(
    names: _Names, parts: tuple[str, str], channels: tuple[int, int], kernel: int, stride: int = 1
) -> nn.Module:
    """Return convolutions and batch norms; ``parts`` are their names within the named modules."""
    conv, norm = ([(member, f"{name}{part}") for member, name in names] for part in parts)
    return nn.Sequential(_Conv(conv, *channels, kernel, stride), _Norm(norm, channels[1]))


class _Gather(torch.autograd.Function):
    """The inputs of all edges of a call, ``[b, edges, c, h, w]`` of a node ``[b, m, c, h, w]``.

    A member may have edges to several targets, but only one to each. So the gradients are added target by target, in
    an order that never changes: adding them at once would add those of one member in any order on a GPU.
    """

    @staticmethod
    def forward(ctx: Any, node: Tensor, members: Tensor, spans: _Spans) -> Tensor:
        """Return ``node[:, members]``."""
        ctx.save_for_backward(members)
        ctx.spans, ctx.count = spans, node.shape[1]
        return node.index_select(1, members)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the node."""
        (upstream,), (members,) = gradients, ctx.saved_tensors
        sums = upstream.new_zeros((upstream.shape[0], ctx.count, *upstream.shape[2:]))
        for _, start, end in ctx.spans:
            sums.index_add_(1, members[start:end], upstream[:, start:end])
        return sums, None, None


class _Call(nn.Module):
    """One operation on all edges that leave one node with it.

    Args:
        source: The node.
        work: The operation.
        edges: ``(target, member, edge)``, ordered.
        channels: Of one member.
        at: The place of the cell in the skeleton, which names the modules of the members.
    """

    members: Tensor

    def __init__(self, source: int, work: Work, edges: Sequence[tuple[int, int, int]], channels: int, at: int) -> None:
        super().__init__()
        self.source, self.work = source, work
        self.register_buffer("members", torch.tensor([member for _, member, _ in edges]), persistent=False)
        targets = [target for target, _, _ in edges]
        firsts = {target: targets.index(target) for target in targets}
        self.spans: _Spans = [(target, at, at + targets.count(target)) for target, at in firsts.items()]
        names = [(member, f"cells.{at}.layers.{edge}.op.") for _, member, edge in edges]
        self.layer: nn.Module | None = None
        if work == "bias":
            self.layer = _BiasOfNorm([(member, f"{name}2") for member, name in names], channels)
        elif work in ("conv3", "conv1"):
            self.layer = _conv_norm(names, ("1", "2"), (channels, channels), kernel=int(work[-1]))

    def forward(self, nodes: Mapping[int, Tensor]) -> Tensor:
        """Return ``[b, edges, c, h, w]``, given the nodes ``[b, m, c, h, w]`` that are ready."""
        if self.work == "bias":
            assert self.layer is not None
            biases: Tensor = self.layer(nodes[0])
            return biases
        x: Tensor = _Gather.apply(nodes[self.source], self.members, self.spans)
        if self.work == "skip":
            return x
        flat = x.flatten(1, 2)
        if self.layer is None:
            return functional.avg_pool2d(flat, 3, stride=1, padding=1, count_include_pad=False).view_as(x)
        out: Tensor = self.layer(functional.relu(flat))
        return out.view_as(x)


class _BundleCell(nn.Module):
    """The cells of all members at one place of the skeleton.

    Args:
        live: The edges that matter, by member.
        channels: Of one member.
        at: The place, which names the modules of the members.
    """

    def __init__(self, live: Sequence[Sequence[LiveEdge]], channels: int, at: int) -> None:
        super().__init__()
        self._members, self._channels = len(live), channels
        edges = sorted((e.source, e.work, e.target, member, e.edge) for member, row in enumerate(live) for e in row)
        self.calls = nn.ModuleList(
            _Call(source, work, [edge[2:] for edge in group], channels, at)
            for (source, work), group in groupby(edges, key=lambda edge: edge[:2])
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, m * c, h, w]`` to the same shape."""
        first = x.view(len(x), self._members, self._channels, *x.shape[2:])
        nodes = {0: first}
        for call in self.calls:  # in the order of their sources: a node is complete before it is read
            assert isinstance(call, _Call)
            values = call(nodes)
            for target, start, end in call.spans:
                if target not in nodes:
                    nodes[target] = torch.zeros_like(first)
                part = values[:, start:end].to(first.dtype)  # under autocast operations differ in theirs
                nodes[target].index_add_(1, call.members[start:end], part)
        output = nodes.get(_OUTPUT)
        return torch.zeros_like(x) if output is None else output.flatten(1, 2)


class _BundleBlock(nn.Module):
    """The residual blocks of all members between two stages."""

    def __init__(self, members: int, inputs: int, outputs: int, at: int) -> None:
        super().__init__()
        self.conv_a = _conv_norm(_everyone(members, f"cells.{at}.conv_a.op."), ("1", "2"), (inputs, outputs), 3, 2)
        self.conv_b = _conv_norm(_everyone(members, f"cells.{at}.conv_b.op."), ("1", "2"), (outputs, outputs), 3)
        self.downsample = _Conv(_everyone(members, f"cells.{at}.downsample.1"), inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[b, m * inputs, h, w]`` to ``[b, m * outputs, ceil(h / 2), ceil(w / 2)]``."""
        residual: Tensor = self.downsample(functional.avg_pool2d(x, 2, stride=2, ceil_mode=True))
        block: Tensor = self.conv_b(functional.relu(self.conv_a(functional.relu(x))))
        return residual + block


class BundleNetwork(nn.Module):
    """The networks of several cells, each with weights and batch-norm statistics of its own.

    A weight that cannot matter to the output of its member does not exist here.

    Args:
        genotypes: ``int8[m, 6]``, one row per member; rows may repeat.
        macro: The skeleton of all members.
        seeds: Of the initialisation of each member, which is that of `NB201Network` under that seed.

    Raises:
        InvalidArchitecture: A row is no cell.
        InvalidSetting: There are not as many seeds as rows.
    """

    def __init__(self, genotypes: NDArray[np.integer], macro: Macro, seeds: Sequence[int]) -> None:
        super().__init__()
        rows = checked_genotypes(genotypes)
        if len(seeds) != len(rows):
            raise InvalidSetting(f"a bundle needs one seed per member; got {len(seeds)} for {len(rows)}.")
        self.genotypes, self.macro = rows, macro
        members, width = len(rows), macro.channels
        live = [live_edges(row) for row in rows.tolist()]
        self.stem = _conv_norm(_everyone(members, "stem."), ("0", "1"), (macro.in_channels, width), 3)
        self.cells = nn.ModuleList()
        for stage in range(_STAGES):
            if stage:
                self.cells.append(_BundleBlock(members, width, 2 * width, len(self.cells)))
                width *= 2
            for _ in range(macro.cells_per_stage):
                self.cells.append(_BundleCell(live, width, len(self.cells)))
        self.lastact = _Norm(_everyone(members, "lastact.0"), width)
        self.classifier = _Classifier(members, width, macro.classes)
        for row, seed, state in zip(rows, seeds, self.member_states(), strict=True):
            weights = initial_weights(row, macro, seed)
            for name, part in state.items():
                part.copy_(weights[name])

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``[m, b, classes]`` for normalised images.

        ``[m, b, in_channels, h, w]`` gives each member its own batch, ``[b, in_channels, h, w]`` gives all the same.
        """
        members = len(self.genotypes)
        x: Tensor = self.stem(images.transpose(0, 1).flatten(1, 2) if images.ndim == 5 else images)
        for cell in self.cells:
            x = cell(x)
        x = functional.relu(self.lastact(x)).mean(dim=(2, 3))
        logits: Tensor = self.classifier(x.view(len(x), members, -1).transpose(0, 1))
        return logits

    def member_states(self) -> list[dict[str, Tensor]]:
        """Return views of each member's tensors, by their names in the ``state_dict`` of an `NB201Network`."""
        states: list[dict[str, Tensor]] = [{} for _ in self.genotypes]
        for module in self.modules():
            names: _Names | None = getattr(module, "names", None)
            if names is not None:
                for kind, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                    for (member, name), part in zip(names, tensor.detach().chunk(len(names)), strict=True):
                        states[member][f"{name}.{kind}"] = part.squeeze(0) if isinstance(module, _Classifier) else part
        return states
