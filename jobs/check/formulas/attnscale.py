"""J V + (1 + w) (A - J) V."""

from torch import Tensor

from jobs.check.loops import Head, spread


def head(h: Head, *, w: Tensor) -> Tensor:
    return spread(h.j, h.v) + (1 + w) * spread(h.a - h.j, h.v)
