"""x - scale softmax(n n^T / tau) x before norms; on a graph (1 + scale) y - scale softmax(n n^T / tau) y elsewhere."""

import torch
from torch import Tensor

from jobs.check.loops import Sample, rows, spread

ARGUMENTS = {"scale": 0.4, "tau": 0.5}


def _alike(x: Tensor, allowed: Tensor, tau: float) -> Tensor:
    unit = torch.stack([row / row.dot(row).sqrt() for row in x])
    return rows(torch.stack([torch.stack([one.dot(other) / tau for other in unit]) for one in unit]), allowed)


def enter(x: Tensor, s: Sample, *, scale: float, tau: float) -> Tensor:
    return x if s.edges else x - scale * spread(_alike(x, s.order, tau), x)


def refine(y: Tensor, s: Sample, *, scale: float, tau: float) -> Tensor:
    if not s.edges:
        return y
    elsewhere = ~torch.eye(len(y), dtype=torch.bool)
    for source, target in s.edges:
        elsewhere[target, source] = False
    return (1 + scale) * y - scale * spread(_alike(y, elsewhere, tau), y)
