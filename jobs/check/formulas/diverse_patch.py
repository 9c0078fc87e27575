"""weight mean_(i != j) |x_i . x_j| / (|x_i| |x_j|) in the last layer."""

import torch
from torch import Tensor

from jobs.check.loops import Sample

ARGUMENTS = {"weight": 0.8}


def penalty(y: Tensor, s: Sample, *, weight: float) -> Tensor:
    total, pairs = torch.zeros((), dtype=y.dtype), 0
    for i, one in enumerate(y):
        for j, other in enumerate(y):
            if i != j:
                total = total + (one.dot(other) / (one.dot(one) * other.dot(other)).sqrt()).abs()
                pairs += 1
    return weight * total / pairs if s.layer == s.depth - 1 else 0 * total
