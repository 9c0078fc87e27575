"""ContraNorm: tokens repel those that are like them, by a share `scale` of a softmax over their similarities.

    transformers    every norm receives  x - scale softmax(n n^T / tau) x,        n = x row by row of length 1
    graphs          after the convolution  (1 + scale) y - scale softmax(n n^T / tau) y, neighbours and self left out

Source: Guo, Wang, Du, Wang, "ContraNorm: A Contrastive Learning Perspective on Oversmoothing and Beyond", ICLR 2023;
scale 0.05 in BERT, 0.01 in their ViT script, 0.2 to 1 on graphs, tau = 1. Causal models compare a token with earlier
ones only.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from jobs.api import Layer, Smoothing, Variant
from jobs.errors import VariantError
from jobs.operators.attention import Attention

_NODES = 20_000
"""Above that the similarities of all pairs take more than 1.6 GB in float32, in every layer."""


class ContraNorm(Variant):
    """Repulsion of strength `scale` (no unit, >= 0) at temperature `tau` (no unit, > 0)."""

    neutral = {"scale": 0.0}

    def __init__(self, layer: Layer, *, scale: float = 0.05, tau: float = 1.0) -> None:
        super().__init__(layer)
        if scale < 0:
            raise ValueError(f"contranorm: scale must be >= 0, got {scale}.")
        if tau <= 0:
            raise ValueError(f"contranorm: tau must be > 0, got {tau}.")
        self.scale, self.tau = scale, tau

    def enter(self, x: Tensor) -> Tensor:
        """x - scale softmax(n n^T / tau) x, in one fused call; on a graph x."""
        if self.layer.graph:
            return x
        n = normalize(x, dim=-1)
        alike = Attention(n, n, x=x, memory={}, causal=self.layer.causal, scale=1 / self.tau)
        return x - self.scale * alike(x)

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        """(1 + scale) y - scale softmax(n n^T / tau) y on a graph; in a transformer y."""
        if not self.layer.graph:
            return y
        nodes = y.shape[-2]
        if nodes > _NODES:
            raise VariantError(
                f"contranorm compares all pairs of nodes: {nodes:,} nodes need {4e-9 * nodes**2:.0f} GB in every "
                f"layer; at most {_NODES:,} nodes are accepted. Sample subgraphs, or leave it out here."
            )
        n = normalize(y, dim=-1)
        alike = (n @ n.mT / self.tau).masked_fill(a.linked(), -torch.inf).softmax(-1).nan_to_num(0.0)
        return (1 + self.scale) * y - self.scale * (alike @ y)
