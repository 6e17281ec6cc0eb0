"""Zero-cost proxies: what an untrained network promises, from one pass of one minibatch; more is better.

Each follows the publication named in its docstring. All of them score networks as nasgym builds them, which leave out
what cannot matter (`nasgym.networks.nb201`): an operation that leads nowhere adds nothing to a score, and a ReLU whose
output serves several edges is one ReLU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from nasgym.errors import InvalidSetting, UnknownName
from nasgym.networks.initial import seeded_network
from nasgym.recipes import DATASETS, Recipe, check_dataset
from nasgym.spaces import Macro, Space
from nasgym.training.augment import Pixels
from nasgym.training.datasets import load_dataset
from nasgym.training.devices import memory_guard, one_thread, resolve_device
from nasgym.training.engines import is_small
from nasgym.training.images import ImageData

__all__ = ["PROXIES", "ProxyScorer", "gradient_norm", "naswot", "synflow"]

PROXIES: Mapping[str, int] = MappingProxyType({"synflow": 3, "naswot": 1, "gradient_norm": 3})
"""The proxies, and what each costs in forward passes; a backward pass counts as two."""

_WITHOUT_DATA = ("synflow",)
_DATA_STREAM = 2  # keeps the draw of the minibatch apart from any other use of the seed


def synflow(network: nn.Module, shape: tuple[int, int, int]) -> float:
    """Return the synaptic flow: the sum of ``|w * dR/dw|`` over the weights of convolutions and dense layers.

    ``R`` is the sum of the outputs for an image of ones, of the network with the absolute values of its parameters and
    without batch norms: all values are positive, so that ReLUs change nothing. Computed in double precision. No data.
    Tanaka et al., NeurIPS 2020; summed over a network as by Abdelfattah et al., ICLR 2021.

    Args:
        network: Untrained; it is changed, parameters and all.
        shape: Of an image: channels, height, width.
    """
    linear = network.double().eval()
    _without_norms(linear)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.abs_()
    weights = _weights(linear)
    ones = torch.ones(1, *shape, dtype=torch.float64, device=weights[0].device)
    gradients = torch.autograd.grad(linear(ones).sum(), weights, allow_unused=True)
    flows = [(w.detach() * g).abs().sum() for w, g in zip(weights, gradients, strict=True) if g is not None]
    return float(torch.stack(flows).sum())


def naswot(network: nn.Module, images: Tensor) -> float:
    """Return the log-determinant of the kernel of ReLU codes: large where a network tells images apart.

    The code of an image says which units of all ReLUs are positive; the kernel counts for each two images the units on
    which their codes agree. Two images with one code make it minus infinity. Mellor et al., ICML 2021, section 3.

    Args:
        network: Untrained. Batch norms take the statistics of the minibatch, and keep them.
        images: One minibatch, ``[b, channels, height, width]``, normalised.
    """
    with torch.no_grad(), _Codes(len(images)) as codes:
        network.train()(images)
    return _log_determinant(codes.kernel.cpu().numpy(), codes.units)


def gradient_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the Euclidean norms of the gradients of the loss by each layer's weights, added up.

    The loss is the mean cross-entropy of one minibatch; layers are convolutions and dense ones. Abdelfattah et al.,
    ICLR 2021, section 3.

    Args:
        network: Untrained. Batch norms take the statistics of the minibatch, and keep them.
        images: ``[b, channels, height, width]``, normalised.
        labels: ``int64[b]``.
    """
    weights = _weights(network)
    loss = functional.cross_entropy(network.train()(images), labels)
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    return float(torch.stack([g.norm() for g in gradients if g is not None]).sum())


