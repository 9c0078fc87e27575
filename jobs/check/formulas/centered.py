"""A V - gamma J V."""

from torch import Tensor

from jobs.check.loops import Head, spread

ARGUMENTS = {"gamma": 0.7}


def head(h: Head, *, gamma: float) -> Tensor:
    return spread(h.a, h.v) - gamma * spread(h.j, h.v)
