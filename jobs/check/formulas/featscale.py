"""y + s mean(y) + t (y - mean(y))."""

from torch import Tensor

from jobs.check.loops import Sample, spread


def refine(y: Tensor, sample: Sample, *, s: Tensor, t: Tensor) -> Tensor:
    low = spread(sample.mean, y)
    return y + s * low + t * (y - low)
