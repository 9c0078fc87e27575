"""BN(Theta A + b) V with the running statistics of evaluation."""

import torch
from torch import Tensor

from jobs.check.loops import Sample, spread


def heads(
    s: Sample,
    *,
    theta_weight: Tensor,
    theta_bias: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    norm_running_mean: Tensor,
    norm_running_var: Tensor,
) -> Tensor:
    found = []
    for h, v in enumerate(s.v):
        mixed = theta_bias[h] + sum(theta_weight[h, g, 0, 0] * s.a[g] for g in range(len(s.a)))
        normed = (mixed - norm_running_mean[h]) / (norm_running_var[h] + 1e-5).sqrt() * norm_weight[h] + norm_bias[h]
        found.append(spread(torch.where(s.seen, normed, torch.zeros_like(normed)), v))
    return torch.stack(found)
