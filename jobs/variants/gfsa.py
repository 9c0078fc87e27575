"""Graph-filter-based self-attention: a polynomial of A with a learned weight for its K-th power, to first order.

    O_l = A V + w_K (A + (K - 1) (A^2 - A)) V = U + w_K (U + (K - 1) (A U - U)),        U = A V

Source: Choi, Wi, Kim, Shin, Lee, Trask, Park, "Graph Convolutions Enrich the Self-Attention in Transformers!", NeurIPS
2024; w_K per head, from 0; K = 4 for images, 3 for language. The weights of V and U stay at their starts, 0 and 1.
"""

import torch
from torch import Tensor, nn

from jobs.api import Layer, Smoothing, Variant


class GFSA(Variant):
    """Smoothing plus an approximate power `order` of it, weighed by w per head, learned from `init` (no unit)."""

    neutral = {"init": 0.0}

    def __init__(self, layer: Layer, *, order: int = 4, init: float = 0.0) -> None:
        super().__init__(layer)
        if order < 2:
            raise ValueError(f"gfsa: order must be >= 2, got {order}.")
        self.order = order
        self.w = nn.Parameter(torch.full((layer.heads, 1, 1), init))

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """U + w (U + (K - 1) (A U - U))."""
        u = a(v)
        return u + self.w * (u + (self.order - 1) * (a(u) - u))
