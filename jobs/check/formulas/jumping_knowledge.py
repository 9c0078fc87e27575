"""The largest of all layers' outputs in the last layer, channel by channel."""

import torch
from torch import Tensor

from jobs.check.loops import Sample


def leave(y: Tensor, s: Sample) -> Tensor:
    if s.layer < s.depth - 1:
        return y
    return torch.stack([torch.stack([max(channels) for channels in zip(*rows)]) for rows in zip(*s.ys)])  # noqa: B905
