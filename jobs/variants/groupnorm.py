"""Differentiable group normalisation: nodes are assigned softly to groups, and each group is normalised on its own.

    y <- y + lam sum_g BN_g(s_g * y)        s = softmax(y U) over G groups, BN over nodes

Source: Zhou, Huang, Li, Zha, Chen, Hu, "Towards Deeper Graph Neural Networks with Differentiable Group Normalization",
NeurIPS 2020; G = 10, lam = 0.01 of the range 0.001 to 0.05 (recalled); BN's momentum 0.3.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from jobs.api import Layer, Smoothing
from jobs.variants.meannorm import MeanNorm


class GroupNorm(MeanNorm):
    """Batch normalisation of `groups` soft groups, added with weight `lam` (no unit, >= 0)."""

    neutral: ClassVar[Mapping[str, Any] | None] = {"lam": 0.0}

    def __init__(self, layer: Layer, *, groups: int = 10, lam: float = 0.01) -> None:
        super().__init__(layer)
        if groups < 1:
            raise ValueError(f"groupnorm: groups must be >= 1, got {groups}.")
        if lam < 0:
            raise ValueError(f"groupnorm: lam must be >= 0, got {lam}.")
        self.lam = lam
        self.assign = nn.Linear(layer.width, groups, bias=False)
        self.norm = nn.BatchNorm1d(groups * layer.width, momentum=0.3)

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        """The nodes and the normalised groups, y + lam sum_g BN_g(s_g * y)."""
        shares = self.assign(y[0]).softmax(-1)  # (N, G)
        groups = (shares[:, :, None] * y[0][:, None, :]).flatten(1)
        normed: Tensor = self.norm(groups).unflatten(1, (shares.shape[1], -1))
        return y + self.lam * normed.sum(1)
