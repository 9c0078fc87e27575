"""NodeNorm(y + lam sum_g BN_g(s_g * y))."""

from torch import Tensor

from jobs.check.formulas import groupnorm, nodenorm
from jobs.check.loops import Sample

ARGUMENTS = {"groups": 3, "lam": 0.4}
TRAINING = True


def refine(
    y: Tensor, s: Sample, *, groups: int, lam: float, assign_weight: Tensor, norm_weight: Tensor, norm_bias: Tensor
) -> Tensor:
    learned = {"assign_weight": assign_weight, "norm_weight": norm_weight, "norm_bias": norm_bias}
    return nodenorm.refine(groupnorm.refine(y, s, groups=groups, lam=lam, **learned), s)
