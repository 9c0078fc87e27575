"""Differential attention: the difference of two attention maps, so that what both see alike is taken out.

    O = (1 - lam_0) rms((A_1 - lam A_2) [V_1 V_2])        heads 1 and 2 of each pair, their values side by side
    lam = exp(q_1 . k_1) - exp(q_2 . k_2) + lam_0,        lam_0 = 0.8 - 0.6 exp(-0.3 l)

Source: Ye et al., "Differential Transformer", ICLR 2025; q and k are learned vectors drawn from N(0, 0.1); rms has a
learned gain for each channel of a pair. As many parameters for q, k and v as the baseline, in half as many heads.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm

from jobs.api import Layer, Smoothing, Variant

_EPSILON, _STD = 1e-5, 0.1


class Differential(Variant):
    """One map less lam times the other, normalised."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        channels = layer.width // layer.heads
        self.start = 0.8 - 0.6 * math.exp(-0.3 * layer.index)
        self.q, self.k = (nn.Parameter(_STD * torch.randn(2, channels)) for _ in range(2))
        self.gain = nn.Parameter(torch.ones(2 * channels))

    @classmethod
    def skip(cls, layer: Layer) -> str | None:
        return f"Heads work in pairs; {layer.heads} cannot be paired." if layer.heads % 2 else None

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """(1 - lam_0) rms(A_1 V - lam A_2 V), one fused call for both maps."""
        pairs = v.unflatten(-3, (-1, 2))  # (..., H / 2, 2, N, D)
        wide = torch.cat(pairs.unbind(-3), -1).repeat_interleave(2, -3)  # (..., H, N, 2 D)
        one, other = a(wide).to(torch.promote_types(v.dtype, torch.float32)).unflatten(-3, (-1, 2)).unbind(-3)
        first, second = (self.q * self.k).sum(-1).exp()
        difference = one - (first - second + self.start) * other
        normed = (1 - self.start) * rms_norm(difference, self.gain.shape, self.gain.to(difference.dtype), _EPSILON)
        return torch.stack(normed.chunk(2, -1), -3).flatten(-4, -3).to(v.dtype)
