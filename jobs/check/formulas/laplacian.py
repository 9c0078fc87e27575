"""V - A V in the first of two heads, A V in the second."""

import torch
from torch import Tensor

from jobs.check.loops import Sample, spread

ARGUMENTS = {"share": 0.5}


def heads(s: Sample, *, share: float) -> Tensor:
    found = []
    for h, (a, v) in enumerate(zip(s.a, s.v, strict=True)):
        found.append(v - spread(a, v) if h < share * len(s.v) else spread(a, v))
    return torch.stack(found)
