"""Laplacian heads: a share of the heads applies I - A, the graph Laplacian of its attention, instead of A.

    O_l = V_l - A_l V_l in the first round(share H) heads,        A_l V_l in the others

Source: Zhang, Papyan, "Laplacian Heads Improve Transformers by Smoothing Token Representations", arXiv 2602.09297,
2026; half of the heads is our choice.
"""

import torch
from torch import Tensor

from jobs.api import Layer, Smoothing, Variant


class Laplacian(Variant):
    """A `share` of the heads, in [0, 1], subtracts what it gathers from the token's own value."""

    neutral = {"share": 0.0}

    def __init__(self, layer: Layer, *, share: float = 0.5) -> None:
        super().__init__(layer)
        if not 0 <= share <= 1:
            raise ValueError(f"laplacian: share must be in [0, 1], got {share}.")
        self.count = round(share * layer.heads)

    @classmethod
    def skip(cls, layer: Layer) -> str | None:
        return "Some heads turn into Laplacians; a layer of one head cannot be divided." if layer.heads == 1 else None

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """V - U in the first heads, U in the others."""
        u = a(v)
        laplacian = v[..., : self.count, :, :] - u[..., : self.count, :, :]
        return torch.cat([laplacian, u[..., self.count :, :, :]], -3)
