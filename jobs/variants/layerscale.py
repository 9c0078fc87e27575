"""LayerScale: a learned gain per channel on each residual branch, small at the start.

    x <- x + g * attention(x),        x <- x + h * mlp(x)

Source: Touvron, Cord, Sablayrolles, Synnaeve, Jégou, "Going Deeper with Image Transformers", ICCV 2021; g and h start
from 0.1 up to 18 layers (recalled), 1e-5 up to 24 and 1e-6 beyond.
"""

import torch
from torch import Tensor, nn

from jobs.api import Layer, Smoothing, Variant


class LayerScale(Variant):
    """Gains of both branches, per channel, learned from `init` (no unit; by default what the depth asks for)."""

    neutral = {"init": 1.0}

    def __init__(self, layer: Layer, *, init: float | None = None) -> None:
        super().__init__(layer)
        small = 0.1 if layer.depth <= 18 else 1e-5 if layer.depth <= 24 else 1e-6
        start = small if init is None else init
        self.g, self.h = (nn.Parameter(torch.full((layer.width,), start)) for _ in range(2))

    @classmethod
    def skip(cls, layer: Layer) -> str | None:
        return "It scales residual branches; a layer of a graph network is none." if layer.graph else None

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        """g * y."""
        return self.g * y

    def feed(self, y: Tensor) -> Tensor:
        """h * y."""
        return self.h * y
