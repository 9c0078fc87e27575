"""FeatScale: reweigh the mean and the rest of every channel after the branch.

    y <- y + s mean(y) + t (y - mean(y))

Source: Wang, Zheng, Chen, Wang, "Anti-Oversmoothing in Deep Vision Transformers via the Fourier
Domain Analysis", ICLR 2022; s and t are learned per channel and start from 0.
"""

import torch
from torch import Tensor, nn

from jobs.api import Layer, Smoothing, Variant


class FeatScale(Variant):
    """Smoothing, then learned gains of the low (`s`) and high (`t`) band, per channel, from `init`."""

    neutral = {"init": 0.0}

    def __init__(self, layer: Layer, *, init: float = 0.0) -> None:
        super().__init__(layer)
        self.s = nn.Parameter(torch.full((layer.width,), init))
        self.t = nn.Parameter(torch.full((layer.width,), init))

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        """y + s mean(y) + t (y - mean(y))."""
        mean = a.mean(y)
        return y + self.s * mean + self.t * (y - mean)
