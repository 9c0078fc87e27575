"""y - mean over nodes."""

from torch import Tensor

from jobs.check.loops import Sample, spread


def refine(y: Tensor, s: Sample) -> Tensor:
    return y - spread(s.mean, y)
