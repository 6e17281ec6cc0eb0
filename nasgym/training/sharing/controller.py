"""The controller of ENAS: an LSTM that chooses the operations of a cell one edge after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasgym.errors import SearchDiverged

__all__ = ["Controller"]

_UNITS, _LAYERS = 32, 2
_SCALE = 0.1  # first weights are uniform in -0.1..0.1
_TEMPERATURE, _SQUASH = 5.0, 2.5  # logits are 2.5 * tanh(logits / 5): no choice is ever out of the question


class Controller(nn.Module):
    """A distribution over genotypes in which each choice depends on those before it.

    Sizes, squashing and first weights are those of the published code of NAS-Bench-201. It stays on the CPU: it is
    small, and its choices are needed there.

    Args:
        allowed: ``bool[edges, options]``: which options an edge has.
        seed: Of the first weights; the global generator is left as it was.
    """

    def __init__(self, allowed: Tensor, seed: int) -> None:
        super().__init__()
        self._allowed = allowed.cpu()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.start = nn.Parameter(torch.empty(1, 1, _UNITS))
            self.lstm = nn.LSTM(_UNITS, _UNITS, num_layers=_LAYERS)
            self.embedding = nn.Embedding(allowed.shape[1], _UNITS)
            self.head = nn.Linear(_UNITS, allowed.shape[1])
            first = [self.lstm.get_parameter(name) for name in ("weight_hh_l0", "weight_ih_l0")]
            for weight in (self.start, *first, self.embedding.weight, self.head.weight):
                nn.init.uniform_(weight, -_SCALE, _SCALE)

    def forward(self, genotypes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities of genotypes, and how undecided the controller was on the way.

        Args:
            genotypes: ``int64[n, edges]``.

        Returns:
            Log-probabilities ``float[n]``, and the sums over edges of the entropies (nats) of the choices, given
            those before: their mean over genotypes drawn by `sample` is the entropy of the whole distribution.
        """
        before = self.embedding(genotypes[:, :-1]).transpose(0, 1)
        outputs, _ = self.lstm(torch.cat([self.start.expand(1, len(genotypes), _UNITS), before]))
        logs = self._log_softmax(outputs, self._allowed[:, None])
        own = logs.gather(2, genotypes.T[..., None])[..., 0]
        return own.sum(dim=0), torch.special.entr(logs.exp()).sum(dim=(0, 2))

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Draw ``int64[n, edges]``; without a generator every choice is the likeliest one given those before.

        Raises:
            SearchDiverged: The odds are no numbers any more.
        """
        inputs, state = self.start.expand(1, n, _UNITS), None
        chosen: list[Tensor] = []
        for allowed in self._allowed:
            output, state = self.lstm(inputs.contiguous(), state)
            logs = self._log_softmax(output[0], allowed)
            if logs.isnan().any():
                raise SearchDiverged("the controller diverged: its odds are no numbers. Take a lower controller_rate.")
            if generator is None:
                chosen.append(logs.argmax(dim=1))
            else:
                chosen.append(torch.multinomial(logs.exp(), 1, generator=generator)[:, 0])
            inputs = self.embedding(chosen[-1])[None]
        return torch.stack(chosen, dim=1)

    def _log_softmax(self, outputs: Tensor, allowed: Tensor) -> Tensor:
        logits = _SQUASH * torch.tanh(self.head(outputs) / _TEMPERATURE)
        return logits.masked_fill(~allowed, -torch.inf).log_softmax(dim=-1)
