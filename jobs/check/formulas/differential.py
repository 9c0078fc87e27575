"""(1 - lam_0) rms((A_1 - lam A_2) [V_1 V_2]) of one pair of heads."""

import math

import torch
from torch import Tensor

from jobs.check.loops import Sample, spread


def heads(s: Sample, *, q: Tensor, k: Tensor, gain: Tensor) -> Tensor:
    start = 0.8 - 0.6 * math.exp(-0.3 * s.layer)
    lam = math.e ** q[0].dot(k[0]) - math.e ** q[1].dot(k[1]) + start
    both = torch.cat([s.v[0], s.v[1]], 1)
    rows = []
    for row in spread(s.a[0] - lam * s.a[1], both):
        rows.append((1 - start) * gain * row / (row.dot(row) / len(row) + 1e-5).sqrt())
    found = torch.stack(rows)
    channels = s.v.shape[-1]
    return torch.stack([found[:, :channels], found[:, channels:]])
