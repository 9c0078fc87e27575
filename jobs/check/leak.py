"""Whether a causal function lets a token see later ones, measured in float64 so that rounding is far below any leak.

A leak shows in the gradient unless it is detached, and in the values unless it happens to cancel: look at both.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]
"""(..., N, C) in and out; token i of the result must depend on tokens 0..i only."""


def future_gradient(function: Function, x: Tensor) -> float:
    """The largest derivative of an output at token i with respect to an input at a token j > i.

    Outputs are weighed at random over channels, because the plain sum of a normalised token is a constant.
    """
    x = x.double().requires_grad_()
    y = function(x)
    weights = torch.randn(y.shape[-1], dtype=y.dtype, generator=torch.Generator().manual_seed(0))
    worst = 0.0
    for i in range(x.shape[-2] - 1):
        (gradient,) = torch.autograd.grad((y[..., i, :] @ weights).sum(), x, retain_graph=True)
        worst = max(worst, gradient[..., i + 1 :, :].abs().max().item())
    return worst


@torch.no_grad()
def future_effect(function: Function, x: Tensor) -> float:
    """The largest change of an output at token i when all tokens j > i are replaced."""
    x = x.double()
    y, worst = function(x), 0.0
    other = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0))
    for i in range(x.shape[-2] - 1):
        changed = torch.cat([x[..., : i + 1, :], 3 * other[..., i + 1 :, :]], -2)
        worst = max(worst, (function(changed) - y)[..., : i + 1, :].abs().max().item())
    return worst
