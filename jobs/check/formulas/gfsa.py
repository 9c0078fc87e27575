"""A V + w (A + (K - 1) (A A - A)) V."""

from torch import Tensor

from jobs.check.loops import Head, spread

ARGUMENTS = {"order": 3}


def head(h: Head, *, order: int, w: Tensor) -> Tensor:
    power = h.a + (order - 1) * (spread(h.a, h.a) - h.a)
    return spread(h.a + w * power, h.v)
