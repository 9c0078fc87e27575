"""sigmoid(X W_g + b_g) * A V, channel by channel."""

import torch
from torch import Tensor

from jobs.check.loops import Sample, spread


def heads(s: Sample, *, gate_weight: Tensor, gate_bias: Tensor) -> Tensor:
    channels, found = s.v.shape[-1], []
    for h, (a, v) in enumerate(zip(s.a, s.v, strict=True)):
        columns = []
        for d in range(channels):
            c = h * channels + d
            scores = torch.stack([x.dot(gate_weight[c]) + gate_bias[c] for x in s.x])
            columns.append(spread(a, v)[:, d] / (1 + torch.exp(-scores)))
        found.append(torch.stack(columns, 1))
    return torch.stack(found)
