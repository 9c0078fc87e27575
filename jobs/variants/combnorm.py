"""CombNorm: differentiable group normalisation, then node normalisation.

    y <- NodeNorm(y + lam sum_g BN_g(s_g * y))

Source: Chen, Zhou, Duan, Zheng, Wang, Hu, Wang, "Bag of Tricks for Training Deeper Graph Neural Networks", TPAMI 2022;
groups and lam as for groupnorm.
"""

from torch import Tensor

from jobs.api import Layer, Smoothing
from jobs.variants.groupnorm import GroupNorm
from jobs.variants.nodenorm import NodeNorm


class CombNorm(GroupNorm):
    """Both norms, `groups` and `lam` as for groupnorm."""

    neutral = None

    def __init__(self, layer: Layer, *, groups: int = 10, lam: float = 0.01) -> None:
        super().__init__(layer, groups=groups, lam=lam)
        self.nodes = NodeNorm(layer)

    def refine(self, y: Tensor, a: Smoothing) -> Tensor:
        """The group norm, then the node norm."""
        return self.nodes.refine(super().refine(y, a), a)
