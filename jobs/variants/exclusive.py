"""Exclusive self-attention: take out of what a token gathers the part along its own value.

    O_l = U_l - (U_l . V_l) V_l / |V_l|^2,        U_l = A_l V_l,        row by row

Source: Zhai, "Exclusive Self Attention", arXiv 2603.09078, 2026; no parameter. The products are taken in float32.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from jobs.api import Smoothing, Variant


class Exclusive(Variant):
    """Smoothing without the component along the token's own value."""

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """U - (U . n) n, n = V / |V|; a value of zeros takes nothing out."""
        u = a(v)
        wide = torch.promote_types(v.dtype, torch.float32)
        largest = v.detach().abs().amax(-1, keepdim=True).clamp(min=torch.finfo(v.dtype).tiny)
        own = normalize((v / largest).to(wide), dim=-1)  # a deep network's values may be too small to be squared
        return (u.to(wide) - (u.to(wide) * own).sum(-1, keepdim=True) * own).to(v.dtype)
