"""gain (y - mean) / sqrt(var + 1e-5) + shift over nodes, with the statistics of the nodes at hand."""

import torch
from torch import Tensor

from jobs.check.loops import Sample

TRAINING = True


def refine(y: Tensor, s: Sample, *, norm_weight: Tensor, norm_bias: Tensor) -> Tensor:
    columns = []
    for c, column in enumerate(y.T):
        centred = column - sum(column) / len(column)
        variance = centred.dot(centred) / len(column)
        columns.append(norm_weight[c] * centred / (variance + 1e-5).sqrt() + norm_bias[c])
    return torch.stack(columns, 1)
