"""AttnScale: amplify what attention does beyond averaging, one learned weight per head.

    O_l = J V_l + (1 + w) (A_l - J) V_l

Source: Wang, Zheng, Chen, Wang, "Anti-Oversmoothing in Deep Vision Transformers via the Fourier
Domain Analysis", ICLR 2022; the authors start from w = 0.
"""

import torch
from torch import Tensor, nn

from jobs.api import Layer, Smoothing, Variant


class AttnScale(Variant):
    """Smoothing with its high-pass part scaled by 1 + w, w per head, learned from `init` (no unit)."""

    neutral = {"init": 0.0}

    def __init__(self, layer: Layer, *, init: float = 0.0) -> None:
        super().__init__(layer)
        self.w = nn.Parameter(torch.full((layer.heads, 1, 1), init))

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """J V + (1 + w) (A - J) V."""
        return a.consensus(v) + (1 + self.w) * a.deviation(v)
