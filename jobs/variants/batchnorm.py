"""BatchNorm: every channel is normalised over the nodes, with a learned gain and shift.

    y <- gain (y - mean(y)) / sqrt(var(y) + 1e-5) + shift        over nodes; in evaluation, running statistics

Source: Ioffe, Szegedy, "Batch Normalization", ICML 2015; on deep graph networks: Chen et al., "Bag of Tricks for
Training Deeper Graph Neural Networks", TPAMI 2022.
"""

from torch import Tensor, nn

from jobs.api import Layer, Smoothing
from jobs.variants.meannorm import MeanNorm


class BatchNorm(MeanNorm):
    """torch's batch normalisation over nodes."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.norm = nn.BatchNorm1d(layer.width)

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        """gain (y - mean) / std + shift."""
        normed: Tensor = self.norm(y[0])
        return normed[None]
