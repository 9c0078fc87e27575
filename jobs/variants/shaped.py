"""Shaped attention: identity plus attention less its average, which at the start is the identity alone.

    O_l = alpha V_l + beta A_l V_l - gamma J V_l        per head, all three from 1; W_Q starts from 0, so that A = J

Source: Noci et al., "The Shaped Transformer: Attention Models in the Infinite Depth-and-Width Limit", NeurIPS 2023; He,
Hofmann, "Simplifying Transformer Blocks", ICLR 2024. A graph has no queries: there A stays what it is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jobs.api import Layer, Smoothing, Variant


class Shaped(Variant):
    """alpha V + beta A V - gamma J V with learned weights per head (no unit)."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        self.alpha, self.beta, self.gamma = (nn.Parameter(torch.ones(layer.heads, 1, 1)) for _ in range(3))

    def begin(self, queries: Sequence[Tensor]) -> None:
        """Let every query start from zero: all tokens are attended to alike."""
        for part in queries:
            part.zero_()

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """alpha V + (beta - gamma) J V + beta (A - J) V."""
        return self.alpha * v + (self.beta - self.gamma) * a.consensus(v) + self.beta * a.deviation(v)
