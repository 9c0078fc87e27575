"""PairNorm: keep the total distance between nodes constant from layer to layer.

    y <- scale (y - mean) / sqrt(mean_i |y_i - mean|^2)        mean over nodes

Source: Zhao, Akoglu, "PairNorm: Tackling Oversmoothing in GNNs", ICLR 2020; scale 1, 1e-6 under the root; made for
row-normalised adjacency.
"""

from torch import Tensor

from jobs.api import Layer, Smoothing
from jobs.variants.meannorm import MeanNorm

_EPSILON = 1e-6


class PairNorm(MeanNorm):
    """Centred nodes whose mean squared length is `scale`^2 (no unit, > 0)."""

    def __init__(self, layer: Layer, *, scale: float = 1.0) -> None:
        super().__init__(layer)
        if scale <= 0:
            raise ValueError(f"pairnorm: scale must be > 0, got {scale}.")
        self.scale = scale

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        """scale (y - mean) / sqrt(mean |y - mean|^2 + 1e-6)."""
        centred = y - a.mean(y)
        return self.scale * centred * (a.mean(centred.square().sum(-1, keepdim=True)) + _EPSILON).rsqrt()
