"""Exclusive self-attention: take out of what a token gathers the part along its own value.

    O_l = U_l - (U_l . V_l) V_l / |V_l|^2,        U_l = A_l V_l,        row by row

Source: Zhai, "Exclusive Self Attention", arXiv 2603.09078, 2026; no parameter. The products are taken in float32.
"""

import torch
from torch import Tensor

from jobs.api import Smoothing, Variant


class Exclusive(Variant):
    """Smoothing without the component along the token's own value."""

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """U - (U . V) V / |V|^2; a value of zeros takes nothing out."""
        u = a(v)
        wide = torch.promote_types(v.dtype, torch.float32)
        u_wide, v_wide = u.to(wide), v.to(wide)
        length = v_wide.square().sum(-1, keepdim=True).clamp(min=torch.finfo(wide).tiny)
        return (u_wide - (u_wide * v_wide).sum(-1, keepdim=True) / length * v_wide).to(v.dtype)