class ProxyScorer:
    """Scores untrained architectures of one space for one data set and recipe, on the same minibatch and seed.

    The first weights of every architecture are drawn from the same seed. Data are loaded when a proxy first needs
    some; `synflow` never does, except for the size of the images of a folder.

    Args:
        space: The search space.
        dataset: The data set, see `nasgym.recipes.dataset_names`.
        recipe: What says how large the networks are.
        seed: Of the first weights and of the minibatch.
        images: Images in the minibatch, drawn from the train split without repetition.
        device: Where to compute: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        data: The data set where it is at hand already; None: loaded by its name.

    Raises:
        UnknownName: No data set has that name.
        InvalidSetting: The device cannot be used, or a minibatch has fewer than 2 images.
    """

    def __init__(
        self,
        space: Space,
        dataset: str,
        recipe: Recipe,
        *,
        seed: int = 0,
        images: int = 128,
        device: str = "auto",
        data: ImageData | None = None,
    ) -> None:
        if images < 2:
            raise InvalidSetting(f"a minibatch of a proxy has 2 images or more; got {images}.")
        self.space, self.dataset, self.recipe = space, check_dataset(dataset), recipe
        self.seed, self.images, self.device = seed, images, resolve_device(device)
        self._data = data
        self._batch: tuple[Tensor, Tensor] | None = None

    def __call__(self, proxy: str, genotype: NDArray[np.integer]) -> float:
        """Return the score of one architecture ``int8[num_decisions]``; minus infinity where it is no number.

        Raises:
            UnknownName: No proxy has that name, or no network is known for the space.
            InvalidArchitecture: The genotype is not in the space.
            DatasetUnavailable: The proxy needs images, and the data set is not on this machine.
            DeviceMemoryExhausted: The pass does not fit into the device's memory.
        """
        if proxy not in PROXIES:
            raise UnknownName("proxy", proxy, PROXIES)
        with memory_guard(f"scoring by {proxy}"), self._threads():
            network = seeded_network(self.space, genotype, self.macro, self.seed)
            score = _SCORES[proxy](self, network)
        return -math.inf if math.isnan(score) else score

    def prepare(self, proxies: Iterable[str]) -> None:
        """Load now what the proxies need, so that no score waits for it; raises as a score does."""
        for proxy in proxies:
            if proxy not in _WITHOUT_DATA:
                _ = self.minibatch

    @property
    def macro(self) -> Macro:
        """The skeleton of the networks."""
        return self.recipe.macro(*self._shape())

    def operations(self, proxy: str, genotypes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return about how many multiply-accumulates the scores of a batch take, ``int64[n]``."""
        images = 1 if proxy in _WITHOUT_DATA else self.images
        return self.space.flops(genotypes, self.macro) * (PROXIES[proxy] * images)

    @property
    def minibatch(self) -> tuple[Tensor, Tensor]:
        """Normalised images and their labels, on the device; loaded at the first call."""
        if self._batch is None:
            data = self._loaded()
            pixels = Pixels(data.train, data, self.device)
            stream = np.random.default_rng([self.seed, _DATA_STREAM])
            drawn = stream.permutation(len(pixels))[: self.images]
            chosen = torch.from_numpy(drawn).to(self.device)
            self._batch = pixels.normalise(pixels.images[chosen]), pixels.labels[chosen]
        return self._batch

    def image_shape(self) -> tuple[int, int, int]:
        """Return channels, height and width of an image."""
        _, channels, side = self._shape()
        return channels, side, side

    def _loaded(self) -> ImageData:
        if self._data is None:
            self._data = load_dataset(self.dataset, image_size=self.recipe.image_size, split=self.recipe.split)
        return self._data

    def _shape(self) -> tuple[int, int, int]:
        """Return classes, channels and side of the images, known of named data sets without loading them."""
        if self._data is None and self.dataset in DATASETS:
            info = DATASETS[self.dataset]
            return info.classes, info.channels, info.resolution
        data = self._loaded()
        return len(data.classes), data.channels, data.resolution

    def _threads(self) -> AbstractContextManager[None]:
        """Take the threads that a training of such networks takes, so that seconds of both can be compared."""
        return one_thread(is_small(self.recipe, self.device, self._shape()[2]))


class _Codes(TorchFunctionMode):
    """Adds up, while it is entered, for each two images of a minibatch the ReLU units on which they agree.

    Attributes:
        kernel: ``float64[b, b]``, whole numbers.
        units: How many units there were.
    """

    def __init__(self, images: int) -> None:
        super().__init__()
        self.kernel, self.units = torch.zeros(images, images, dtype=torch.float64), 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in _RELUS:
            self._add((out > 0).flatten(1).float())
        return out

    def _add(self, codes: Tensor) -> None:
        units, ones = codes.shape[1], codes.sum(dim=1)
        agree = units - ones[:, None] - ones[None] + 2 * codes @ codes.T  # exact: counts far below 2 ** 24
        self.kernel, self.units = self.kernel.to(agree.device) + agree, self.units + units


_RELUS = (functional.relu, functional.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)


def _log_determinant(kernel: NDArray[np.float64], units: int) -> float:
    """Return the log-determinant of a kernel, exactly minus infinity where two images have one code."""
    if (kernel == units).sum() > len(kernel):
        return -math.inf
    return float(np.linalg.slogdet(kernel)[1])


def _weights(network: nn.Module) -> list[Tensor]:
    """Return the weights of all convolutions and dense layers."""
    return [layer.weight for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]


def _without_norms(network: nn.Module) -> None:
    """Make every batch norm of a network in evaluation mode the identity."""
    for norm in network.modules():
        if isinstance(norm, _BatchNorm):
            norm.reset_parameters()  # a weight of 1, a bias of 0, a running mean of 0 and variance of 1
            norm.eps = 0.0


def _synflow(scorer: ProxyScorer, network: nn.Module) -> float:
    where = torch.device("cpu") if scorer.device.type == "mps" else scorer.device  # that one has no double precision
    return synflow(network.to(where), scorer.image_shape())


def _naswot(scorer: ProxyScorer, network: nn.Module) -> float:
    return naswot(network.to(scorer.device), scorer.minibatch[0])


def _gradient_norm(scorer: ProxyScorer, network: nn.Module) -> float:
    return gradient_norm(network.to(scorer.device), *scorer.minibatch)


_SCORES: Mapping[str, Callable[[ProxyScorer, nn.Module], float]] = {
    "synflow": _synflow,
    "naswot": _naswot,
    "gradient_norm": _gradient_norm,
}
