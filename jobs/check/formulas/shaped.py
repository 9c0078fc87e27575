"""alpha V + beta A V - gamma J V."""

from torch import Tensor

from jobs.check.loops import Head, spread


def head(h: Head, *, alpha: Tensor, beta: Tensor, gamma: Tensor) -> Tensor:
    return alpha * h.v + beta * spread(h.a, h.v) - gamma * spread(h.j, h.v)
