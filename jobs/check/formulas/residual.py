"""(1 - alpha) y + alpha x."""

from torch import Tensor

from jobs.check.loops import Sample

ARGUMENTS = {"alpha": 0.3}


def leave(y: Tensor, s: Sample, *, alpha: float) -> Tensor:
    return y + alpha * (s.x - y)
