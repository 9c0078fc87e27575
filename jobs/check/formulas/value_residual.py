"""A (l1 V_0 + (1 - l1) V)."""

from torch import Tensor

from jobs.check.loops import Head, spread

ARGUMENTS = {"l1": 0.3}


def head(h: Head, *, l1: float) -> Tensor:
    return spread(h.a, l1 * h.v0 + (1 - l1) * h.v)
