"""A without the edges that a draw drops, each with probability p, normalised anew, times V."""

import torch
from torch import Tensor

from jobs.check.loops import Sample, normalised, spread

ARGUMENTS = {"p": 0.4}
TRAINING = True


def heads(s: Sample, *, p: float) -> Tensor:
    kept = [edge for edge, draw in zip(s.edges, torch.rand(len(s.edges)), strict=True) if draw >= p]
    nodes = s.v.shape[1]
    if s.kind:
        return torch.stack([spread(normalised(kept, nodes, s.kind), v) for v in s.v])
    linked = normalised(kept, nodes, "row") > 0
    found = []
    for a, v in zip(s.a, s.v, strict=True):
        rest = torch.where(linked, a, torch.zeros_like(a))
        found.append(spread(torch.stack([row / row.sum() for row in rest]), v))
    return torch.stack(found)
