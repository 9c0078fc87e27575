"""U - (U . V) V / |V|^2, U = A V."""

import torch
from torch import Tensor

from jobs.check.loops import Head, spread


def head(h: Head) -> Tensor:
    rows = []
    for u, v in zip(spread(h.a, h.v), h.v, strict=True):
        rows.append(u - u.dot(v) / v.dot(v) * v)
    return torch.stack(rows)
