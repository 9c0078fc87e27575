"""Gated attention: a sigmoid gate computed from the layer's input opens or closes what each token gathers.

    O_l = sigmoid(X_l W_g + b_g) * A_l V_l        per element, or one gate per head

Source: Qiu et al., "Gated Attention for Large Language Models: Non-linearity, Sparsity, and Attention-Sink-Free",
NeurIPS 2025; of their gates the one after attention, for each element. W_g starts from N(0, 0.02), b_g from 0.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from jobs.api import Layer, Smoothing, Variant

_STD = 0.02


class Gated(Variant):
    """Smoothing behind a gate for each `element` or each `head`."""

    def __init__(self, layer: Layer, *, gate: Literal["element", "head"] = "element") -> None:
        super().__init__(layer)
        if gate not in ("element", "head"):
            raise ValueError(f"gated: gate must be element or head, got {gate!r}.")
        self.gate = nn.Linear(layer.width, layer.width if gate == "element" else layer.heads)
        nn.init.normal_(self.gate.weight, std=_STD)
        nn.init.zeros_(self.gate.bias)

    def mix(self, a: Smoothing, v: Tensor) -> Tensor:
        """sigmoid(X W_g + b_g) * U."""
        opened = torch.sigmoid(self.gate(a.x)).unflatten(-1, (self.layer.heads, -1))  # (..., 1, N, H, D or 1)
        return opened.squeeze(-4).transpose(-3, -2) * a(v)
