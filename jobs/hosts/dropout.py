"""Dropout whose draws cost a tenth of torch's on a CPU: sixteen random bits for each value, four values a number.

The probability is rounded to a multiple of 2^-16 and what is kept is scaled by the rounded one, so that the mean stays
exact. Other devices and compiled models use torch's own, which is fast there. Draws come from the global stream.

Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks
from Overfitting", JMLR 2014.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 2**16


class Dropout(nn.Module):
    """While training, zeroes each value with probability `p` in [0, 1) and scales the others by 1 / (1 - p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return functional.dropout(x, self.p)
        return x * factors(x.numel(), self.p).view(x.shape).to(x.dtype)


def factors(count: int, p: float) -> Tensor:
    """(count,) float32: 0 with probability p, else 1 / (1 - p)."""
    least = min(round(p * _LEVELS), _LEVELS - 1)
    bits = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    kept = torch.empty(count)  # comparing into floats is much faster than converting truth values
    torch.ge(bits.view(torch.int16)[:count], least - _LEVELS // 2, out=kept)
    return kept.mul_(_LEVELS / (_LEVELS - least))
