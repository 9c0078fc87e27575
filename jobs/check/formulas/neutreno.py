"""A V + lam (V_0 - V)."""

from torch import Tensor

from jobs.check.loops import Head, spread

ARGUMENTS = {"lam": 0.7}


def head(h: Head, *, lam: float) -> Tensor:
    return spread(h.a, h.v) + lam * (h.v0 - h.v)
