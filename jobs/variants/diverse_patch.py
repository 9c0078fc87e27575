"""DiversePatch's cosine loss: the last layer's tokens are penalised for being alike.

    loss <- loss + weight mean_(i != j) |x_i . x_j| / (|x_i| |x_j|)        x: the last layer's output

Source: Gong, Wang, Li, Chandra, Liu, "Vision Transformers with Patch Diversification", arXiv 2104.12753, 2021; weight
1 is recalled. Their contrastive and mixing losses are left out: they need the first layer's patches and the labels of
mixed images, which a variant does not see.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from jobs.api import Layer, Variant


class DiversePatch(Variant):
    """The baseline with a penalty of `weight` (no unit, >= 0) on the last layer's likeness."""

    neutral = {"weight": 0.0}

    def __init__(self, layer: Layer, *, weight: float = 1.0) -> None:
        super().__init__(layer)
        if weight < 0:
            raise ValueError(f"diverse_patch: weight must be >= 0, got {weight}.")
        self.weight = weight if layer.index == layer.depth - 1 else 0.0

    @classmethod
    def skip(cls, layer: Layer) -> str | None:
        return "It compares all pairs of patches of an image; a graph has too many nodes." if layer.graph else None

    def penalty(self, x: Tensor) -> Tensor:
        """weight mean_(i != j) |cos(x_i, x_j)| in the last layer, O(N^2 C)."""
        if self.weight == 0:
            return x.new_zeros(())
        unit = normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)
        tokens = x.shape[-2]
        alike = (unit @ unit.mT).abs().sum((-2, -1)) - tokens
        return self.weight * (alike / (tokens * (tokens - 1))).mean()
