"""An exponential moving average of the weights, as DeiT keeps one: tested beside the weights, never instead of them.

average <- decay average + (1 - decay) weights        after every step; buffers likewise, counts are copied
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The average of `model`'s state; `decay` in (0, 1)."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live = _state(model)
        self.values = {name: tensor.detach().clone() for name, tensor in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are now into account."""
        real = [name for name, tensor in self.values.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.values[name] for name in real], [self._live[name] for name in real], 1 - self.decay)
        for name in self.values.keys() - set(real):
            self.values[name].copy_(self._live[name])

    @torch.no_grad()
    def restore(self, values: dict[str, Tensor]) -> None:
        """Go on from a checkpoint's average."""
        for name, tensor in self.values.items():
            tensor.copy_(values[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the block the model has the averaged weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, tensor in self._live.items():
            kept = tensor.clone()
            tensor.copy_(self.values[name])
            self.values[name].copy_(kept)


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, each once where weights are tied."""
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: tensor.detach() for name, tensor in named.items()}
