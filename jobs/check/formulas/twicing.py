"""(2 A - A A) V."""

from torch import Tensor

from jobs.check.loops import Head, spread


def head(h: Head) -> Tensor:
    return 2 * spread(h.a, h.v) - spread(spread(h.a, h.a), h.v)
